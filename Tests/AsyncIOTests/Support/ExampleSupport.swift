// What the tests of the examples stand on: a stage on which a program runs with virtual time, and servers that foreign
// programs talk to. Every loop here must end with nothing left open and nothing reported.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

@testable import examples

extension Recorder where Element == String {
    /// Where a program may write.
    var output: Output { { self.append($0) } }
}

/// Runs a program on a loop with virtual time.
///
/// - Returns: Its lines, each after the second in which it was written, and the second in which it ended.
func rehearse(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ program: @Sendable (isolated EventLoop, @escaping Output) async throws -> Void
) async throws -> [String] {
    let clock = VirtualClock()
    let lines = Recorder<String>()
    @Sendable func write(_ line: String) { lines.append("\(clock.now): \(line)") }
    try await onLoop(.virtual(clock: clock), sourceLocation: sourceLocation) { loop in try await program(loop, write) }
    write("over")
    return lines.all
}

/// What became of a server and its client.
struct Meeting: Hashable, Sendable {
    /// The lines that the client printed.
    var output: [String] = []
    /// What handlers threw, in a word each.
    var errors: [String] = []
}

/// Serves on real sockets, on a loop of its own, for as long as a Python script runs, which gets the port.
///
/// When the script has ended, all handlers must end by themselves; then the server is closed. What serves can wait for
/// the first line that the script prints.
func meet(
    _ script: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    serving serve: @escaping @Sendable (TCPServer, _ firstLine: LoopTask<String>) async throws -> Void
) async throws -> Meeting {
    let errors = Recorder<String>()
    var options = ServerOptions()
    options.onError = { error, _ in errors.append(brief(error)) }
    let (firstLine, end) = try await onLoop(.real, sourceLocation: sourceLocation) { [options] loop in
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
        let client = try ForeignProgram.python(script, "\(server.port)")
        let firstLine = AsyncIO.spawn { try await AsyncIO.offload { client.readLine() } }
        let serving = AsyncIO.spawn { try await serve(server, firstLine) }
        let line = try await firstLine.value
        let end = try await AsyncIO.offload { client.finish() }
        try await withTimeout(.seconds(20)) { while await server.connectionCount > 0 { await AsyncIO.yield() } }
        server.close()
        try await serving.value
        return (line, end)
    }
    #expect(end.status == 0, "\(end.errors)", sourceLocation: sourceLocation)
    let lines = "\(firstLine)\n\(end.output)".split(separator: "\n")
    return Meeting(output: lines.map(String.init), errors: errors.all)
}

/// A program that runs beside the tests, with pipes for what it prints. (Foundation's `Process` closes descriptors of
/// its own some time after the end, which other tests would count.)
struct ForeignProgram: Sendable {
    private let pid: pid_t
    private let output: CInt
    private let errors: CInt

    /// Python, which must be installed for what needs it.
    static let python: String? = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { "\($0)/python3" }.first(where: FileManager.default.isExecutableFile)
    }()

    /// The examples, which the package manager puts beside the tests.
    static let examples: String? = {
        let tests = CommandLine.arguments.first { $0.contains(".xctest") } ?? CommandLine.arguments[0]
        var folder = URL(fileURLWithPath: tests).deletingLastPathComponent()
        while folder.path.contains(".xctest") { folder.deleteLastPathComponent() }
        let path = folder.appendingPathComponent("examples").path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    /// Runs a script, which ends after two minutes even if it hangs.
    static func python(_ script: String, _ arguments: String...) throws -> ForeignProgram {
        try ForeignProgram([try #require(python), "-c", "import signal; signal.alarm(120)\n" + script] + arguments)
    }

    init(_ command: [String]) throws {
        var outputPipe: [CInt] = [-1, -1]
        var errorPipe: [CInt] = [-1, -1]
        unsafe pipe(&outputPipe)
        unsafe pipe(&errorPipe)
        for descriptor in outputPipe + errorPipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, outputPipe[1], 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, errorPipe[1], 2)
        // Tests run on threads that block signals, which a program would inherit.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var noSignals = sigset_t()
        unsafe sigemptyset(&noSignals)
        unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments = unsafe command.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var pid: pid_t = 0
        let status = unsafe posix_spawn(&pid, command[0], &actions, &attributes, &arguments, environ)
        close(outputPipe[1])
        close(errorPipe[1])
        guard status == 0 else {
            close(outputPipe[0])
            close(errorPipe[0])
            throw SystemError(SystemError.Code(rawValue: -status), call: "posix_spawn(\(command[0]))")
        }
        (self.pid, output, errors) = (pid, outputPipe[0], errorPipe[0])
    }

    func send(_ signal: CInt) { kill(pid, signal) }

    /// Waits for a line on its standard output, or for the end of it; blocks.
    func readLine() -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe read(output, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// Waits for its end: the exit code, or 128 + the signal's number, and what it printed; blocks.
    func finish() -> (status: CInt, output: String, errors: String) {
        let printed = (Self.readAll(output), Self.readAll(errors))
        var status: CInt = 0
        while unsafe waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return (code, printed.0, printed.1)
    }

    private static func readAll(_ descriptor: CInt) -> String {
        defer { close(descriptor) }
        return String(
            decoding: (try? FileHandle(fileDescriptor: descriptor, closeOnDealloc: false).readToEnd()) ?? Data(),
            as: UTF8.self
        )
    }
}
