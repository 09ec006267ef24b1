// What the tests with foreign programs stand on: a server over TCP or at a path for as long as a Python script runs, which
// gets what it needs to connect, and what the server says of itself when the script has ended.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

/// Where servers and clients of a foreign program are.
enum SocketKind: String, CaseIterable, Codable, CustomTestStringConvertible {
    case tcp
    case unix

    var testDescription: String { rawValue }
}

/// What became of a server and of the script that was its client.
struct Visit: Sendable {
    /// What the script printed, the first line left out if the test has read it.
    var output = ""
    /// What the server said of itself when everybody had gone.
    var statistics: ServerStatistics
    /// What handlers threw, in a word each, sorted.
    var errors: [String] = []
}

/// Serves for as long as a Python script runs, and proves that nothing is left then.
///
/// The script has `connect()`, a blocking socket with patience; `reset(sock)`, which breaks off; `served()`, which fails
/// unless a new connection gets its bytes back; and `pause(word)`, which waits for `whenPaused`.
func visiting(
    _ place: SocketKind,
    options: ServerOptions = ServerOptions(),
    collecting issues: Recorder<LoopIssue>? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ script: String,
    handler: @escaping @Sendable (isolated EventLoop, TCPConnection) async throws -> Void = echo,
    meanwhile: (@Sendable (TCPServer, ForeignProgram, isolated EventLoop) async throws -> Void)? = nil
) async throws -> Visit {
    let folder = ScratchFolder()
    defer { folder.remove() }
    let errors = Recorder<String>()
    var options = options
    options.onError = { error, _ in errors.append(brief(error)) }
    var visit = try await onNetwork(.sockets, collecting: issues, sourceLocation: sourceLocation) { [options] loop in
        let server =
            switch place {
            case .tcp: try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
            case .unix: try await UnixServer.listen(path: folder.file("s"), options: options)
            }
        let serving = spawn(name: "serve") { try await server.serve(onEachLoop: handler) }
        do {
            let address = server.localAddress.unixPath ?? "\(server.port)"
            let client = try ForeignProgram.python(visitor + script, address)
            try await meanwhile?(server, client, loop)
            let end = try await offload { client.finish() }
            #expect(end.status == 0, "\(end.errors)", sourceLocation: sourceLocation)
            // The handlers end by themselves.
            while await server.connectionCount > 0 { await yield() }
            let visit = Visit(output: end.output, statistics: await server.statistics)
            server.close()
            try await serving.value
            return visit
        } catch {
            server.abort()
            try? await serving.value
            throw error
        }
    }
    #expect(folder.files == [], sourceLocation: sourceLocation)
    visit.errors = errors.all.sorted()
    return visit
}

/// Sends back what comes.
@Sendable func echo(_ loop: isolated EventLoop, _ connection: TCPConnection) async throws {
    while let bytes = try await connection.read() { try await connection.write(bytes) }
}

private let visitor = """
    import asyncio, os, select, signal, socket, struct, sys, time
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    def pause(word):
        print(word, flush=True)
        signal.sigwait({signal.SIGUSR1})
    def connect():
        if sys.argv[1].startswith("/"):
            sock, address = socket.socket(socket.AF_UNIX), sys.argv[1]
        else:
            sock, address = socket.socket(), ("127.0.0.1", int(sys.argv[1]))
        sock.settimeout(30)
        sock.connect(address)
        return sock
    def reset(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    def receive(sock, count):
        data = b""
        while len(data) < count:
            part = sock.recv(count - len(data))
            assert part, (data, count)
            data += part
        return data
    def rest(sock):
        data = b""
        while part := sock.recv(65536): data += part
        return data
    def served(text=b"still there"):
        with connect() as sock:
            sock.sendall(text)
            assert receive(sock, len(text)) == text
            sock.shutdown(socket.SHUT_WR)
            assert rest(sock) == b""

    """

extension ForeignProgram {
    /// Waits until the script pauses with a word, looks at what has become of it, and lets it go on.
    func whenPaused(at word: String, _ look: () async throws -> Void) async throws {
        let line = try await offload { readLine() }
        #expect(line == word)
        try await look()
        send(SIGUSR1)
    }
}

/// How many of something there are at once, told by any thread.
final class Peak: Sendable {
    private let steps = Recorder<Int>()

    func up() { steps.append(1) }
    func down() { steps.append(-1) }

    /// The most that there were.
    var most: Int {
        var (now, most) = (0, 0)
        for step in steps.all {
            now += step
            most = max(most, now)
        }
        return most
    }
}

/// A foreign program as a server, until `body` has ended, which gets the line that says where it listens.
///
/// Returns what it printed after that line, and how it ended: by itself, or killed.
@discardableResult
func asking(
    _ command: String,
    whose isReady: @Sendable (String) -> Bool = { $0.contains("istening on") },
    endsByItself: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @escaping @Sendable (_ line: String, isolated EventLoop) async throws -> Void
) async throws -> (status: CInt, output: String, errors: String) {
    let server = try ForeignProgram(["sh", "-c", command])
    var line = server.readLine()
    while !line.isEmpty && !isReady(line) { line = server.readLine() }
    do {
        try await onNetwork(.sockets, sourceLocation: sourceLocation) { [line] loop in try await body(line, loop) }
    } catch {
        server.send(SIGKILL)
        _ = server.finish()
        throw error
    }
    if !endsByItself { server.send(SIGKILL) }
    return server.finish()
}

extension String {
    /// The number after the last colon or blank, such as the port at which a program says it listens.
    var lastNumber: Int { Int(split { $0 == ":" || $0 == " " }.last ?? "") ?? -1 }
}
