// The ready ring against an array, and the words that it holds: what goes in as one of three kinds comes out as it.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ReadyRingTests {
        @Test(arguments: [1, 2, 3] as [UInt64])
        func `it agrees with an array, across growth and wrap-around`(seed: UInt64) {
            var random = Chance(seed: seed)
            let ring = ReadyRing(minimumCapacity: 16)
            var model: [UInt64] = []
            var next: UInt64 = 1
            for _ in 0..<500 {
                for _ in 0..<Int.random(in: 0..<20, using: &random) {
                    ring.push(ReadyEntry(bits: next))
                    model.append(next)
                    next += 1
                }
                for _ in 0..<Int.random(in: 0...min(19, model.count), using: &random) {
                    #expect(ring.pop().bits == model.removeFirst())
                }
                #expect(ring.count == model.count)
            }
            while !model.isEmpty { #expect(ring.pop().bits == model.removeFirst()) }
            #expect(ring.count == 0)
        }

        @Test func `growing in the middle of a wrap keeps the order`() {
            for offset in 0..<16 as Range<UInt64> {
                let ring = ReadyRing(minimumCapacity: 16)
                for number in 0..<offset { ring.push(ReadyEntry(bits: number)) }
                for number in 0..<offset { #expect(ring.pop().bits == number) }
                for number in 0..<100 as Range<UInt64> { ring.push(ReadyEntry(bits: number)) }
                #expect((0..<100).map { _ in ring.pop().bits } == Array(0..<100))
            }
        }

        @Test(arguments: [1, 16, 17, 1_000])
        func `the capacity that is asked for is no limit`(capacity: Int) {
            let ring = ReadyRing(minimumCapacity: capacity)
            for number in 0..<2_000 as Range<UInt64> { ring.push(ReadyEntry(bits: number)) }
            #expect((0..<2_000).map { _ in ring.pop().bits } == Array(0..<2_000))
        }

        @Test(arguments: [
            CallbackID(index: 0, generation: 0),
            CallbackID(index: 1, generation: .max),
            CallbackID(index: (1 << 30) - 1, generation: 0),
            CallbackID(index: (1 << 30) - 1, generation: .max),
        ])
        func `a callback's name survives the packing into a word`(id: CallbackID) {
            let entry = ReadyEntry(callback: id)
            #expect(entry.kind == .callback)
            let (index, low) = ReadyEntry(bits: entry.bits).callback
            #expect(index == id.index)
            #expect(low == UInt32(truncatingIfNeeded: id.generation))
        }
    }
}
