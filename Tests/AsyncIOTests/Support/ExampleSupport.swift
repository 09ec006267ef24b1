// What the tests of the examples stand on: a stage on which a program runs with virtual time, and servers that foreign
// programs talk to. Every loop here must end with nothing left open and nothing reported.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
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
