// A process that a benchmark started: a server, a client, a tool around one of them.
//
// None outlives the benchmark, and every wait has a limit. A child that ends otherwise than it should is an error that
// says which and how.

internal import CMeasure

final class ChildProcess {
    let name: String
    let processID: Int32
    private let handle: measure_child
    private var hasEnded = false

    /// Starts a program, found by PATH.
    init(_ name: String, _ arguments: [String], capturingErrors: Bool = false) throws {
        var child = measure_child()
        let joined = arguments.map { $0 + "\0" }.joined()
        let status = unsafe measure_spawn(joined, arguments.count, capturingErrors ? 1 : 0, &child)
        if measure_is_missing(Int64(status)) != 0 { throw MissingProgram(name: arguments.first ?? name) }
        try check(status, "starting \(name)")
        self.name = name
        self.processID = child.pid
        self.handle = child
    }

    deinit {
        if !hasEnded {
            _ = measure_kill(processID)
            _ = measure_wait(processID, 5_000)
        }
        var handle = handle
        unsafe measure_close(&handle)
    }

    /// The program that is running, for starting it again in another role.
    static func ownPath() throws -> String {
        try unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4_096) { buffer in
            guard let path = buffer.baseAddress else { throw BenchError("no memory for a path") }
            try check(unsafe measure_own_path(path, buffer.count), "/proc/self/exe")
            return unsafe String(cString: path)
        }
    }

    /// The next line that the child prints; nil after its last.
    func readLine(within limit: Duration) throws -> String? {
        try readLine(from: handle.output, within: limit)
    }

    /// The next line on the child's stderr; it must have been started with `capturingErrors`.
    func readErrorLine(within limit: Duration) throws -> String? {
        try readLine(from: handle.errors, within: limit)
    }

    private func readLine(from descriptor: CInt, within limit: Duration) throws -> String? {
        try unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4_096) { buffer in
            guard let line = buffer.baseAddress else { throw BenchError("no memory for a line") }
            let length = unsafe measure_read_line(descriptor, line, buffer.count, limit.milliseconds)
            if measure_is_end(Int64(length)) != 0 { return nil }
            try check(length, "waiting for a line from \(name)")
            return unsafe String(cString: line)
        }
    }

    /// Waits for the child's own end.
    func waitForEnd(within limit: Duration) throws {
        let status = try check(measure_wait(processID, limit.milliseconds), "waiting for the end of \(name)")
        hasEnded = true
        if status != 0 { throw BenchError("\(name) ended with \(status)") }
    }

    /// Asks the child to end, and waits until it has.
    func end(within limit: Duration = .seconds(10)) throws {
        try check(measure_ask_to_end(processID), "ending \(name)")
        try waitForEnd(within: limit)
    }

    /// Asks a server that counts its allocations how many there were.
    func allocations() throws -> Int {
        try check(measure_ask_for_allocations(processID), "asking \(name)")
        let line = try readErrorLine(within: .seconds(5)) ?? "nothing"
        guard let equals = line.firstIndex(of: "="), let count = Int(line[line.index(after: equals)...]) else {
            throw BenchError("\(name) was asked for its allocations and said \(line)")
        }
        return count
    }
}

/// A program that is not installed.
struct MissingProgram: Error, CustomStringConvertible {
    let name: String

    var description: String { "\(name) is not installed" }
}

extension Duration {
    /// Whole milliseconds, for the C functions.
    var milliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
