// The shared read memory: what is handed over stays what it was for as long as anybody holds it, little is pinned by
// it, and there is always room. Each read fills its room with a byte of its own, so that an overlap shows.

import TestSupport
import Testing

@testable import Reactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension ReactorTests {
    @Suite struct ReadSlabTests {
        @Test func `a read whose bytes nobody keeps leaves the slab as it was`() {
            let slab = ReadSlab()
            let room = slab.roomSize
            let start = slab.roomStart
            for _ in 0..<100 {
                slab.pass(10_000)
                #expect(slab.roomSize == room)
                #expect(slab.roomStart == start)
            }
            #expect(slab.retiredCount == 0)
        }

        @Test func `the first small read is a slice, the next one, while that is kept, an exact copy`() {
            let slab = ReadSlab()
            let first = slab.read(10, of: 1)
            let second = slab.read(10, of: 2)
            #expect(first.retainedCapacity == ReadSlab.capacity)
            #expect(second.retainedCapacity == 10)
            #expect(first.isAll(1) && second.isAll(2))
        }

        @Test func `a large read is a slice although others are kept, one byte less is a copy`() {
            let slab = ReadSlab()
            let kept = slab.read(10, of: 1)
            let large = slab.read(ReadSlab.largeRead, of: 2)
            let small = slab.read(ReadSlab.largeRead - 1, of: 3)
            #expect(large.retainedCapacity == ReadSlab.capacity)
            #expect(small.retainedCapacity == ReadSlab.largeRead - 1)
            #expect(kept.isAll(1) && large.isAll(2) && small.isAll(3))
        }

        @Test func `when the last slice is dropped the slab starts over, and small reads are slices again`() {
            let slab = ReadSlab()
            let start = slab.roomStart
            var kept: Bytes? = slab.read(10_000, of: 1)
            #expect(slab.roomStart != start)
            #expect(kept?.isAll(1) == true)
            kept = nil
            slab.pass(10)
            let again = slab.read(10, of: 3)
            #expect(again.retainedCapacity == ReadSlab.capacity)
            #expect(slab.roomStart == start + 10)
        }

        @Test func `a slab that is full of kept slices retires and comes back when it is free`() {
            let slab = ReadSlab()
            var kept: [Bytes] = []
            while slab.retiredCount == 0 { kept.append(slab.read(16_384, of: UInt8(kept.count))) }
            for (number, bytes) in kept.enumerated() { #expect(bytes.isAll(UInt8(number))) }
            for number in 0..<100 {
                kept = kept.suffix(5) + [slab.read(16_384, of: UInt8(number))]
                for (offset, bytes) in kept.reversed().enumerated().prefix(number + 1) {
                    #expect(bytes.isAll(UInt8(number - offset)))
                }
            }
            #expect(slab.retiredCount == 1, "two slabs are used in turn, as one of them is always free")
        }

        @Test func `at most eight slabs are pinned besides the current one; then everything is copied`() {
            let slab = ReadSlab()
            var kept: [Bytes] = []
            for number in 0..<200 { kept.append(slab.read(16_384, of: UInt8(number))) }
            #expect(slab.retiredCount == ReadSlab.maximumRetired)
            #expect(kept.last?.retainedCapacity == 16_384)
            let pinned = kept.filter { $0.retainedCapacity == ReadSlab.capacity }
            #expect(pinned.count <= 9 * (ReadSlab.capacity / 16_384))
            for (number, bytes) in kept.enumerated() { #expect(bytes.isAll(UInt8(number))) }
        }

        @Test func `with all slabs pinned the largest reads overlap nothing that is kept`() {
            let slab = ReadSlab()
            var kept: [Bytes] = []
            for number in 0..<60 {
                kept.append(slab.read(slab.roomSize, of: UInt8(number)))
                #expect(slab.roomSize >= ReadSlab.leastRoom)
            }
            #expect(slab.retiredCount == ReadSlab.maximumRetired)
            for (number, bytes) in kept.enumerated() { #expect(bytes.isAll(UInt8(number)), "read \(number)") }
        }

        @Test func `slabs that are free again no longer count as pinned`() {
            let slab = ReadSlab()
            var kept: [Bytes] = []
            for number in 0..<200 { kept.append(slab.read(16_384, of: UInt8(number))) }
            kept = []
            slab.pass(10)
            let small = slab.read(10, of: 2)
            let large = slab.read(ReadSlab.largeRead, of: 3)
            #expect(large.retainedCapacity == ReadSlab.capacity, "a large read is a slice, as nothing but it is pinned")
            #expect(small.isAll(2))
        }

        @Test(arguments: [1, 2, 3, 4] as [UInt64])
        func `whatever is kept and dropped, kept bytes never change and there is always room`(seed: UInt64) {
            var random = Chance(seed: seed)
            let slab = ReadSlab()
            var kept: [(bytes: Bytes, byte: UInt8)] = []
            for step in 0..<1_500 {
                #expect(slab.roomSize >= ReadSlab.leastRoom)
                let byte = UInt8(truncatingIfNeeded: step)
                let largest = [16, 2_000, 20_000, slab.roomSize].randomElement(using: &random) ?? 16
                let bytes = slab.read(Int.random(in: 1...min(largest, slab.roomSize), using: &random), of: byte)
                if Int.random(in: 0..<3, using: &random) > 0 { kept.append((bytes, byte)) }
                while kept.count > 40 || (!kept.isEmpty && Int.random(in: 0..<4, using: &random) == 0) {
                    let (bytes, byte) = kept.remove(at: Int.random(in: kept.indices, using: &random))
                    #expect(bytes.isAll(byte), "step \(step)")
                }
                // From time to time everything goes, as when the connections of a burst close.
                if Int.random(in: 0..<200, using: &random) == 0 { kept = [] }
                #expect(slab.retiredCount <= ReadSlab.maximumRetired)
            }
            for (bytes, byte) in kept { #expect(bytes.isAll(byte)) }
        }
    }
}

extension ReadSlab {
    fileprivate var roomSize: Int { unsafe room.count }
    fileprivate var roomStart: UInt { UInt(bitPattern: unsafe room.baseAddress) }

    /// A read that its receiver does not keep.
    fileprivate func pass(_ count: Int) {
        _ = bytes(count)
        settle(count)
    }

    /// Fills the room with `count` times `byte`, as a driver does, and hands it over to a receiver that keeps it.
    fileprivate func read(_ count: Int, of byte: UInt8) -> Bytes {
        unsafe room.baseAddress!.initializeMemory(as: UInt8.self, repeating: byte, count: count)
        let bytes = bytes(count)
        settle(count)
        return bytes
    }
}

extension Bytes {
    fileprivate func isAll(_ byte: UInt8) -> Bool {
        unsafe withUnsafeBytes { bytes in
            // All bytes are the first one, and that is `byte`: the memory is compared with itself, shifted by one.
            guard bytes.count > 0, let start = bytes.baseAddress else { return true }
            return unsafe bytes[0] == byte && memcmp(start, start + 1, bytes.count - 1) == 0
        }
    }
}
