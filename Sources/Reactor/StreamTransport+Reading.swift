// How bytes come in. The driver asks for room, fills it, and says how much; whoever does not want bytes gives no room,
// and only then does the driver stop reading: pausing and resuming costs no system call unless something arrives.

extension StreamTransport {
    /// Whether the protocol is given what arrives.
    ///
    /// The corresponding asyncio name is `ReadTransport.is_reading`.
    public var isReading: Bool { wantsReading && phase == .open && !hasReachedEnd }

    /// Stops giving the protocol what arrives; it stays with the kernel, and the peer is slowed down. Idempotent.
    ///
    /// The corresponding asyncio name is `ReadTransport.pause_reading`.
    public func pauseReading() { wantsReading = false }

    /// Gives the protocol what arrives again. Never calls the protocol before it returns. Idempotent.
    ///
    /// The corresponding asyncio name is `ReadTransport.resume_reading`.
    public func resumeReading() {
        wantsReading = true
        if phase == .open && !isDriverReading && !hasReachedEnd { startDriverReading() }
    }

    func startDriverReading() {
        do {
            try driver.startReading()
            isDriverReading = true
        } catch {
            fail(error)
        }
    }

    /// The room for the next read; empty if nothing is wanted, after which the driver has stopped reading.
    @inline(__always)
    func room() -> UnsafeMutableRawBufferPointer {
        guard wantsReading && phase == .open else { return unsafe noRoom() }
        guard case .stream = receiver else { return unsafe bufferedRoom() }
        return unsafe core.slab.room()
    }

    private func noRoom() -> UnsafeMutableRawBufferPointer {
        isDriverReading = false
        return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    @inline(never)
    private func bufferedRoom() -> UnsafeMutableRawBufferPointer {
        guard case .buffered(let receiver) = receiver else { return unsafe noRoom() }
        do {
            let buffer = unsafe try core.crossings.buffer(receiver, core.facade.takeUnretainedValue())
            guard buffer.position < buffer.capacity else { throw LoopError.emptyReadBuffer }
            // The protocol may have closed or paused in the call.
            guard wantsReading && phase == .open else { return unsafe noRoom() }
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
    @inline(__always)
    func didReceive(_ count: Int) {
        core.statistics.bytesReceived &+= UInt64(count)
        core.enter()
        if let threshold = core.configuration.slowCallbackThreshold {
            core.timed(threshold) {
                deliver(count)
                return subject("dataReceived")
            }
        } else {
            deliver(count)
        }
        core.leave()
    }

    @inline(__always)
    private func deliver(_ count: Int) {
        guard case .stream(let receiver) = receiver else {
            deliverBuffered(count)
            return
        }
        let bytes = core.slab.take(count)
        do {
            unsafe try core.crossings.data(receiver, bytes, core.facade.takeUnretainedValue())
        } catch {
            protocolFailed(error, in: "dataReceived")
        }
    }

    @inline(never)
    private func deliverBuffered(_ count: Int) {
        guard case .buffered(let receiver) = receiver else { return }
        activeBuffer = nil
        do {
            unsafe try core.crossings.updated(receiver, count, core.facade.takeUnretainedValue())
        } catch {
            protocolFailed(error, in: "bufferUpdated")
        }
    }

    /// The peer has sent its last byte. The driver has stopped reading.
    func didReachEnd() {
        isDriverReading = false
        hasReachedEnd = true
        activeBuffer = nil
        guard phase == .open, let receiver else { return }
        core.enter()
        do {
            let keepOpen = unsafe try core.crossings.eof(receiver.base, core.facade.takeUnretainedValue())
            if !keepOpen { close() }
        } catch {
            protocolFailed(error, in: "eofReceived")
        }
        core.leave()
    }

    /// Reading failed, and with it the connection.
    func didFailReading(_ error: SystemError) {
        isDriverReading = false
        activeBuffer = nil
        fail(error)
    }
}
