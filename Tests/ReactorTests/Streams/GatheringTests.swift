// What is gathered in a write queue: in order with everything else, each byte once, and in blocks that come back.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct GatheringTests {
        private let blocks = WriteBlocks()

        private func gather(_ text: String, in queue: WriteQueue) {
            unsafe Array(text.utf8).withUnsafeBytes { unsafe queue.copy($0, blocks) }
        }

        @Test func `small pieces lie one behind the other, and go out as one`() {
            let queue = WriteQueue()
            for text in ["one", "two", "three"] { gather(text, in: queue) }
            #expect(queue.byteCount == 11 && queue.hasOnlyRun)
            #expect(unsafe queue.onlyRun.map { unsafe Array($0) } == Array("onetwothree".utf8))
            queue.didTake(4)
            #expect(unsafe queue.onlyRun.map { unsafe Array($0) } == Array("wothree".utf8))
            #expect(queue.sentTotal == 4 && queue.queuedTotal == 11)
            queue.didTake(7)
            #expect(queue.byteCount == 0)
        }

        @Test func `what is queued behind them stays behind them, and what is gathered then comes last`() {
            let queue = WriteQueue()
            gather("a", in: queue)
            gather("b", in: queue)
            queue.append("large")
            gather("c", in: queue)
            #expect(Array(queue.unsent) == ["ab", "large", "c"])
            queue.didTake(4)
            #expect(Array(queue.unsent) == ["rge", "c"])
            #expect(queue.next() == ["rge", "c"])
            gather("d", in: queue)
            #expect(queue.next() == nil)
            #expect(queue.didSend() == 4)
            #expect(queue.next() == ["d"])
        }

        @Test func `a block goes back to the loop when nothing of it waits and nobody holds a part of it`() {
            let queue = WriteQueue()
            gather("one", in: queue)
            queue.didTake(3)
            queue.giveBack(to: blocks)
            #expect(blocks.smallSpareCount == 1)
            gather("two", in: queue)
            #expect(blocks.smallSpareCount == 0, "it is the same one")
            let held = Array(queue.unsent)
            queue.didTake(3)
            queue.giveBack(to: blocks)
            #expect(blocks.smallSpareCount == 0)
            gather("three", in: queue)
            #expect(held == ["two"])
        }

        @Test func `what a peer does not take is copied, so that it pins no block`() {
            let queue = WriteQueue()
            for _ in 0..<100 { gather("0123456789", in: queue) }
            queue.ownSmallPieces(blocks)
            #expect(queue.next()?.map(\.retainedCapacity) == [1_000])
            #expect(blocks.smallSpareCount == 1)
        }

        @Test func `what outgrows a small block goes on in a large one, in one piece, and both come back`() {
            let queue = WriteQueue()
            let text = String(repeating: "0123456789", count: 10)
            for _ in 0..<4 { gather(text, in: queue) }
            queue.didTake(150)
            for _ in 0..<60 { gather(text, in: queue) }
            let whole = Array(String(repeating: text, count: 64).utf8.dropFirst(150))
            #expect(unsafe queue.onlyRun.map { unsafe Array($0) } == whole)
            #expect(queue.byteCount == whole.count && blocks.smallSpareCount == 1 && blocks.spareCount == 0)
            queue.didTake(whole.count)
            queue.giveBack(to: blocks)
            #expect(blocks.smallSpareCount == 1 && blocks.spareCount == 1)
        }

        @Test func `hundreds of connections that write in one turn find all their blocks again in the next`() {
            let queues = (0..<500).map { _ in WriteQueue() }
            func turn() -> Set<ObjectIdentifier?> {
                for queue in queues { gather("hello", in: queue) }
                let used = Set(queues.map { $0.block.map { ObjectIdentifier($0) } })
                for queue in queues {
                    queue.didTake(5)
                    queue.giveBack(to: blocks)
                }
                return used
            }
            let first = turn()
            #expect(first.count == 500 && turn() == first)
        }

        @Test(arguments: everyNetwork)
        func `what is gathered and what is written at once arrive in the order of the calls`(
            network: EventLoop.Network
        ) throws {
            let whole = pattern(network == .system ? 3 << 20 : network.bulk / 2)
            let story = try play(on: network) { _, scene in
                scene.client.onMade = { transport in
                    var position = 0
                    var random = Chance(seed: 7)
                    func take(_ limit: Int) -> Bytes {
                        let end = min(position + Int.random(in: 0...limit, using: &random), whole.count)
                        defer { position = end }
                        return Bytes(whole[position..<end])
                    }
                    let largest = max(10, whole.count / 300)
                    while position < whole.count {
                        switch Int.random(in: 0..<8, using: &random) {
                        case 0: transport.write(take(largest))
                        case 1: transport.write(take(largest).span)
                        case 2: transport.write(contentsOf: (0..<20).map { _ in take(largest / 20) })
                        case 3: transport.queueWrite(take(largest))
                        case 4: unsafe take(largest).withUnsafeBytes { unsafe transport.queueWrite($0) }
                        case 5: transport.flushQueued()
                        default: transport.queueWrite(take(50))
                        }
                    }
                    transport.close()
                }
            }
            #expect(story.serverReceived == whole)
        }

        @Test(arguments: roomyNetworks)
        func `what is gathered goes out when the run ends`(network: EventLoop.Network) throws {
            try withLoop(.on(network), expectingLeftovers: true) { loop in
                let (server, client) = (Probe(), Probe())
                try loop.runForever { loop in
                    client.onMade = { transport in
                        transport.queueWrite("last words")
                        loop.stop()
                    }
                    let listener = try loop.listen(on: .anyPort) { server }
                    try loop.connect(to: listener.localAddress, { client }, onFailure: { _ in })
                }
                let statistics = unsafe loop.core.statistics
                #expect(statistics.flushes == 1 && statistics.bytesSent == 10)
            }
        }

        @Test func `a block that is full is followed by another`() {
            let queue = WriteQueue()
            let text = String(repeating: "x", count: 3_000)
            for _ in 0..<11 { gather(text, in: queue) }
            #expect(queue.byteCount == 33_000)
            #expect(queue.unsent.map(\.count) == [15_000, 15_000, 3_000])
            queue.dropAll()
            #expect(queue.byteCount == 0 && queue.next() == nil && queue.block == nil)
        }
    }
}
