// Memory that a user brings for a connection to read into. It is an object, so that whoever fills it can keep it alive
// for exactly as long as the system may write to it.

/// A block of memory of fixed size that a connection reads into.
///
/// Make one per connection and use it again and again: ``BufferedStreamProtocol`` then receives without a copy and
/// without an allocation. Not `Sendable`.
///
/// The corresponding asyncio name is what `BufferedProtocol.get_buffer` returns.
@safe
public final class ReadBuffer {
    // SAFETY: `capacity` bytes, all initialised, valid until `deinit`; `owner` keeps foreign memory alive.
    let memory: UnsafeMutableRawPointer
    private let owner: AnyObject?
    private let ownsMemory: Bool

    /// How many bytes fit.
    public let capacity: Int

    /// Where the next read begins.
    ///
    /// Move it forward to keep what was read, back to 0 to use the memory again.
    public var position = 0 {
        didSet {
            require(
                position >= 0 && position <= capacity,
                "ReadBuffer.position \(position) is outside its \(capacity) bytes."
            )
        }
    }

    /// Allocates a buffer of `capacity` zeroed bytes.
    public init(capacity: Int) {
        require(capacity > 0, "A ReadBuffer needs room for at least one byte.")
        self.capacity = capacity
        unsafe memory = .allocate(byteCount: capacity, alignment: 16)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
        owner = nil
        ownsMemory = true
    }

    /// Wraps memory of the caller's, which must be initialised.
    ///
    /// - Parameters:
    ///   - memory: Must stay valid, and be touched by nobody else while a read may fill it, for as long as `owner` or
    ///     this object lives.
    ///   - owner: Kept alive with this object.
    @unsafe
    public init(unsafeMemory memory: UnsafeMutableRawBufferPointer, owner: AnyObject?) {
        require(memory.count > 0, "A ReadBuffer needs room for at least one byte.")
        capacity = memory.count
        unsafe self.memory = memory.baseAddress!
        self.owner = owner
        ownsMemory = false
    }

    deinit {
        if ownsMemory { unsafe memory.deallocate() }
    }

    /// Calls `body` with the bytes of `range`.
    public func withBytes<R, E: Error>(_ range: Range<Int>, _ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        require(
            range.lowerBound >= 0 && range.upperBound <= capacity,
            "Range \(range) is outside the \(capacity) bytes of this ReadBuffer."
        )
        // SAFETY: the range is within the memory, and the span does not leave the call.
        return try unsafe body(
            RawSpan(_unsafeStart: UnsafeRawPointer(memory + range.lowerBound), byteCount: range.count)
        )
    }
}
