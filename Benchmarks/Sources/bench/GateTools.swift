// Runs an echo server under a tool that counts, sends it a fixed number of messages, and reads what the tool counted.

internal import CMeasure
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

enum GateTools {
    struct SystemCalls {
        var all = 0
        var futex = 0
    }

    /// Runs something with a copy of this program that has no debug information.
    ///
    /// Older valgrinds give up on what the compiler writes of it: 3.19 does.
    static func withStrippedProgram<Result>(_ body: (_ path: String) throws -> Result) throws -> Result {
        try withTemporaryFile { file in
            let arguments = ["strip", "--strip-debug", "-o", file.path, try ChildProcess.ownPath()]
            try ChildProcess("strip", arguments).waitForEnd(within: .seconds(60))
            return try body(file.path)
        }
    }

    /// Instructions that the server's own code executed, all threads together, by valgrind's callgrind.
    static func instructions(_ server: EchoServer, _ load: Load, program: String) throws -> Int {
        try withTemporaryFile { file in
            let tool = ["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file=\(file.path)"]
            try exchange(server, load, under: tool, program: program)
            let text = try contents(of: file)
            let line = text.split(separator: "\n").first { $0.hasPrefix("totals:") || $0.hasPrefix("summary:") }
            guard let count = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
                throw BenchError("callgrind wrote no total")
            }
            return count
        }
    }

    /// System calls of the server, all threads together, by strace.
    static func systemCalls(_ server: EchoServer, _ load: Load) throws -> SystemCalls {
        try withTemporaryFile { file in
            // -D makes strace the bystander: the process that was started, and is to be ended, is the server itself.
            try exchange(server, load, under: ["strace", "-D", "-f", "-c", "-o", file.path])
            return try parse(summary: try waitForSummary(in: file))
        }
    }

    private static func exchange(
        _ server: EchoServer,
        _ load: Load,
        under tool: [String],
        program: String? = nil
    ) throws {
        let running = try RunningServer(server, under: tool, program: program)
        let report = try running.receive(load, within: .seconds(300))
        if report.messages != load.messages { throw BenchError("\(report.messages) of \(load.messages) messages") }
        try running.process.end(within: .seconds(60))
    }

    /// A bystander finishes after the process that it watched.
    private static func waitForSummary(in file: URL) throws -> String {
        let deadline = measure_now() + 10_000_000_000
        while measure_now() < deadline {
            let text = try contents(of: file)
            if text.hasSuffix(" total\n") { return text }
            measure_sleep(20)
        }
        throw BenchError("strace wrote no summary")
    }

    /// Lines are `% time, seconds, usecs/call, calls, errors or nothing, name`, under a header and over a total.
    private static func parse(summary: String) throws -> SystemCalls {
        var calls = SystemCalls()
        for line in summary.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 5, Double(fields[0]) != nil, let name = fields.last, name != "total" else { continue }
            guard let count = Int(fields[3]) else { throw BenchError("strace wrote a line without a count: \(line)") }
            calls.all += count
            if name == "futex" { calls.futex += count }
        }
        if calls.all == 0 { throw BenchError("strace counted nothing") }
        return calls
    }

    private static func contents(of file: URL) throws -> String {
        String(decoding: try Data(contentsOf: file), as: UTF8.self)
    }

    private static func withTemporaryFile<Result>(_ body: (URL) throws -> Result) throws -> Result {
        let file = FileManager.default.temporaryDirectory.appending(path: "bench-gate-\(UUID().uuidString)")
        try Data().write(to: file)
        let result = Swift.Result { try body(file) }
        try FileManager.default.removeItem(at: file)
        return try result.get()
    }

    /// A server that counts its own heap allocations, over several exchanges.
    struct AllocationCount {
        private let running: RunningServer

        init(_ server: EchoServer) throws {
            running = try RunningServer(server, countingAllocations: true)
        }

        /// How many allocations an exchange made, with opening and closing its connections.
        func allocations(_ load: Load) throws -> Int {
            let before = try running.process.allocations()
            let report = try running.receive(load)
            if report.messages != load.messages { throw BenchError("\(report.messages) of \(load.messages) messages") }
            return try running.process.allocations() - before
        }

        func end() throws {
            try running.process.end()
        }
    }
}
