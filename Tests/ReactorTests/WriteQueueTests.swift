// What waits to be sent: every byte goes out once and in order, in requests of bounded size, one at a time.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct WriteQueueTests {
        @Test func `an empty queue has no request, and empty bytes make none`() {
            let queue = WriteQueue()
            #expect(queue.next() == nil)
            queue.append(Bytes())
            #expect(queue.next() == nil)
            #expect(queue.byteCount == 0)
            #expect(!queue.isSending)
        }

        @Test func `what waits goes out together, one request at a time`() {
            let queue = WriteQueue()
            queue.append("one")
            queue.append("two")
            #expect(queue.next() == ["one", "two"])
            #expect(queue.isSending)
            queue.append("three")
            #expect(queue.next() == nil, "one request is under way")
            #expect(queue.byteCount == 11)
            #expect(queue.didSend() == 6)
            #expect(queue.byteCount == 5)
            #expect(queue.next() == ["three"])
            #expect(queue.didSend() == 5)
            #expect(queue.byteCount == 0)
            #expect(queue.next() == nil)
        }

        @Test func `what a request carried that failed does not count as sent`() {
            let queue = WriteQueue()
            queue.append("first")
            _ = queue.next()
            #expect(queue.didSend() == 5)
            queue.append("second")
            _ = queue.next()
            #expect(queue.didSend(hasFailed: true) == 6)
            #expect(queue.byteCount == 0 && !queue.isSending)
            #expect(queue.queuedTotal == 11 && queue.sentTotal == 5)
        }

        @Test func `a large piece is cut into requests of bounded size, without a copy`() {
            let queue = WriteQueue()
            let count = WriteQueue.largestRequest * 2 + 5
            queue.append(Bytes(repeatElement(1, count: count)))
            var sizes: [Int] = []
            while let request = queue.next() {
                #expect(request.count == 1)
                #expect(request[0].retainedCapacity == count)
                sizes.append(queue.didSend())
            }
            #expect(sizes == [WriteQueue.largestRequest, WriteQueue.largestRequest, 5])
        }

        @Test func `many small pieces are cut into requests of a bounded number`() {
            let queue = WriteQueue()
            for number in 0..<150 { queue.append([UInt8(number)]) }
            var sizes: [Int] = []
            while let request = queue.next() {
                sizes.append(request.count)
                #expect(queue.didSend() == request.count)
            }
            #expect(sizes == [WriteQueue.mostBuffers, WriteQueue.mostBuffers, 150 - 2 * WriteQueue.mostBuffers])
        }

        @Test func `pieces are let go as they are sent`() {
            let queue = WriteQueue()
            let large = Bytes(repeatElement(1, count: WriteQueue.largestRequest))
            queue.append(large)
            queue.append("behind")
            #expect(queue.next() == [large])
            #expect(queue.didSend() == large.count)
            #expect(queue.next() == ["behind"])
        }

        @Test func `dropping forgets everything, also what is under way`() {
            let queue = WriteQueue()
            queue.append("one")
            _ = queue.next()
            queue.append("two")
            queue.dropAll()
            #expect(queue.byteCount == 0)
            #expect(queue.didSend() == 0, "the request that was under way counts no more")
            #expect(queue.byteCount == 0)
            #expect(queue.next() == nil)
        }

        @Test(arguments: [1, 2, 3] as [UInt64])
        func `every byte goes out once and in order`(seed: UInt64) {
            var random = Chance(seed: seed)
            let queue = WriteQueue()
            var (appended, sent, inFlight): ([UInt8], [UInt8], Int) = ([], [], 0)
            for step in 0..<400 {
                if Int.random(in: 0..<3, using: &random) > 0 {
                    let largest = step % 40 == 0 ? 300_000 : 300
                    let count = Int.random(in: 0...largest, using: &random)
                    let base = Bytes(repeatElement(UInt8(truncatingIfNeeded: step), count: count + 4))
                    queue.append(base[2..<count + 2])
                    appended += base[2..<count + 2]
                } else if queue.isSending {
                    #expect(queue.didSend() == inFlight)
                } else if let request = queue.next() {
                    inFlight = request.reduce(0) { $0 + $1.count }
                    #expect(inFlight <= WriteQueue.largestRequest && inFlight > 0)
                    for bytes in request { sent += bytes }
                }
                let counted = appended.count - sent.count + (queue.isSending ? inFlight : 0)
                #expect(queue.byteCount == counted)
            }
            if queue.isSending { _ = queue.didSend() }
            while let request = queue.next() {
                for bytes in request { sent += bytes }
                _ = queue.didSend()
            }
            #expect(sent == appended)
        }
    }
}
