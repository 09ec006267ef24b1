// What happened in a simulation, in order: kept as values, as most runs succeed and nobody reads them.

internal import Reactor

/// The events of a simulation, of which the oldest are dropped when there are too many.
struct SimulationTrace: Sendable {
    private enum Entry: Sendable {
        case network(Int64, NetworkEvent)
        case note(Int64, String)
    }

    private static let limit = 200_000
    private var entries: [Entry] = []
    private var droppedCount = 0
    var names: [String]

    init(names: [String]) { self.names = names }

    mutating func add(_ event: NetworkEvent, at instant: LoopInstant) { add(.network(instant.nanoseconds, event)) }
    mutating func add(_ note: String, at instant: LoopInstant) { add(.note(instant.nanoseconds, note)) }

    private mutating func add(_ entry: Entry) {
        if entries.count == Self.limit {
            entries.removeFirst(Self.limit / 2)
            droppedCount += Self.limit / 2
        }
        entries.append(entry)
    }

    /// All events, a line each.
    var text: String { lines(entries[...]) }

    /// The last events, a line each.
    func end(_ count: Int) -> String { lines(entries.suffix(count)) }

    private func lines(_ shown: ArraySlice<Entry>) -> String {
        let hidden = droppedCount + entries.count - shown.count
        let first = hidden > 0 ? ["(\(hidden) events before)"] : []
        return (first + shown.map(line)).joined(separator: "\n")
    }

    private func line(_ entry: Entry) -> String {
        switch entry {
        case .note(let instant, let text): return "\(time(instant)) \(text)"
        case .network(let instant, let event):
            var text = "\(time(instant)) \(place(event.source))"
            if let target = event.target { text += " > \(place(target))" }
            text += " \(event.kind.rawValue)"
            if let count = event.count { text += " \(count)" }
            return text
        }
    }

    private func place(_ place: NetworkPlace) -> String {
        let name = names.indices.contains(place.host) ? names[place.host] : "gone"
        return "\(name):\(place.port)"
    }

    /// Seconds with nine digits behind the point.
    private func time(_ nanoseconds: Int64) -> String {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let digits = String(rest)
        return "\(seconds).\(String(repeating: "0", count: 9 - digits.count))\(digits)"
    }
}
