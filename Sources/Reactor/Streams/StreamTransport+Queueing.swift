// Writing without waiting: what is written in a turn is gathered and handed to the kernel in one call, before the loop
// polls at the latest. Small pieces are copied one behind the other into a block that the loop lends; large ones are kept
// as they are.
//
// Ground rules:
//   * What is gathered is part of the write queue, so that whatever is written, ended or closed after it comes after it,
//     and the direct way of `write` is barred as long as there is any.
//   * Whoever gathers is on the loop's list, once, until the loop has flushed it.
//   * A block belongs to one connection for as long as something of it waits, and then to the loop again: gathering
//     allocates nothing, and an idle connection has no block.

internal import CReactor

extension StreamTransport {
    /// How many bytes are gathered before they go out without waiting for the turn to end.
    static var flushThreshold: Int { 16_384 }

    /// Gathers bytes.
    func queueWrite(_ bytes: Bytes) {
        guard bytes.count >= WriteBlocks.smallPiece else {
            return unsafe bytes.withUnsafeBytes { unsafe queueWrite($0) }
        }
        guard phase == .open, writingEnd == .open else { return }
        let queue = gathering()
        queue.append(bytes)
        queue.gathered += bytes.count
        if queue.gathered >= Self.flushThreshold { flushQueued() }
    }

    /// The same for memory that is free again when this returns.
    func queueWrite(_ bytes: UnsafeRawBufferPointer) {
        guard phase == .open, writingEnd == .open, bytes.count > 0 else { return }
        let queue = gathering()
        if bytes.count < WriteBlocks.smallPiece {
            unsafe queue.copy(bytes, core.writeBlocks)
        } else {
            unsafe queue.append(Bytes(copying: bytes))
        }
        queue.gathered += bytes.count
        if queue.gathered >= Self.flushThreshold { flushQueued() }
    }

    private func gathering() -> WriteQueue {
        let queue = queue ?? makeQueue()
        if !queue.isListed { core.flushes.append(self, queue) }
        return queue
    }

    private func makeQueue() -> WriteQueue {
        let queue = WriteQueue()
        self.queue = queue
        return queue
    }

    /// Hands what was gathered to the kernel, as far as that takes it.
    @inline(never)
    func flushQueued() {
        guard let queue, queue.gathered > 0, !driverClosing else { return }
        queue.gathered = 0
        // Behind a request that is under way it goes out with the next.
        guard !queue.isSending else { return pauseIfNeeded() }
        core.statistics.flushes &+= 1
        let written: Int
        if let run = unsafe queue.onlyRun {
            // PERF: as in `writeHere`.
            written =
                descriptor >= 0
                ? unsafe creactor_send(descriptor, run.baseAddress, run.count) : unsafe driver.tryWrite(run)
        } else if let piece = queue.onlyPiece {
            written = unsafe piece.withUnsafeBytes { unsafe driver.tryWrite($0) }
        } else {
            written = driver.tryWrite(queue.unsent)
        }
        guard let sent = accepted(written) else { return }
        queue.didTake(sent)
        if queue.byteCount == 0 {
            queue.giveBack(to: core.writeBlocks)
        } else {
            queue.ownSmallPieces(core.writeBlocks)
            didQueue()
        }
    }
}

/// Connections that have gathered something in this turn.
@safe
final class FlushList {
    // The list goes through the queues, each of which holds the connection after its own.
    // SAFETY: the loop's thread alone uses it; a check of exclusivity at run time would find nothing.
    @exclusivity(unchecked) private var first: StreamTransport?
    // SAFETY: as above. In the list that `first` begins.
    @exclusivity(unchecked) private var last: Unmanaged<WriteQueue>?

    @inline(__always)
    var isEmpty: Bool { unsafe first == nil && replaced.isEmpty }

    func append(_ transport: StreamTransport, _ queue: WriteQueue) {
        queue.isListed = true
        if let last = unsafe last {
            unsafe last._withUnsafeGuaranteedRef { unsafe $0.nextListed = transport }
        } else {
            unsafe first = transport
        }
        unsafe last = Unmanaged.passUnretained(queue)
    }

    // SAFETY: as above.
    @exclusivity(unchecked) private var replaced: [Receiver] = []

    /// Keeps a protocol that was replaced until nothing of this turn runs any more, of which its method may be a part.
    func keep(_ receiver: Receiver) { unsafe replaced.append(receiver) }

    /// Flushes all of them, and those that are listed meanwhile.
    @inline(never)
    func flush() {
        while let transport = unsafe first.take() {
            if let queue = transport.queue {
                unsafe first = queue.nextListed.take()
                queue.isListed = false
            }
            if unsafe first == nil { unsafe last = nil }
            transport.flushQueued()
        }
        if unsafe !replaced.isEmpty { letGo() }
    }

    @inline(never)
    private func letGo() {
        // What a protocol does at its end may replace another.
        let old = unsafe replaced
        unsafe replaced = []
        withExtendedLifetime(old) {}
    }
}

/// Memory in which small pieces are gathered, lent to connections for as long as they need it.
///
/// In two sizes, as in a turn in which many connections write, most write little: what is lent to all of them at once should
/// stay in the processor's cache, and all of it be kept for the next turn.
@safe
final class WriteBlocks {
    /// What a connection is lent first.
    static var smallCapacity: Int { 1_024 }
    /// What it is lent instead when that is full.
    static var capacity: Int { 16_384 }
    /// Smaller pieces than this are copied into a block.
    static var smallPiece: Int { 4_096 }
    /// How many blocks are kept.
    static var mostSmallSpare: Int { 512 }
    static var mostSpare: Int { 16 }

    // The one that is used again and again, and others.
    // SAFETY: the loop's thread alone uses it; a check of exclusivity at run time would find nothing.
    @exclusivity(unchecked) private var warm: ByteStorage?
    // SAFETY: as above.
    @exclusivity(unchecked) private var small: [ByteStorage] = []
    // SAFETY: as above.
    @exclusivity(unchecked) private var large: [ByteStorage] = []

    var smallSpareCount: Int { unsafe small.count + (warm == nil ? 0 : 1) }
    var spareCount: Int { unsafe large.count }

    /// A block with room for so many bytes, which are not more than a large one has.
    func take(for count: Int) -> ByteStorage {
        guard count <= Self.smallCapacity else {
            return unsafe large.popLast() ?? ByteStorage.make(capacity: Self.capacity)
        }
        if let block = unsafe warm.take() { return block }
        return unsafe small.popLast() ?? ByteStorage.make(capacity: Self.smallCapacity)
    }

    func giveBack(_ block: consuming ByteStorage) {
        var block = block
        guard isKnownUniquelyReferenced(&block) else { return }
        if block.size > Self.smallCapacity {
            if unsafe large.count < Self.mostSpare { unsafe large.append(block) }
        } else if unsafe warm == nil {
            unsafe warm = block
        } else if unsafe small.count + 1 < Self.mostSmallSpare {
            unsafe small.append(block)
        }
    }
}
