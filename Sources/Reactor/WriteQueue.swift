// What waits to be sent on one connection, in order: first what the system has been given and has not finished with,
// then the rest.

/// The bytes that a connection has taken over and the kernel has not.
@safe
final class WriteQueue {
    /// How much one request carries at most.
    ///
    /// Enough for the kernel to be busy, little enough that the low-water mark is noticed while there is still
    /// something to send.
    static var largestRequest: Int { 131_072 }
    /// How many buffers one request carries at most; the system's limit is `IOV_MAX`, 1,024.
    static var mostBuffers: Int { 64 }

    // SAFETY: the loop's thread alone uses it; a check of exclusivity at run time would find nothing.
    @exclusivity(unchecked) private var waiting: [Bytes] = []
    private var head = 0
    private var bytesInFlight = 0
    /// How many bytes were ever appended, and how many of those were sent.
    private(set) var queuedTotal: UInt64 = 0
    private(set) var sentTotal: UInt64 = 0

    /// How many bytes wait, those in flight included.
    private(set) var byteCount = 0

    /// How many places for pieces are in use, sent ones that were not swept out yet included.
    var placeCount: Int { unsafe waiting.count }

    /// Whether a request is under way.
    private(set) var isSending = false

    // What is gathered: see WriteQueue+Gathering.swift. It is behind everything that waits.
    // SAFETY: as `nextListed`.
    @exclusivity(unchecked) var block: ByteStorage?
    var runStart = 0
    var runEnd = 0
    /// How many bytes were gathered since the last attempt to send.
    var gathered = 0
    /// Whether the loop will flush what is gathered, and whose connection is next.
    var isListed = false
    // SAFETY: the loop's thread alone uses it; a check of exclusivity at run time would find nothing.
    @exclusivity(unchecked) var nextListed: StreamTransport?

    func append(_ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        seal()
        push(bytes)
        count(bytes.count)
    }

    /// Appends a piece that was counted before.
    func push(_ bytes: Bytes) { unsafe waiting.append(bytes) }

    func count(_ bytes: Int) {
        byteCount += bytes
        queuedTotal &+= UInt64(bytes)
    }

    /// Whether nothing waits but what is gathered.
    var hasOnlyRun: Bool { unsafe head == waiting.count }

    /// The piece that waits, if it is all that does.
    var onlyPiece: Bytes? { unsafe waiting.count - head == 1 && runStart == runEnd ? waiting[head] : nil }

    /// The first pieces that wait, as many as one call takes.
    var unsent: ArraySlice<Bytes> {
        seal()
        return unsafe waiting[head...].prefix(Self.mostBuffers)
    }

    /// The system has taken so many of the first bytes that wait, outside of a request.
    func didTake(_ bytes: Int) {
        byteCount -= bytes
        sentTotal &+= UInt64(bytes)
        var rest = bytes
        while unsafe rest > 0 && head < waiting.count {
            let first = unsafe waiting[head]
            if first.count > rest {
                unsafe waiting[head] = first[(first.startIndex + rest)...]
                return
            }
            rest -= first.count
            unsafe waiting[head] = Bytes()
            head += 1
        }
        runStart += rest
        sweep()
    }

    /// Changes the pieces that wait to others with the same bytes.
    func replaceWaiting(_ change: (Bytes) -> Bytes) {
        for place in unsafe head..<waiting.count { unsafe waiting[place] = change(waiting[place]) }
    }

    /// Takes what the next request carries; nil if one is under way or nothing waits.
    func next() -> [Bytes]? {
        seal()
        guard unsafe !isSending && head < waiting.count else { return nil }
        var request: [Bytes] = []
        while unsafe head < waiting.count && bytesInFlight < Self.largestRequest && request.count < Self.mostBuffers {
            let room = Self.largestRequest - bytesInFlight
            let first = unsafe waiting[head]
            if first.count > room {
                request.append(first[first.startIndex..<first.startIndex + room])
                unsafe waiting[head] = first[(first.startIndex + room)...]
                bytesInFlight += room
            } else {
                request.append(first)
                unsafe waiting[head] = Bytes()
                head += 1
                bytesInFlight += first.count
            }
        }
        sweep()
        isSending = true
        return request
    }

    private func sweep() {
        if head == 0 { return }
        if unsafe head == waiting.count {
            unsafe waiting.removeAll(keepingCapacity: true)
            head = 0
        } else if unsafe head > Self.mostBuffers && head * 2 > waiting.count {
            // A queue that is never empty must not keep what it has sent.
            unsafe waiting.removeSubrange(..<head)
            head = 0
        }
    }

    /// The request is done.
    ///
    /// Returns how many bytes it carried. If it has failed, none of them count as sent: how many were nobody knows.
    func didSend(hasFailed: Bool = false) -> Int {
        let sent = bytesInFlight
        byteCount -= sent
        if !hasFailed { sentTotal &+= UInt64(sent) }
        bytesInFlight = 0
        isSending = false
        return sent
    }

    /// Forgets everything.
    ///
    /// A request that is under way is no longer counted.
    func dropAll() {
        unsafe waiting = []
        head = 0
        byteCount = 0
        bytesInFlight = 0
        unsafe block = nil
        (runStart, runEnd, gathered) = (0, 0, 0)
    }
}
