// Reading and writing that wait in the system: for threads that may, never for a loop's.

internal import CReactor

/// A descriptor that is read and written by a thread that may wait.
package struct BlockingDescriptor: Sendable {
    private let descriptor: CInt

    package init(_ descriptor: CInt) { self.descriptor = descriptor }

    /// Reads what there is, at most so many bytes; nil at the end.
    package func read(atMost count: Int) throws -> Bytes? {
        let memory = ByteStorage.make(capacity: count)
        // SAFETY: the storage has room for that many bytes, and nobody else knows it yet.
        let received = unsafe creactor_read(descriptor, memory.memory, count)
        if received < 0 { throw SystemError(status: CInt(received), call: "read") }
        if received == 0 { return nil }
        return unsafe Bytes(
            storage: memory,
            base: UnsafePointer(memory.memory.assumingMemoryBound(to: UInt8.self)),
            startIndex: 0,
            endIndex: received
        )
    }

    /// Closes it.
    package func close() { creactor_close(descriptor) }

    /// Writes all of the bytes.
    package func write(_ bytes: Bytes) throws {
        let status = unsafe bytes.withUnsafeBytes { unsafe creactor_write_all(descriptor, $0.baseAddress, $0.count) }
        try check(status, "write")
    }
}
