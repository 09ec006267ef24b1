// Behaviours 6 and 7 of asyncio: batches, and the order of callbacks.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct SchedulingTests {
        @Test func `callbacks run in the order in which they were scheduled`() throws {
            let order = Recorder<Int>()
            try withLoop { loop in
                try loop.runForever { loop in
                    for number in 0..<5 { loop.schedule { order.append(number) } }
                    loop.schedule { loop.stop() }
                }
            }
            #expect(order.all == [0, 1, 2, 3, 4])
        }
    }
}
