// The run: a warm-up, then one stretch after the other. Between two stretches everything ends, so that what is left then is
// what leaks.

import AsyncIO
import Foundation

@MainActor
final class SoakRun {
    private let options: Soak
    private let issues: Issues
    private var chance: Chance
    private var tally = Tally()
    /// Those since the warm-up.
    private var samples: [Sample] = []
    private var failures: [String] = []

    init(_ options: Soak, _ issues: Issues) {
        self.options = options
        self.issues = issues
        chance = Chance(seed: options.seed)
    }

    /// Runs for as long as the options say, and returns what went wrong.
    func run() async throws -> [String] {
        let clock = ContinuousClock()
        let start = clock.now
        let end = start + .seconds(options.minutes * 60)
        // The first tenth, but no more than a minute, fills the allocator's and the kernel's caches.
        let warm = start + .seconds(min(options.minutes * 6, 60))
        repeat {
            try await stretch(until: min(end, clock.now + .seconds(options.every)))
            let sample = Sample.take()
            let elapsed = (clock.now - start) / .seconds(1)
            let trend = clock.now < warm ? "warming up" : "grown by \(growth) KiB"
            say("\(Int(elapsed)) s: \(tally), \(sample), \(trend)")
            if clock.now >= warm { samples.append(sample) }
            failures += issues.all
        } while clock.now < end && failures.isEmpty
        judge()
        return failures
    }

    /// By how much memory has grown from the first third of the samples to the last, which each go up and down.
    private var growth: Int {
        let third = max(1, samples.count / 3)
        guard samples.count > 1 else { return 0 }
        return median(samples.suffix(third)) - median(samples.prefix(third))
    }

    private func median(_ samples: ArraySlice<Sample>) -> Int {
        let sorted = samples.map(\.residentKiB).sorted()
        return sorted[sorted.count / 2]
    }

    private func judge() {
        guard let first = samples.first, let last = samples.last else { return }
        if first.descriptors != last.descriptors {
            failures.append("\(first.descriptors) descriptors have become \(last.descriptors)")
        }
        if growth > options.allowedGrowth { failures.append("memory has grown by \(growth) KiB") }
    }

    /// Serves and bothers until then, and ends all of it.
    private func stretch(until end: ContinuousClock.Instant) async throws {
        let places = try await Places.open()
        let serving = places.servers.map { server in
            AsyncIO.spawn { try await server.serve { try await Handler.serve($0) } }
        }
        do {
            try await withTimeout(.seconds(options.every + 60)) { [self] in try await clients(of: places, until: end) }
        } catch is TimeoutError {
            let tree = await EventLoop.current?.taskTree()
            failures.append("clients hung:\n\(tree?.description ?? "")")
        }
        for server in places.servers { server.close() }
        for server in places.servers { await server.drain(within: .seconds(5)) }
        for task in serving { try await task.value }
        try await places.closeRest()
        // The last close callbacks run in turns of their own.
        for _ in 0..<10 { await AsyncIO.yield() }
    }

    private func clients(of places: Places, until end: ContinuousClock.Instant) async throws {
        let workers = (0..<options.clients).map { _ in
            var chance = Chance(seed: chance.next())
            return AsyncIO.spawn { [self] in
                while ContinuousClock.now < end {
                    let fault = Fault.drawn(by: &chance)
                    do {
                        tally.bytes += try await fault.run(places, &chance)
                    } catch let wrong as WrongEcho {
                        failures.append("\(fault): \(wrong)")
                        return
                    } catch {
                        // Who breaks connections off, or has them broken off, sees errors.
                        tally.errors += 1
                    }
                    tally.count(fault)
                }
            }
        }
        for worker in workers { try await worker.value }
    }
}

/// What has happened so far.
struct Tally: CustomStringConvertible {
    var bytes = 0
    var errors = 0
    private var counts: [Fault: Int] = [:]

    mutating func count(_ fault: Fault) { counts[fault, default: 0] += 1 }

    var description: String {
        "\(counts.values.reduce(0, +)) exchanges, \(bytes >> 20) MiB, \(errors) errors"
    }
}

/// Random numbers that a seed decides.
struct Chance {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number from 0 to below `bound`.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
