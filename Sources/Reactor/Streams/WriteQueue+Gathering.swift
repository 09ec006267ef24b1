// The open end of a write queue: small pieces that are gathered one behind the other in a block, until they are sent or
// something is queued behind them. See StreamTransport+Queueing.swift.

extension WriteQueue {
    /// Gathers a small piece.
    func copy(_ bytes: UnsafeRawBufferPointer, _ blocks: WriteBlocks) {
        if let size = unsafe block?.size, size - runEnd < bytes.count { makeRoom(for: bytes.count, blocks) }
        let block = unsafe block ?? blocks.take(for: bytes.count)
        unsafe self.block = block
        // SAFETY: there is room behind `runEnd`, which no `Bytes` covers.
        unsafe (block.memory + runEnd).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        runEnd += bytes.count
        count(bytes.count)
    }

    /// Goes on in a large block, with what was gathered; or, if that is too much for one, begins another behind it.
    private func makeRoom(for count: Int, _ blocks: WriteBlocks) {
        let run = runEnd - runStart
        if let small = unsafe block?.size, small < WriteBlocks.capacity, run > 0, run + count <= WriteBlocks.capacity {
            let larger = blocks.take(for: WriteBlocks.capacity)
            // SAFETY: written, and there is room for it.
            unsafe larger.memory.copyMemory(from: block!.memory + runStart, byteCount: run)
            giveBack(to: blocks)
            unsafe block = larger
            runEnd = run
        } else {
            seal()
            giveBack(to: blocks)
        }
    }

    /// What was gathered, if it is all that waits.
    var onlyRun: UnsafeRawBufferPointer? {
        guard hasOnlyRun, let block = unsafe block else { return nil }
        // SAFETY: written, and valid until something is gathered or given back.
        return unsafe UnsafeRawBufferPointer(start: block.memory + runStart, count: runEnd - runStart)
    }

    /// Makes what was gathered one of the pieces that wait.
    func seal() {
        guard runEnd > runStart, let block = unsafe block else { return }
        // SAFETY: written, and not again while this refers to it: what follows goes behind it.
        let bytes = unsafe Bytes(
            storage: block,
            base: UnsafePointer(block.memory.assumingMemoryBound(to: UInt8.self)),
            startIndex: runStart,
            endIndex: runEnd
        )
        runStart = runEnd
        push(bytes)
    }

    /// Lets the block go, of which nothing is gathered any more; the loop keeps it if nobody refers to it.
    func giveBack(to blocks: WriteBlocks) {
        guard let block = unsafe block.take() else { return }
        (runStart, runEnd) = (0, 0)
        blocks.giveBack(block)
    }

    /// Copies the small pieces that wait, so that a peer that does not read pins its own bytes and nobody else's memory.
    func ownSmallPieces(_ blocks: WriteBlocks) {
        seal()
        replaceWaiting { $0.count < ReadSlab.largeRead ? $0.exactCopy() : $0 }
        giveBack(to: blocks)
    }
}
