// How bytes go out: to the kernel at once, as far as it takes them; the rest waits in the queue and goes out as vectored
// writes, one request at a time. Crossing the high-water mark tells the protocol before `write` returns.

internal import CReactor

extension StreamTransport {
    /// Sends bytes.
    ///
    /// Returns at once; what the kernel does not take now is kept and sent in order.
    ///
    /// Writing no bytes does nothing. Once the connection is closing or lost, bytes are dropped in silence, as the
    /// protocol will hear or has heard of it. Writing after ``writeEOF()`` is a mistake and traps.
    ///
    /// The corresponding asyncio name is `WriteTransport.write`; the libuv calls are `uv_try_write` and `uv_write`.
    public func write(_ bytes: Bytes) {
        // PERF: a call at the end costs nothing where all is well. (echo 50 × 64 B)
        guard core.isCurrentHere else { return writeElsewhere(bytes) }
        writeHere(bytes)
    }

    @inline(never)
    private func writeElsewhere(_ bytes: Bytes) {
        core.requireHere("StreamTransport")
        writeHere(bytes)
    }

    /// The same where it is known to be the loop.
    @inline(__always)
    func writeHere(_ bytes: Bytes) {
        // PERF: the short way first: an open socket that takes everything. `send` and not `uv_try_write`, which looks at
        // much that is known here, at 90 instructions a message. (echo 50 × 64 B)
        let count = bytes.endIndex &- bytes.startIndex
        if phase == .open && writingEnd == .open && writeBufferSize == 0 && descriptor >= 0 && count > 0 {
            let written = unsafe creactor_send(descriptor, bytes.base + bytes.startIndex, count)
            if written == count {
                core.statistics.bytesSent &+= UInt64(bitPattern: Int64(count))
            } else {
                keepRest(bytes, written)
            }
        } else {
            writeTheLongWay(bytes)
        }
    }

    @inline(never)
    private func writeTheLongWay(_ bytes: Bytes) {
        guard mayWrite, !bytes.isEmpty else { return }
        if writeBufferSize == 0 {
            keepRest(bytes, unsafe bytes.withUnsafeBytes { unsafe driver.tryWrite($0) })
        } else if let queue, queue.gathered > 0 {
            // Behind what is gathered, and with it in one call.
            queue.append(bytes)
            queue.gathered += bytes.count
            flushQueued()
        } else {
            keep(bytes)
            didQueue()
        }
    }

    /// The system has taken `written` of the bytes, or refused them.
    @inline(never)
    private func keepRest(_ bytes: Bytes, _ written: Int) {
        guard let sent = accepted(written), sent < bytes.count else { return }
        keep(bytes[(bytes.startIndex + sent)...])
        didQueue()
    }

    /// Sends the bytes of a span, which is free again when this returns.
    ///
    /// Like ``write(_:)-(Bytes)``; what the kernel does not take now is copied.
    public func write(_ span: RawSpan) {
        core.requireHere("StreamTransport")
        guard mayWrite, span.byteCount > 0 else { return }
        if writeBufferSize > 0 { flushQueued() }
        var sent = 0
        if writeBufferSize == 0 {
            let written = unsafe span.withUnsafeBytes { unsafe driver.tryWrite($0) }
            guard let taken = accepted(written) else { return }
            sent = taken
        }
        guard sent < span.byteCount else { return }
        append(Bytes(copying: span.extracting(droppingFirst: sent)))
        didQueue()
    }

    /// Sends the UTF-8 of a text.
    ///
    /// Like ``write(_:)-(Bytes)``.
    public func write(_ text: String) { write(Bytes(text.utf8)) }

    /// Sends several pieces in one system call, without joining them.
    ///
    /// Like ``write(_:)-(Bytes)``. The corresponding asyncio name is `WriteTransport.writelines`.
    public func write(contentsOf pieces: [Bytes]) {
        core.requireHere("StreamTransport")
        // Empty pieces would be system calls, or faults, about nothing.
        guard mayWrite, pieces.contains(where: { !$0.isEmpty }) else { return }
        if writeBufferSize > 0 { flushQueued() }
        var rest = pieces[...]
        if writeBufferSize == 0 {
            guard var sent = accepted(driver.tryWrite(rest.prefix(WriteQueue.mostBuffers))) else { return }
            while let first = rest.first, sent >= first.count {
                sent -= first.count
                rest = rest.dropFirst()
            }
            if let first = rest.first, sent > 0 {
                keep(first[(first.startIndex + sent)...])
                rest = rest.dropFirst()
            }
        }
        for bytes in rest { keep(bytes) }
        if writeBufferSize > 0 { didQueue() }
    }

    /// Sends the end of the stream after everything that was written.
    ///
    /// Reading goes on. Idempotent.
    ///
    /// The corresponding asyncio name is `WriteTransport.write_eof`; the corresponding libuv call is `uv_shutdown`.
    public func writeEOF() {
        core.requireHere("StreamTransport")
        guard phase == .open, writingEnd == .open else { return }
        flushQueued()
        guard phase == .open else { return }
        writingEnd = .requested
        if writeBufferSize == 0 { sendEnd() }
    }

    /// How many bytes wait to be sent.
    ///
    /// The corresponding asyncio name is `WriteTransport.get_write_buffer_size`.
    public var writeBufferSize: Int { queue?.byteCount ?? 0 }

    /// The marks at which writing resumes and pauses.
    ///
    /// The corresponding asyncio name is `WriteTransport.get_write_buffer_limits`.
    public var writeBufferLimits: (low: Int, high: Int) { (limits.lowWaterMark, limits.highWaterMark) }

    /// Sets the marks at which the protocol is told to pause and to resume writing.
    ///
    /// - Parameters:
    ///   - high: Writing pauses when more bytes than this wait; 0 pauses on any byte.
    ///   - low: Writing resumes when no more bytes than this wait; nil is a quarter of `high`.
    ///
    /// The corresponding asyncio name is `WriteTransport.set_write_buffer_limits`.
    public func setWriteBufferLimits(high: Int, low: Int? = nil) {
        core.requireHere("StreamTransport")
        let low = low ?? high / 4
        require(low >= 0 && high >= low, "Write marks must satisfy 0 <= low <= high, but are \(low) and \(high).")
        setMarks(low: low, high: high)
        pauseIfNeeded()
    }

    /// How many bytes have ever waited to be sent, and how many of those have been.
    var queuedTotal: UInt64 { queue?.queuedTotal ?? 0 }
    var sentTotal: UInt64 { queue?.sentTotal ?? 0 }

    // MARK: What the system took

    @inline(__always)
    private var mayWrite: Bool {
        guard phase == .open else { return false }
        require(
            writingEnd == .open,
            writingEnd == .file
                ? "write(_:) while a file is being sent: wait until it is sent."
                : isWritable
                    ? "write(_:) after writeEOF(): the end of the stream has been sent or is about to be."
                    : "write(_:) to the reading end of a pipe."
        )
        return true
    }

    /// How many bytes the system took; nil if it refused for good, and the connection is lost.
    func accepted(_ written: Int) -> Int? {
        if written >= 0 {
            core.statistics.bytesSent &+= UInt64(written)
            noteSent(written)
            return written
        }
        let code = SystemError.Code(rawValue: CInt(written))
        if code == .wouldBlock { return 0 }
        fail(SystemError(code, call: "write", address: remoteAddress))
        return nil
    }

    /// Queues bytes that the kernel did not take; a small slice of the read slab as a copy, so that a peer that does
    /// not read pins its own bytes and not everybody's slab.
    private func keep(_ bytes: Bytes) {
        append(bytes.count < ReadSlab.largeRead ? bytes.exactCopy() : bytes)
    }

    private func append(_ bytes: Bytes) {
        let queue = queue ?? WriteQueue()
        self.queue = queue
        queue.append(bytes)
    }

    func didQueue() {
        send()
        pauseIfNeeded()
    }

    private func send() {
        guard !driverClosing, let request = queue?.next() else { return }
        do { try driver.write(request) } catch { fail(error) }
    }

    func sendEnd() {
        guard writingEnd == .requested else { return }
        writingEnd = .submitted
        do {
            try driver.shutDown()
        } catch {
            // A terminal has no such end. Any other peer would wait for it.
            if error.code == .notSupported { didShutDown(0) } else { fail(error) }
        }
    }

    // MARK: What the driver reports

    /// A request is done.
    func didWrite(_ status: CInt) {
        core.noteInput()
        let sent = queue?.didSend(hasFailed: status < 0) ?? 0
        guard !driverClosing else { return }
        if status < 0 {
            fail(SystemError(status: status, call: "uv_write", address: remoteAddress))
            return
        }
        core.statistics.bytesSent &+= UInt64(sent)
        noteSent(sent)
        core.enter()
        resumeIfNeeded()
        onSent?()
        core.leave { subject("resumeWriting") }
        // The protocol may have written more, or closed.
        guard !driverClosing else { return }
        if writeBufferSize == 0 { queue?.giveBack(to: core.writeBlocks) }
        if writeBufferSize > 0 {
            send()
        } else if writingEnd == .requested {
            sendEnd()
        } else if phase == .closing {
            closeAfterSending()
        }
    }

    /// The end of the stream has been sent, or cannot be.
    func didShutDown(_ status: CInt) {
        core.noteInput()
        guard !driverClosing else { return }
        writingEnd = .sent
        // If the peer is gone, reading says so, and why.
        if status < 0 && status != SystemError.Code.notConnected.rawValue {
            return fail(SystemError(status: status, call: "uv_shutdown", address: remoteAddress))
        }
        if phase == .closing { closeAfterSending() }
    }

    // MARK: Flow control

    func pauseIfNeeded() {
        guard !isWritingPaused, phase == .open, writeBufferSize > limits.highWaterMark, let receiver else { return }
        isWritingPaused = true
        do {
            try core.withLoop { try core.crossings.pause(receiver.base, self, $0) }
        } catch {
            protocolFailed(error, in: "pauseWriting")
        }
    }

    private func resumeIfNeeded() {
        guard isWritingPaused, phase == .open, writeBufferSize <= limits.lowWaterMark, let receiver else { return }
        isWritingPaused = false
        do {
            try core.withLoop { try core.crossings.resume(receiver.base, self, $0) }
        } catch {
            protocolFailed(error, in: "resumeWriting")
        }
    }
}
