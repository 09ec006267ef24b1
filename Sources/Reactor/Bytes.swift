// Bytes that were received, or that are to be sent: a reference-counted slice of memory that never changes. Copying a
// `Bytes` copies a reference; slicing shares the memory; the memory goes when its last slice does.
//
// Indices are those of the slice's base, as with `ArraySlice`: what the loop hands over begins at 0, and
// `bytes[5...]` begins at 5.

/// An immutable, reference-counted sequence of bytes.
///
/// What a connection receives arrives as `Bytes` that share the loop's read memory where that is cheap and are an exact
/// copy where it is not, so that keeping a few small ones never pins much memory. They may be kept, sliced, sent to
/// other threads and written to other connections.
///
///     let line = String(decoding: bytes[..<end], as: UTF8.self)
///
/// The corresponding asyncio name is `bytes`; the corresponding libuv type is `uv_buf_t`, which owns nothing.
@safe
public struct Bytes: Sendable {
    /// Keeps the memory alive; nil only for empty bytes.
    // SAFETY: see `ByteStorage`: what a `Bytes` covers is never written again.
    nonisolated(unsafe) let storage: ByteStorage?
    // SAFETY: index 0. The bytes of `startIndex..<endIndex` from here are initialised, never change while a `Bytes`
    // refers to them, and live as long as `storage`.
    nonisolated(unsafe) let base: UnsafePointer<UInt8>

    /// The index of the first byte.
    public let startIndex: Int
    /// The index after the last byte.
    public let endIndex: Int

    @inline(__always)
    init(storage: ByteStorage?, base: UnsafePointer<UInt8>, startIndex: Int, endIndex: Int) {
        unsafe self.storage = storage
        unsafe self.base = base
        self.startIndex = startIndex
        self.endIndex = endIndex
    }

    /// No bytes.
    public init() {
        // SAFETY: the address is never read, as there is no byte to read.
        unsafe self.init(storage: nil, base: UnsafePointer(bitPattern: 1)!, startIndex: 0, endIndex: 0)
    }

    /// Copies a buffer.
    public init(copying bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else {
            self.init()
            return
        }
        let storage = ByteStorage.make(capacity: bytes.count)
        // SAFETY: the storage holds `bytes.count` bytes and nobody else knows it yet.
        unsafe storage.memory.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        unsafe self.init(
            storage: storage,
            base: UnsafePointer(storage.memory.assumingMemoryBound(to: UInt8.self)),
            startIndex: 0,
            endIndex: bytes.count
        )
    }

    /// Copies a span.
    public init(copying span: RawSpan) {
        // SAFETY: the span's memory is read during the call only.
        self = unsafe span.withUnsafeBytes { unsafe Bytes(copying: $0) }
    }

    /// Copies any sequence of bytes, such as an array or the UTF-8 of a string.
    public init(_ bytes: some Sequence<UInt8>) {
        let copied: Bytes? = bytes.withContiguousStorageIfAvailable {
            unsafe Bytes(copying: UnsafeRawBufferPointer($0))
        }
        self = copied ?? Bytes(copyingArray: Array(bytes))
    }

    private init(copyingArray array: [UInt8]) {
        self = unsafe array.withUnsafeBytes { unsafe Bytes(copying: $0) }
    }

    /// Calls `body` with the memory of the bytes, which must not be kept or changed.
    public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        // SAFETY: `self` keeps the memory alive for the length of the call.
        try unsafe body(UnsafeRawBufferPointer(start: base + startIndex, count: count))
    }

    /// The bytes as a span, for as long as this value is not changed.
    public var span: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            // SAFETY: `self` keeps the memory alive and unchanged while the span borrows it.
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base + startIndex), byteCount: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Copies as many bytes as fit to the beginning of a span.
    ///
    /// - Returns: How many that were.
    public func copyBytes(to span: inout MutableRawSpan) -> Int {
        let fitting = Swift.min(count, span.byteCount)
        unsafe span.withUnsafeMutableBytes { target in
            guard fitting > 0, let start = target.baseAddress else { return }
            // SAFETY: both hold that many bytes, and nobody else has the span while it is inout.
            unsafe start.copyMemory(from: base + startIndex, byteCount: fitting)
        }
        return fitting
    }

    /// How many bytes of memory these bytes keep alive, which can be more than they are.
    public var retainedCapacity: Int { unsafe storage?.size ?? 0 }

    /// The same bytes in memory of their own, if they share a larger piece of memory.
    public func exactCopy() -> Bytes {
        guard retainedCapacity > count else { return self }
        return unsafe withUnsafeBytes { unsafe Bytes(copying: $0) }
    }
}

extension Bytes: RandomAccessCollection {
    /// The byte at an index of this slice.
    public subscript(index: Int) -> UInt8 {
        require(index >= startIndex && index < endIndex, "Index \(index) is not in \(startIndex)..<\(endIndex)")
        return unsafe base[index]
    }

    /// A slice, which shares the memory and keeps the indices.
    public subscript(range: Range<Int>) -> Bytes {
        require(
            range.lowerBound >= startIndex && range.upperBound <= endIndex,
            "Range \(range) is not in \(startIndex)..<\(endIndex)"
        )
        return unsafe Bytes(storage: storage, base: base, startIndex: range.lowerBound, endIndex: range.upperBound)
    }

    /// Lets algorithms use the memory directly.
    public func withContiguousStorageIfAvailable<R>(
        _ body: (UnsafeBufferPointer<UInt8>) throws -> R
    ) rethrows -> R? {
        // SAFETY: as in `withUnsafeBytes`.
        try unsafe body(UnsafeBufferPointer(start: base + startIndex, count: count))
    }
}

extension Bytes: Hashable {
    /// Whether both hold the same bytes, wherever they are and whatever their indices.
    public static func == (left: Bytes, right: Bytes) -> Bool { left.count == right.count && left.elementsEqual(right) }

    /// Hashes the bytes and their number.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        unsafe withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
}

extension Bytes: CustomStringConvertible, ExpressibleByArrayLiteral, ExpressibleByStringInterpolation {
    /// The number of bytes; `String(decoding: bytes, as: UTF8.self)` is the text in them.
    public var description: String { "\(count) bytes" }

    /// Creates bytes from a literal list of them.
    public init(arrayLiteral elements: UInt8...) { self.init(elements) }

    /// Creates bytes from the UTF-8 of a literal.
    public init(stringLiteral value: String) { self.init(value.utf8) }
}
