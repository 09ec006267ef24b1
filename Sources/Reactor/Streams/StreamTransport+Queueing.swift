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
        let queue = queue ?? WriteQueue()
        self.queue = queue
        if !queue.isListed {
            queue.isListed = true
            core.flushes.append(self)
        }
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
            written = unsafe driver.tryWrite(run)
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
    // SAFETY: the loop's thread alone uses it; a check of exclusivity at run time would find nothing.
    @exclusivity(unchecked) private var transports: [StreamTransport] = []

    @inline(__always)
    var isEmpty: Bool { unsafe transports.isEmpty }

    func append(_ transport: StreamTransport) { unsafe transports.append(transport) }

    /// Flushes all of them.
    @inline(never)
    func flush() {
        var next = 0
        // By number, as what is flushed may list others.
        while unsafe next < transports.count {
            let transport = unsafe transports[next]
            transport.queue?.isListed = false
            transport.flushQueued()
            next += 1
        }
        unsafe transports.removeAll(keepingCapacity: true)
    }
}

/// Memory in which small pieces are gathered, lent to connections for as long as they need it.
final class WriteBlocks {
    static var capacity: Int { 16_384 }
    /// Smaller pieces than this are copied into a block.
    static var smallPiece: Int { 4_096 }
    /// How many blocks are kept.
    static var mostSpare: Int { 16 }

    private var spare: [ByteStorage] = []

    var spareCount: Int { spare.count }

    func take() -> ByteStorage { spare.popLast() ?? ByteStorage.make(capacity: Self.capacity) }

    func giveBack(_ block: consuming ByteStorage) {
        var block = block
        if spare.count < Self.mostSpare, isKnownUniquelyReferenced(&block) { spare.append(block) }
    }
}
