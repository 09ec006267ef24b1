// A process with everything open that this library makes, and a program that it starts: what the program has inherited.

import AsyncIO
import Foundation

extension RunFixture {
    static let inheritance: [String: Program] = [
        "inheritance": {
            // What this process has inherited itself goes on to whatever it starts.
            let inherited = try descriptors()
            let folder = "/tmp/run-fixture-\(ProcessInfo.processInfo.processIdentifier)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try AsyncIO.run(configuration()) {
                // A plain descriptor of the program's own: without it nothing would be known.
                let plain = unsafe open("/dev/null", O_RDONLY)
                let before = try descriptors()
                try await withLoops(2) { _ in
                    try await openEverything(in: folder) {
                        say("open: \(try descriptors().count - before.count)")
                        say("expected: \((inherited + ["\(plain)"]).joined(separator: " "))")
                        say("kinds: \(Set(try descriptors().map(kind)).sorted().joined(separator: " "))")
                        try listOwnDescriptors()
                    }
                }
            }
        }
    ]

    /// Calls `body` while listeners, both ends of connections, some of which are being made, sockets of datagrams, pipes, and
    /// descriptors that were given away are open.
    @MainActor
    private static func openEverything(in folder: String, _ body: @MainActor () throws -> Void) async throws {
        guard let loop = EventLoop.current else { return }
        let servers = [
            try await TCPServer.listen(host: "127.0.0.1", port: 0), try await TCPServer.listen(host: "::1", port: 0),
            try await UnixServer.listen(path: folder + "/s"),
        ]
        for server in servers {
            spawn { try await server.serve { connection in _ = try await connection.read() } }
        }
        let tcp = try await TCPConnection.connect(host: "127.0.0.1", port: servers[0].port)
        let unix = try await UnixConnection.connect(path: folder + "/s")
        let given = try await UnixConnection.connect(path: folder + "/s").detach().descriptor
        let bound = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
        let connected = try await UDPSocket.connect(host: "127.0.0.1", port: 9)
        let pipe = try await TCPConnection.makePipe()
        let ends = try EventLoop.makePipe()
        let output = try await StandardOutput.open()
        while await servers[0].connectionCount + servers[2].connectionCount < 2 { await AsyncIO.yield() }

        let deaf = try await deafListener(on: loop)
        let port = Int(await deaf.localAddress?.port ?? 0)
        let connecting = (0..<5).map { _ in spawn { try await TCPConnection.connect(host: "127.0.0.1", port: port) } }
        for _ in 0..<10 { await AsyncIO.yield() }
        try await AsyncIO.offload {}

        try body()

        for each in connecting { each.cancel() }
        for connection in [tcp, unix, pipe.reader, pipe.writer] { connection.abort() }
        for socket in [bound, connected] { socket.abort() }
        for descriptor in [given, ends.reading, ends.writing] { close(descriptor) }
        try await output.close()
        deaf.close()
        for server in servers { server.abort() }
    }

    /// A socket that listens and never accepts; most of those who connect wait.
    private static func deafListener(on loop: isolated EventLoop) async throws -> RawSocket {
        let socket = try RawSocket(.ipv4, .stream, on: loop)
        try await socket.bind(to: try SocketAddress(host: "127.0.0.1", port: 0))
        try await socket.listen(backlog: 0)
        return socket
    }

    private static func descriptors() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
    }

    /// What a descriptor is, as the kernel says it, without its number.
    private static func kind(of descriptor: String) -> String {
        let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + descriptor)
        return (path ?? "").prefix { $0 != "[" && $0 != ":" || path?.hasPrefix("anon_inode") == true }.description
    }

    /// Starts a program that prints which descriptors it has, with all that this process does not keep from it.
    private static func listOwnDescriptors() throws {
        var process: pid_t = 0
        let words = ["/bin/ls", "/proc/self/fd"]
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        guard unsafe posix_spawn(&process, words[0], nil, nil, &arguments, environ) == 0 else { throw Refusal() }
        var status: CInt = 0
        while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
        if status != 0 { throw Refusal() }
    }
}
