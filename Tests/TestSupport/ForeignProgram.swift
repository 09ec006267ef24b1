// Programs that share no code with this package, and this package's own executables, as processes beside the tests.
//
// Not Foundation's `Process`: that closes descriptors of its own some time after the end, which tests would count.

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A program that runs beside the tests, with pipes for what it prints.
public struct ForeignProgram: Sendable {
    private let pid: pid_t
    private let output: CInt
    private let errors: CInt

    /// A program could not be started.
    public struct Failure: Error {
        /// What it was to run.
        public let command: String
        /// The errno value.
        public let status: CInt
    }

    /// A program on the search path, or nil if it is not installed.
    public static func find(_ name: String) -> String? {
        if name.contains("/") { return name }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { "\($0)/\(name)" }.first(where: FileManager.default.isExecutableFile)
    }

    /// An executable of this package, which the package manager puts beside the tests.
    public static func product(_ name: String) -> String? {
        let tests = CommandLine.arguments.first { $0.contains(".xctest") } ?? CommandLine.arguments[0]
        var folder = URL(fileURLWithPath: tests).deletingLastPathComponent()
        while folder.path.contains(".xctest") { folder.deleteLastPathComponent() }
        let path = folder.appendingPathComponent(name).path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }

    /// Runs a script, which ends after two minutes even if it hangs.
    public static func python(_ script: String, _ arguments: String...) throws -> ForeignProgram {
        try ForeignProgram(["python3", "-c", "import signal; signal.alarm(120)\n" + script] + arguments)
    }

    /// Starts a program: a path, or a name on the search path, and its arguments.
    public init(_ command: [String]) throws {
        guard let path = Self.find(command[0]) else { throw Failure(command: command[0], status: ENOENT) }
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
        let status = unsafe posix_spawn(&pid, path, &actions, &attributes, &arguments, environ)
        close(outputPipe[1])
        close(errorPipe[1])
        guard status == 0 else {
            close(outputPipe[0])
            close(errorPipe[0])
            throw Failure(command: path, status: status)
        }
        (self.pid, output, errors) = (pid, outputPipe[0], errorPipe[0])
    }

    /// Sends it a signal.
    public func send(_ signal: CInt) { kill(pid, signal) }

    /// Waits for a line on its standard output, or for the end of it; blocks.
    public func readLine() -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe read(output, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// Waits for its end; blocks.
    ///
    /// - Returns: The exit code, or 128 + the signal's number, and all that it printed and that was not read before.
    public func finish() -> (status: CInt, output: String, errors: String) {
        let printed = readAll()
        var status: CInt = 0
        while unsafe waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return (code, printed.0, printed.1)
    }

    /// How many descriptors it has open; 0 where the system does not say.
    public var descriptorCount: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
    }

    /// Reads both pipes until both have ended: a program that fills the one must not wait for the other.
    private func readAll() -> (String, String) {
        var printed: [[UInt8]] = [[], []]
        var pipes = [output, errors].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var room = [UInt8](repeating: 0, count: 65_536)
        while pipes.contains(where: { $0.fd >= 0 }) {
            if unsafe poll(&pipes, nfds_t(pipes.count), -1) < 0 { continue }
            for index in pipes.indices where pipes[index].fd >= 0 && pipes[index].revents != 0 {
                let count = unsafe read(pipes[index].fd, &room, room.count)
                if count > 0 { printed[index] += room[..<count] }
                if count == 0 { pipes[index].fd = -1 }
            }
        }
        close(output)
        close(errors)
        return (String(decoding: printed[0], as: UTF8.self), String(decoding: printed[1], as: UTF8.self))
    }
}
