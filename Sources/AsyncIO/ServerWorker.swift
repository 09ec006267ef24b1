// A worker of a server: the few connections whose handlers are children of one task.
//
// Handlers are children of workers, and workers children of the task that serves. A worker has few handlers, because the
// runtime finds a child that ends by walking over its siblings: among ten thousand of one group that takes longer than
// serving a short connection.

/// A task of the server's that starts handlers and waits for them.
final class ServerWorker {
    /// How many handlers one worker has at most.
    static let mostHandlers = 64

    let news: Park
    /// The connection that waits longest for a handler, and those that wait behind it.
    // PERF: hardly ever are there several at once, and accesses to an array are checked. (churn)
    private var first: StreamChannel?
    private var others: [StreamChannel] = []
    private var hasOthers = false
    /// How many handlers there are, those to come included.
    var active = 0
    /// The next of the workers that can take another connection.
    var nextRoomy: ServerWorker?
    /// What its handlers have in common, so that each of their tasks holds it all by one reference.
    let server: TCPServer
    let bound: LoopBound<ServerState>
    let handler: TCPServer.Handler
    private let state: UInt64
    private let outer: HandlerPlace.Outer?

    init(
        _ server: TCPServer,
        _ bound: LoopBound<ServerState>,
        _ state: UInt64,
        _ handler: @escaping TCPServer.Handler,
        on loop: isolated EventLoop
    ) {
        self.server = server
        self.bound = bound
        self.state = state
        self.handler = handler
        outer = HandlerPlace.current.map { HandlerPlace.Outer($0) }
        news = ExplainedPark(on: loop, .text("handlers of a TCPServer"))
    }

    /// Lets a connection wait for its handler.
    func append(_ channel: StreamChannel) {
        if first == nil {
            first = channel
        } else {
            others.append(channel)
            hasOthers = true
        }
    }

    /// The next connection.
    func next() -> StreamChannel? {
        guard let next = first else { return nil }
        if hasOthers {
            first = others.removeFirst()
            hasOthers = !others.isEmpty
        } else {
            first = nil
        }
        return next
    }

    /// The place of a connection's handler.
    func place(of channel: StreamChannel) -> HandlerPlace {
        HandlerPlace(state: state, connection: channel.number, outer: outer)
    }
}
