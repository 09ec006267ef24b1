// Bytes: a collection with the indices of a slice, equal by content, sharing memory until a copy is asked for.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct BytesTests {
        @Test func `bytes are what they were made from`() {
            #expect(Array(Bytes([1, 2, 3])) == [1, 2, 3])
            #expect(Array(Bytes("höre".utf8)) == Array("höre".utf8))
            #expect(Bytes((1...3).lazy.map { UInt8($0) }) == [1, 2, 3])
            #expect(Bytes("abc") == Bytes("abc".utf8))
            #expect(String(decoding: "text" as Bytes, as: UTF8.self) == "text")
        }

        @Test func `a span is copied`() {
            let array: [UInt8] = [9, 8, 7]
            let bytes = unsafe Bytes(copying: array.span.bytes)
            #expect(bytes == [9, 8, 7])
        }

        @Test func `no bytes hold no memory, and every way to make them gives the same`() {
            let empty = [Bytes(), Bytes([]), Bytes("".utf8), [], ""]
            for bytes in empty {
                #expect(bytes.isEmpty)
                #expect(bytes.retainedCapacity == 0)
                #expect(bytes.span.byteCount == 0)
                #expect(bytes == Bytes())
            }
            #expect(Set(empty).count == 1)
        }

        @Test func `a slice keeps the indices and the memory of what it is a slice of`() {
            let bytes: Bytes = [0, 1, 2, 3, 4, 5, 6, 7]
            let slice = bytes[3...5]
            #expect(slice.startIndex == 3)
            #expect(slice.endIndex == 6)
            #expect(slice[4] == 4)
            #expect(slice.first == 3)
            #expect(slice.last == 5)
            #expect(Array(slice.dropFirst()) == [4, 5])
            #expect(Array(slice[4..<5]) == [4])
            #expect(slice.firstIndex(of: 5) == 5)
            #expect(slice.retainedCapacity == 8)
            #expect(bytes[8...].isEmpty)
        }

        @Test func `equality and hash look at the bytes alone`() {
            let bytes: Bytes = [1, 2, 1, 2]
            #expect(bytes[..<2] == bytes[2...])
            #expect(bytes[..<2] == [1, 2])
            #expect(bytes[..<2] != bytes[1..<3])
            #expect(bytes[..<2] != bytes)
            #expect(Set([bytes[..<2], bytes[2...], [1, 2]]).count == 1)
        }

        @Test func `an exact copy keeps the content and lets the rest of the memory go`() {
            let bytes = Bytes(repeatElement(UInt8(7), count: 1_000))
            let copy = bytes[100..<110].exactCopy()
            #expect(copy.retainedCapacity == 10)
            #expect(copy == bytes[100..<110])
            #expect(bytes.exactCopy().retainedCapacity == 1_000)
            #expect(Bytes().exactCopy().isEmpty)
            #expect(bytes[5..<5].exactCopy().retainedCapacity == 0)
        }

        @Test func `span and contiguous storage show the slice and not what is around it`() throws {
            let bytes: Bytes = [1, 2, 3, 4, 5]
            let slice = bytes[1..<4]
            #expect(slice.span.byteCount == 3)
            let contiguous = unsafe slice.withContiguousStorageIfAvailable { unsafe Array($0) }
            #expect(contiguous == [2, 3, 4])
            let copied = unsafe slice.withUnsafeBytes { unsafe Array($0) }
            #expect(copied == [2, 3, 4])
        }

        @Test func `bytes outlive what they were sliced from`() {
            var bytes: Bytes? = Bytes((0..<200).map { UInt8($0) })
            let slice = bytes?[50..<60]
            bytes = nil
            #expect(slice.map(Array.init) == Array(50..<60))
        }

        @Test(arguments: [1, 2, 3] as [UInt64])
        func `slices of slices agree with those of an array`(seed: UInt64) {
            var random = Chance(seed: seed)
            for _ in 0..<200 {
                let array = (0..<Int.random(in: 0..<300, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                var (bytes, model) = (Bytes(array), array[...])
                while !model.isEmpty {
                    let lower = Int.random(in: model.startIndex...model.endIndex, using: &random)
                    let upper = Int.random(in: lower...model.endIndex, using: &random)
                    bytes = bytes[lower..<upper]
                    model = model[lower..<upper]
                    #expect(bytes.indices == model.indices)
                    #expect(bytes.elementsEqual(model))
                    #expect(bytes == Bytes(model))
                }
            }
        }

        @Test func `an index outside the slice traps with a sentence`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let bytes: Bytes = [1, 2, 3]
                _ = bytes[1..<2][2]
            }
            let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
            #expect(text.contains("Index 2 is not in 1..<2"))
        }

        @Test func `a slice beyond the slice traps with a sentence`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let bytes: Bytes = [1, 2, 3]
                _ = bytes[1..<2][0..<2]
            }
            let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
            #expect(text.contains("Range 0..<2 is not in 1..<2"))
        }

        @Test func `bytes describe their number, not their content`() {
            #expect(("secret" as Bytes).description == "6 bytes")
        }
    }
}
