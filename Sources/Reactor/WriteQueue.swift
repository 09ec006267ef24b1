// What waits to be sent on one connection, in order: first what the system has been given and has not finished with,
// then the rest.

/// The bytes that a connection has taken over and the kernel has not.
final class WriteQueue {
    /// How much one request carries at most.
    ///
    /// Enough for the kernel to be busy, little enough that the low-water mark is noticed while there is still
    /// something to send.
    static var largestRequest: Int { 131_072 }
    /// How many buffers one request carries at most; the system's limit is `IOV_MAX`, 1,024.
    static var mostBuffers: Int { 64 }

    private var waiting: [Bytes] = []
    private var head = 0
    private var bytesInFlight = 0
    /// How many bytes were ever appended, and how many of those were sent.
    private(set) var queuedTotal: UInt64 = 0
    private(set) var sentTotal: UInt64 = 0

    /// How many bytes wait, those in flight included.
    private(set) var byteCount = 0

    /// How many places for pieces are in use, sent ones that were not swept out yet included.
    var placeCount: Int { waiting.count }

    /// Whether a request is under way.
    private(set) var isSending = false

    func append(_ bytes: Bytes) {
        guard !bytes.isEmpty else { return }
        waiting.append(bytes)
        byteCount += bytes.count
        queuedTotal &+= UInt64(bytes.count)
    }

    /// Takes what the next request carries; nil if one is under way or nothing waits.
    func next() -> [Bytes]? {
        guard !isSending && head < waiting.count else { return nil }
        var request: [Bytes] = []
        while head < waiting.count && bytesInFlight < Self.largestRequest && request.count < Self.mostBuffers {
            let room = Self.largestRequest - bytesInFlight
            let first = waiting[head]
            if first.count > room {
                request.append(first[first.startIndex..<first.startIndex + room])
                waiting[head] = first[(first.startIndex + room)...]
                bytesInFlight += room
            } else {
                request.append(first)
                waiting[head] = Bytes()
                head += 1
                bytesInFlight += first.count
            }
        }
        if head == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            head = 0
        } else if head > Self.mostBuffers && head * 2 > waiting.count {
            // A queue that is never empty must not keep what it has sent.
            waiting.removeSubrange(..<head)
            head = 0
        }
        isSending = true
        return request
    }

    /// The request is done.
    ///
    /// Returns how many bytes it carried.
    func didSend() -> Int {
        let sent = bytesInFlight
        byteCount -= sent
        sentTotal &+= UInt64(sent)
        bytesInFlight = 0
        isSending = false
        return sent
    }

    /// Forgets everything.
    ///
    /// A request that is under way is no longer counted.
    func dropAll() {
        waiting = []
        head = 0
        byteCount = 0
        bytesInFlight = 0
    }
}
