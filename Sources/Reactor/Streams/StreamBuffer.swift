// What a reader has received and not handed out: the piece that has come last, as it came, behind memory of the reader's
// own, into which goes what was there before it.
//
// Ground rules:
//   * What lies in one piece is handed out as a slice of it: a line that came whole is not copied.
//   * Before a reader waits for more, what it has is copied: so an idle reader never pins the loop's read memory. Of what
//     comes then only the part is copied that belongs to what is being read.
//   * A byte of the own memory is written once before it is handed out and not again while somebody holds it
//     (`ByteStorage`). If nobody does, the memory is used from its beginning again.

internal import CReactor

/// The bytes that a ``StreamReader`` is putting together.
@safe
final class StreamBuffer {
    /// How much memory is kept from one read to the next.
    static var keptCapacity: Int { 16_384 }

    private var storage: ByteStorage?
    // What of the own memory is unread. Nothing behind `end` was ever handed out.
    private var start = 0
    private var end = 0
    /// What has come last.
    private var back = Bytes()

    init() {}

    /// How many bytes are in memory of its own.
    var frontCount: Int { end - start }

    /// How many bytes there are.
    var count: Int { end - start + back.count }

    /// How many bytes its own memory has room for.
    var capacity: Int { storage?.size ?? 0 }

    /// Appends what has come, which what came before must have been settled for.
    func receive(_ bytes: Bytes) {
        assert(back.isEmpty, "a piece has come before the one before it was settled")
        guard !bytes.isEmpty else { return }
        if frontCount == 0, unsafe isEndOfStorage(bytes) {
            // What was handed out and has come back unread: more can follow it where it is.
            start = bytes.startIndex
            end = bytes.endIndex
        } else {
            back = bytes
        }
    }

    @unsafe
    private func isEndOfStorage(_ bytes: Bytes) -> Bool {
        guard let storage, let other = unsafe bytes.storage else { return false }
        return storage === other && bytes.endIndex == end
    }

    /// Copies what has come last into memory of its own, as more is to follow.
    ///
    /// - Parameter total: How many bytes there will be in the end, as far as that is known.
    func settle(expecting total: Int = 0) {
        guard !back.isEmpty else { return }
        moveToFront(back.count, expecting: total)
    }

    /// Takes the first bytes out.
    func take(_ count: Int) -> Bytes {
        if frontCount == 0 {
            let place = back.startIndex + count
            let taken = back[..<place]
            back = place == back.endIndex ? Bytes() : back[place...]
            return taken
        }
        if count > frontCount { moveToFront(count - frontCount) }
        defer { start += count }
        return slice(start, start + count)
    }

    /// Takes everything out, in one piece.
    func takeAll() -> Bytes { take(count) }

    /// Drops everything.
    func removeAll() {
        start = end
        back = Bytes()
    }

    /// Gives memory back that is too large to be kept, when nothing is left in it.
    func letGo() {
        if frontCount == 0, capacity > Self.keptCapacity {
            storage = nil
            start = 0
            end = 0
        }
    }

    private func slice(_ from: Int, _ to: Int) -> Bytes {
        guard let storage, from < to else { return Bytes() }
        // SAFETY: the bytes up to `end` were written, and nobody writes them again while this refers to them.
        return unsafe Bytes(
            storage: storage,
            base: UnsafePointer(storage.memory.assumingMemoryBound(to: UInt8.self)),
            startIndex: from,
            endIndex: to
        )
    }

    private func moveToFront(_ count: Int, expecting total: Int = 0) {
        let storage = room(for: count, expecting: total)
        // SAFETY: there is room for so many bytes behind `end`, which nobody has been handed.
        unsafe back.withUnsafeBytes {
            unsafe (storage.memory + end).copyMemory(from: $0.baseAddress!, byteCount: count)
        }
        end += count
        back = count == back.count ? Bytes() : back[(back.startIndex + count)...]
    }

    /// Memory with room for so many bytes behind `end`.
    private func room(for count: Int, expecting total: Int) -> ByteStorage {
        let isOwned = isKnownUniquelyReferenced(&storage)
        if frontCount == 0 && isOwned { (start, end) = (0, 0) }
        if let storage, storage.size - end >= count { return storage }
        let needed = frontCount + count
        if let storage, isOwned, storage.size >= needed {
            // SAFETY: within the memory, which nobody else refers to.
            unsafe storage.memory.copyMemory(from: storage.memory + start, byteCount: frontCount)
            (start, end) = (0, frontCount)
            return storage
        }
        // What is announced is believed up to what the reader keeps anyway: a peer can announce much and send little.
        var capacity = max(512, min(total, Self.keptCapacity))
        while capacity < needed { capacity *= 2 }
        let larger = ByteStorage.make(capacity: capacity)
        // SAFETY: the new memory is larger, and nobody else knows it yet.
        if let storage { unsafe larger.memory.copyMemory(from: storage.memory + start, byteCount: frontCount) }
        (start, end) = (0, frontCount)
        storage = larger
        return larger
    }
}

// MARK: Searching

extension StreamBuffer {
    /// Where the separator lies that ends first, if one does behind the first `offset` bytes; before those none begins.
    ///
    /// What is in its own memory is not searched twice, but for the few bytes in which a separator can have begun.
    func find(_ separators: Separators, from offset: Int) -> Range<Int>? {
        var found: Range<Int>?
        let front = frontCount
        if front > 0 {
            if offset + separators.shortest <= front {
                found = unsafe withFront(from: offset) { unsafe separators.first(in: $0) }?.shifted(by: offset)
            }
            if separators.longest > 1, !back.isEmpty {
                let seam = seam(separators.longest - 1)
                let place = front - min(front, separators.longest - 1)
                let match = unsafe seam.withUnsafeBytes { unsafe separators.first(in: $0) }?.shifted(by: place)
                found = Separators.earlier(found, match)
            }
        }
        guard found == nil, !back.isEmpty else { return found }
        let skipped = max(0, offset - front)
        let match = unsafe back.withUnsafeBytes { bytes in
            unsafe separators.first(in: UnsafeRawBufferPointer(rebasing: bytes[min(skipped, bytes.count)...]))
        }
        return match?.shifted(by: front + skipped)
    }

    private func withFront<Value>(from offset: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        guard let storage else { return unsafe body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        // SAFETY: written, and within the memory.
        return unsafe body(UnsafeRawBufferPointer(start: storage.memory + start + offset, count: frontCount - offset))
    }

    /// The last bytes of the front and the first of the back: where a separator can lie that is in both.
    private func seam(_ width: Int) -> [UInt8] {
        let before = min(frontCount, width)
        var seam = unsafe withFront(from: frontCount - before) { unsafe Array($0) }
        seam.append(contentsOf: back.prefix(width))
        return seam
    }
}

extension Range<Int> {
    fileprivate func shifted(by count: Int) -> Range<Int> { lowerBound + count..<upperBound + count }
}
