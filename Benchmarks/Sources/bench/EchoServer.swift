// The echo servers, and the role that is one of them: a process of its own on the first core.
//
// Each prints `listening on HOST:PORT` once it accepts, sets TCP_NODELAY, serves until SIGTERM and exits with 0.

internal import ArgumentParser
internal import CMeasure
internal import CPeers
internal import AsyncIO

enum EchoServer: String, CaseIterable, Codable, ExpressibleByArgument {
    case epoll
    case libuv
    case ours
    case streams
    case streamsPool = "streams-pool"
    case twoLoops = "two-loops"
    case chunks
    case lines
    case nio
    case nioAsync = "nio-async"
    case uvloop
    case uvloopStreams = "uvloop-streams"
    case uvloopLines = "uvloop-lines"
    case asyncio
    case asyncioStreams = "asyncio-streams"
    case asyncioLines = "asyncio-lines"
    case node
    case go

    /// What all the others are held against.
    static let limit = EchoServer.libuv

    var title: String {
        switch self {
        case .epoll: "epoll in C"
        case .libuv: "libuv in C"
        case .ours: "swift-asyncio, callbacks"
        case .streams: "swift-asyncio, async"
        case .streamsPool: "swift-asyncio, async, without the hooks"
        case .twoLoops: "swift-asyncio, async, on two loops"
        case .chunks: "swift-asyncio, StreamReader"
        case .lines: "swift-asyncio, readLine"
        case .nio: "SwiftNIO"
        case .nioAsync: "SwiftNIO, NIOAsyncChannel"
        case .uvloop: "uvloop, protocol"
        case .uvloopStreams: "uvloop, streams"
        case .uvloopLines: "uvloop, streams by readline"
        case .asyncio: "asyncio, protocol"
        case .asyncioStreams: "asyncio, streams"
        case .asyncioLines: "asyncio, streams by readline"
        case .node: "Node"
        case .go: "Go"
        }
    }

    /// Whether it is made of this package.
    var isOurs: Bool { [.ours, .streams, .streamsPool, .twoLoops, .chunks, .lines].contains(self) }

    /// Whether it needs several times as long as the others, and so gets fewer messages.
    var isSlow: Bool { [.asyncio, .asyncioStreams, .asyncioLines].contains(self) }

    /// Whether it sends nothing back before a line is complete.
    var needsLines: Bool { [.lines, .uvloopLines, .asyncioLines].contains(self) }

    /// The program of its own that it is, with its first arguments; nil for those that are in this one.
    var peer: PeerServer? {
        switch self {
        case .uvloop: PeerServer(.uvloop, ["uvloop", "protocol"])
        case .uvloopStreams: PeerServer(.uvloop, ["uvloop", "streams"])
        case .uvloopLines: PeerServer(.uvloop, ["uvloop", "lines"])
        case .asyncio: PeerServer(.python, ["asyncio", "protocol"])
        case .asyncioStreams: PeerServer(.python, ["asyncio", "streams"])
        case .asyncioLines: PeerServer(.python, ["asyncio", "lines"])
        case .node: PeerServer(.node, [])
        case .go: PeerServer(.go, ["echo"])
        default: nil
        }
    }

    /// Serves until SIGTERM, and returns the exit code.
    func serve(host: String, port: Int) throws -> CInt {
        switch self {
        case .epoll: return unsafe peer_epoll_echo(host, CInt(port))
        case .libuv: return unsafe peer_libuv_echo(host, CInt(port))
        case .ours: return try OurEchoServer.serve(host: host, port: port)
        case .streams: return try OurStreamServer.serve(host: host, port: port, .loop, by: .connection)
        case .streamsPool: return try OurStreamServer.serve(host: host, port: port, .pool, by: .connection)
        case .twoLoops: return try OurStreamServer.serve(host: host, port: port, .loop, by: .twoLoops)
        case .chunks: return try OurStreamServer.serve(host: host, port: port, .loop, by: .chunks)
        case .lines: return try OurStreamServer.serve(host: host, port: port, .loop, by: .lines)
        case .nio: return try NIOEchoServer.serve(host: host, port: port)
        case .nioAsync: return try NIOAsyncServer.serve(host: host, port: port)
        default:
            guard let peer else { throw BenchError("\(title) is no server of this program") }
            try peer.become(host: host, port: port)
        }
    }
}

/// `bench serve`: becomes one of the servers.
struct ServeRole: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Becomes one of the echo servers, until SIGTERM.",
        shouldDisplay: false
    )

    @Argument(help: "Which one.")
    var server: EchoServer

    @Option(help: "The IPv4 address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen on; 0 takes any.")
    var port = 0

    @Flag(help: "Count heap allocations, and print the count to stderr at each SIGUSR1.")
    var countAllocations = false

    @Flag(help: "End when the process that started this one ends.")
    var endWithParent = false

    func run() throws {
        if endWithParent { try check(measure_end_with_parent(), "prctl") }
        try check(measure_pin(MEASURE_FIRST_CORE), "sched_setaffinity")
        try check(measure_raise_descriptor_limit(), "descriptor limit")
        if countAllocations { try check(measure_count_allocations(), "counting allocations") }
        let status = try server.serve(host: host, port: port)
        if status != 0 { throw ExitCode(status) }
    }
}
