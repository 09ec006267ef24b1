// A field that holds an object counts it once: nothing that is held goes early, and nothing stays.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct HeldTests {
        private final class Object {
            let end: () -> Void
            init(_ end: @escaping () -> Void) { self.end = end }
            deinit { end() }
        }

        @Test func `what is held lives until it is replaced, taken, or the field is gone`() {
            let ends = Recorder<Int>()
            do {
                var held = Held<Object>()
                let before = held.take() == nil && held.object == nil
                #expect(before)
                held.set(Object { ends.append(1) })
                #expect(ends.all == [])
                held.set(Object { ends.append(2) })
                #expect(ends.all == [1])
                let isThere = held.object != nil
                #expect(isThere)
                held.take()?.end()
                #expect(ends.all == [1, 2, 2])
                let isGone = held.object == nil
                #expect(isGone)
                held.set(Object { ends.append(3) })
                #expect(ends.all == [1, 2, 2])
            }
            #expect(ends.all == [1, 2, 2, 3])
        }
    }
}
