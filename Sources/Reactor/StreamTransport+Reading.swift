// How bytes come in. The driver asks for room, fills it, and says how much; whoever does not want bytes gives no room,
// and only then does the driver stop reading: pausing and resuming costs no system call unless something arrives.

extension StreamTransport {
    /// Whether the protocol is given what arrives.
    ///
    /// The corresponding asyncio name is `ReadTransport.is_reading`.
    public var isReading: Bool { wantsReading && phase == .open && readingEnd == .ahead }

    /// Stops giving the protocol what arrives; it stays with the kernel, and the peer is slowed down.
    ///
    /// Idempotent.
    ///
    /// The corresponding asyncio name is `ReadTransport.pause_reading`.
    public func pauseReading() {
        core.requireHere("StreamTransport")
        pauseReadingHere()
    }

    /// The same where it is known to be the loop.
    @inline(__always)
    func pauseReadingHere() { wantsReading = false }

    /// Gives the protocol what arrives again.
    ///
    /// Never calls the protocol before it returns. Idempotent.
    ///
    /// The corresponding asyncio name is `ReadTransport.resume_reading`.
    public func resumeReading() {
        core.requireHere("StreamTransport")
        wantsReading = true
        guard phase == .open else { return }
        if readingEnd == .waiting {
            readingEnd = .reached
            let site = CallSite(file: #fileID, line: #line)
            _ = core.scheduleSoon({ [self] in tellEnd() }, site: site)
        } else {
            startDriverReadingIfWanted()
        }
    }

    /// Asks for what arrives, as ``resumeReading()`` does, of a transport that is known to be open and not at its end.
    @inline(__always)
    func wantMore() {
        if isDriverReading { wantsReading = true } else { resumeReading() }
    }

    func startDriverReadingIfWanted() {
        guard wantsReading && phase == .open && !isDriverReading && readingEnd == .ahead else { return }
        do {
            try driver.startReading()
            isDriverReading = true
        } catch {
            fail(error)
        }
    }

    /// The slab's room, if that is what the next read goes into.
    @inline(__always)
    var plainRoom: UnsafeMutableRawBufferPointer? {
        wantsReading && phase == .open && !isBuffered ? unsafe core.slab.room : nil
    }

    /// The room for the next read; empty if nothing is wanted, after which the driver has stopped reading.
    func room() -> UnsafeMutableRawBufferPointer {
        guard wantsReading && phase == .open else { return unsafe noRoom() }
        return isBuffered ? unsafe bufferedRoom() : unsafe core.slab.room
    }

    private func noRoom() -> UnsafeMutableRawBufferPointer {
        isDriverReading = false
        return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    private func bufferedRoom() -> UnsafeMutableRawBufferPointer {
        guard let receiver = receiver?.buffered else { return unsafe noRoom() }
        do {
            let buffer = try core.withLoop { try core.crossings.buffer(receiver, self, $0) }
            guard buffer.position < buffer.capacity else { throw LoopError.emptyReadBuffer }
            // The protocol may have closed or paused in the call, or handed the connection to another.
            guard wantsReading && phase == .open else { return unsafe noRoom() }
            guard self.receiver?.buffered === receiver else { return unsafe room() }
            activeBuffer = buffer
            // SAFETY: `activeBuffer` keeps the memory alive until the read has ended (rule 5 of HandleBox.swift).
            return unsafe UnsafeMutableRawBufferPointer(
                start: buffer.memory + buffer.position,
                count: buffer.capacity - buffer.position
            )
        } catch {
            protocolFailed(error, in: "readBuffer")
            return unsafe noRoom()
        }
    }

    /// The room was filled with `count` bytes, at least one.
    @inline(never)
    func didReceive(_ count: Int) {
        core.statistics.bytesReceived &+= UInt64(truncatingIfNeeded: count)
        let isShared = unsafe core.hotSlab._withUnsafeGuaranteedRef { $0.isShared }
        guard isPlain && !isShared else { return deliverTheLongWay(count) }
        core.enterUntimed()
        do {
            // The slab keeps what it lends for the length of the call; no read can begin within it.
            try core.withLoop { loop in
                // SAFETY: `begin` set the receiver, and it is let go only in `didClose`, never in a read callback.
                try unsafe hotReceiver.unsafelyUnwrapped._withUnsafeGuaranteedRef {
                    try unsafe core.crossings.lent($0, core.slab.lend(count), self, loop)
                }
            }
        } catch {
            protocolFailed(error, in: "dataReceived")
        }
        if !core.isInMemory {
            // On real sockets nothing reads before this callback has returned. So a task that the bytes have woken runs
            // first, and has mostly let them go when the slab looks at what was kept.
            core.leaveUntimed()
            unsafe core.hotSlab._withUnsafeGuaranteedRef { $0.settle(count) }
        } else {
            unsafe core.hotSlab._withUnsafeGuaranteedRef { $0.settle(count) }
            core.leaveUntimed()
            unsafe core.hotSlab._withUnsafeGuaranteedRef { if $0.isShared { $0.startOverIfFree() } }
        }
    }

    @inline(never)
    private func deliverTheLongWay(_ count: Int) {
        noteReceived(count)
        core.enter()
        if isBuffered { deliverBuffered(count) } else { deliverBytes(count) }
        core.leave { subject(isBuffered ? "bufferUpdated" : "dataReceived") }
        if core.slab.isShared { core.slab.startOverIfFree() }
    }

    private func deliverBytes(_ count: Int) {
        guard let receiver else { return }
        let bytes = core.slab.bytes(count)
        do {
            try core.withLoop { try core.crossings.data(receiver, bytes, self, $0) }
        } catch {
            protocolFailed(error, in: "dataReceived")
        }
        core.slab.settle(count)
    }

    private func deliverBuffered(_ count: Int) {
        guard let receiver = receiver?.buffered else { return }
        activeBuffer = nil
        do {
            try core.withLoop { try core.crossings.updated(receiver, count, self, $0) }
        } catch {
            protocolFailed(error, in: "bufferUpdated")
        }
    }

    /// The peer has sent its last byte, and the driver has stopped reading.
    func didReachEnd() {
        isDriverReading = false
        activeBuffer = nil
        guard readingEnd == .ahead else { return }
        readingEnd = .reached
        tellEnd()
    }

    /// Tells the protocol of the end, once; if reading is paused, when it resumes.
    private func tellEnd() {
        guard phase == .open, let receiver else { return }
        guard wantsReading else {
            readingEnd = .waiting
            return
        }
        core.enter()
        do {
            let keepOpen = try core.withLoop { try core.crossings.eof(receiver.base, self, $0) }
            if !keepOpen { close() }
        } catch {
            protocolFailed(error, in: "eofReceived")
        }
        core.leave { subject("eofReceived") }
    }

    /// Reading failed, and with it the connection.
    func didFailReading(_ error: SystemError) {
        isDriverReading = false
        activeBuffer = nil
        fail(error)
    }
}
