// Memory of a user's own to read into: its bounds are checked, and foreign memory lives as long as the buffer.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ReadBufferTests {
        @Test func `a new buffer is all zeros, with its position at the beginning`() {
            let buffer = ReadBuffer(capacity: 100)
            #expect(buffer.capacity == 100)
            #expect(buffer.position == 0)
            #expect(buffer.withBytes(0..<100) { Bytes(copying: $0) } == Bytes(repeatElement(0, count: 100)))
        }

        @Test func `the position goes anywhere from the beginning to the end`() {
            let buffer = ReadBuffer(capacity: 10)
            for position in [10, 0, 5] {
                buffer.position = position
                #expect(buffer.position == position)
            }
        }

        @Test func `ranges show what is in them, empty ones at both ends too`() {
            let buffer = ReadBuffer(capacity: 4)
            for index in 0..<4 {
                unsafe buffer.memory.storeBytes(of: UInt8(index), toByteOffset: index, as: UInt8.self)
            }
            #expect(buffer.withBytes(1..<3) { Bytes(copying: $0) } == [1, 2])
            #expect(buffer.withBytes(0..<0) { $0.byteCount } == 0)
            #expect(buffer.withBytes(4..<4) { $0.byteCount } == 0)
        }

        @Test func `what the closure throws comes out`() {
            let buffer = ReadBuffer(capacity: 4)
            #expect(throws: LoopError.emptyReadBuffer) {
                try buffer.withBytes(0..<1) { (_: RawSpan) throws(LoopError) -> Void in throw .emptyReadBuffer }
            }
        }

        @Test func `foreign memory is used as it is, and its owner lives as long as the buffer`() {
            let released = Recorder<String>()
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
            defer { unsafe memory.deallocate() }
            unsafe memory.initializeMemory(as: UInt8.self, repeating: 7)
            var buffer: ReadBuffer? = holding("owner", released) { unsafe ReadBuffer(unsafeMemory: memory, owner: $0) }
            #expect(buffer?.capacity == 8)
            #expect(buffer?.withBytes(0..<8) { Bytes(copying: $0) } == Bytes(repeatElement(7, count: 8)))
            #expect(released.all.isEmpty)
            buffer = nil
            #expect(released.all == ["owner"])
            #expect(unsafe memory[0] == 7)
        }

        @Test func `a buffer without room cannot be made`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                _ = ReadBuffer(capacity: 0)
            }
            #expect(try text(of: result).contains("needs room for at least one byte"))
        }

        @Test func `a position outside the memory traps with a sentence`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                ReadBuffer(capacity: 10).position = 11
            }
            #expect(try text(of: result).contains("ReadBuffer.position 11 is outside its 10 bytes"))
        }

        @Test func `a range outside the memory traps with a sentence`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                ReadBuffer(capacity: 10).withBytes(5..<11) { _ in }
            }
            #expect(try text(of: result).contains("is outside the 10 bytes of this ReadBuffer"))
        }

        private func text(of result: ExitTest.Result?) throws -> String {
            String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        }
    }
}
