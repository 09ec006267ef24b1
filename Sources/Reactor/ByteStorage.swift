// The memory behind `Bytes`: one allocation that holds the count and the bytes, freed with its last reference.

/// Memory for bytes, owned by everyone who refers to it.
///
/// Its header never changes, and a byte is written only before the first `Bytes` that covers it is made, by the one
/// thread that knows the storage then: so it is safe to share, although `ManagedBuffer` cannot say so.
final class ByteStorage: ManagedBuffer<Int, UInt8> {
    static func make(capacity: Int) -> ByteStorage {
        // SAFETY: `create` returns an instance of the class that it is called on.
        unsafe unsafeDowncast(ByteStorage.create(minimumCapacity: capacity) { _ in capacity }, to: ByteStorage.self)
    }

    /// How many bytes fit. (The buffer's own `capacity` asks the allocator, which is slow.)
    var size: Int { header }

    /// The first byte.
    ///
    /// Valid while `self` is.
    var memory: UnsafeMutableRawPointer {
        unsafe withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) }
    }
}
