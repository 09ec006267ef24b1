// What happens when a callback sets off another while it runs, and when a queue is never quite empty.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ReentrancyTests {
        @Test func `connections that a signal's callback aborts are all heard of, once each`() throws {
            // Three events of the memory network land in the second ring, and each of them enters again.
            let lost = Recorder<Int>()
            try withLoop(expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    let address = try SocketAddress(host: "127.0.0.1", port: 80)
                    let listener = try loop.listen(on: address) { Quiet { _ in } }
                    let made = Made()
                    for number in 0..<3 {
                        let client = Quiet { _ in lost.append(number) }
                        client.onMade = { made.transports.append($0) }
                        try loop.connect(to: address, { client }, onFailure: { Issue.record($0) })
                    }
                    try loop.onSignal(.user1) {
                        for transport in made.transports { transport.abort() }
                        for _ in 0..<5 { loop.schedule { _ = made } }
                        loop.schedule { listener.drain(within: .seconds(1)) { loop.stop() } }
                    }
                    raiseWhenConnected(made, on: loop)
                }
            }
            #expect(lost.all.sorted() == [0, 1, 2])
        }

        @Test func `thousands of submissions from the loop itself share their chunks and keep their order`() throws {
            let order = Recorder<Int>()
            let chunks = try withLoop { loop in
                try loop.runUntilComplete { loop, completion in
                    loop.schedule {
                        for number in 0..<5_000 { try loop.submit { _ in order.append(number) } }
                        let chunks = unsafe loop.core.inbox.takenChunkCount
                        try loop.submit { _ in }
                        loop.schedule { loop.schedule { completion.succeed(chunks) } }
                    }
                }
            }
            #expect(order.all == Array(0..<5_000))
            #expect(chunks <= 5_000 / InboxChunk.capacity + 2)
        }

        @Test func `a write queue that is never empty does not keep what it has sent`() {
            let queue = WriteQueue()
            for _ in 0..<100 { queue.append("0123456789abcdef") }
            for _ in 0..<1_000 {
                let sent = queue.next() ?? []
                for _ in sent { queue.append("0123456789abcdef") }
                _ = queue.didSend()
            }
            #expect(queue.byteCount == 1_600)
            #expect(queue.placeCount <= 400)
        }
    }
}

private func raiseWhenConnected(_ made: Made, on loop: isolated EventLoop) {
    if made.transports.count == 3 {
        raiseHere(.user1)
    } else {
        loop.schedule { raiseWhenConnected(made, on: loop) }
    }
}

private final class Made {
    var transports: [StreamTransport] = []
}

/// A protocol that only says that it was made and lost.
private final class Quiet: StreamProtocol {
    var onMade: (StreamTransport) -> Void = { _ in }
    private let onLost: ((any Error)?) -> Void

    init(onLost: @escaping ((any Error)?) -> Void) { self.onLost = onLost }

    func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) { onMade(transport) }
    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {}
    func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop) {
        onLost(error)
    }
}
