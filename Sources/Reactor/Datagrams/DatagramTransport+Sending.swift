// How datagrams go out: to the kernel at once if it takes them; else they wait, in order, and go out when it does.
// Crossing the high-water mark tells the protocol before `send` returns.

extension DatagramTransport {
    /// What became of a datagram.
    package enum Fate {
        case sent
        /// It waits, and what comes of it will be told.
        case waits
        case failed(SystemError)
    }

    /// Sends a datagram.
    ///
    /// Returns at once; what the kernel does not take now is kept and sent in order. An empty datagram is sent like
    /// any other. Errors of the network go to ``DatagramProtocol/errorReceived(_:from:on:)``, and the datagram is
    /// then lost: ``SystemError/Code/messageTooLarge`` if it is longer than 65,507 bytes, the limit of IPv4, or
    /// 65,527, that of IPv6; or what the peer of a connected socket has answered to an earlier one. Once the socket
    /// is closing, datagrams are dropped in silence.
    ///
    /// - Parameters:
    ///   - bytes: What it carries.
    ///   - address: Who gets it; a connected socket needs none.
    /// - Throws: ``DatagramError/noAddress``, or ``DatagramError/connected(to:)`` for another address than the one
    ///   that the
    ///   socket is connected to.
    ///
    /// The corresponding asyncio name is `DatagramTransport.sendto`; the libuv calls are `uv_udp_try_send` and
    /// `uv_udp_send`.
    public func send(_ bytes: Bytes, to address: SocketAddress? = nil) throws {
        core.requireHere("DatagramTransport")
        let target = try target(address)
        guard phase == .open else { return }
        switch offer(bytes, target) {
        case .sent: break
        case .waits: keep(bytes, target, nil)
        case .failed(let error): reportSoon(error)
        }
    }

    /// Sends the UTF-8 of a text.
    ///
    /// Like ``send(_:to:)-(Bytes,_)``.
    public func send(_ text: String, to address: SocketAddress? = nil) throws {
        try send(Bytes(text.utf8), to: address)
    }

    /// Sends several datagrams to one address, in one system call where the system can.
    ///
    /// Like ``send(_:to:)-(Bytes,_)`` for each.
    ///
    /// The corresponding libuv call is `uv_udp_try_send2`.
    public func send(contentsOf pieces: [Bytes], to address: SocketAddress? = nil) throws {
        core.requireHere("DatagramTransport")
        let target = try target(address)
        var rest = pieces[...]
        while phase == .open, !rest.isEmpty {
            let (count, error) = offer(rest, target)
            rest = rest.dropFirst(count)
            if let error {
                reportSoon(error)
                rest = rest.dropFirst()
            } else if count == 0 {
                break
            }
        }
        // Keeping one may call the protocol, which may close.
        for bytes in rest where phase == .open { keep(bytes, target, nil) }
    }

    /// How many bytes wait to be sent, each datagram with 8 more than its length.
    ///
    /// The corresponding asyncio name is `WriteTransport.get_write_buffer_size`; the libuv call is
    /// `uv_udp_get_send_queue_size`.
    public var writeBufferSize: Int { waitingSize }

    /// The marks at which writing resumes and pauses.
    ///
    /// The corresponding asyncio name is `WriteTransport.get_write_buffer_limits`.
    public var writeBufferLimits: (low: Int, high: Int) { marks }

    /// Sets the marks at which the protocol is told to pause and to resume writing.
    ///
    /// - Parameters:
    ///   - high: Writing pauses when more bytes than this wait; 0 pauses on any datagram.
    ///   - low: Writing resumes when no more bytes than this wait; nil is a quarter of `high`.
    ///
    /// The corresponding asyncio name is `WriteTransport.set_write_buffer_limits`.
    public func setWriteBufferLimits(high: Int, low: Int? = nil) {
        core.requireHere("DatagramTransport")
        let low = low ?? high / 4
        Self.requireMarks(low: low, high: high)
        marks = (low, high)
        pauseIfNeeded()
    }

    static func requireMarks(low: Int, high: Int) {
        require(low >= 0 && high >= low, "Write marks must satisfy 0 <= low <= high, but are \(low) and \(high).")
    }

    // MARK: The steps

    /// Where a datagram goes for an address that was given, or not; nil is where the socket is connected to.
    package func target(_ address: SocketAddress?) throws -> SocketAddress? {
        guard let remoteAddress else {
            guard let address else { throw DatagramError.noAddress }
            return address
        }
        guard address == nil || address == remoteAddress else { throw DatagramError.connected(to: remoteAddress) }
        return nil
    }

    /// Sends a datagram if the system takes it now; ``Fate/waits`` if it does not.
    package func offer(_ bytes: Bytes, _ target: SocketAddress?) -> Fate {
        guard waitingCount == 0 else { return .waits }
        let status = driver.trySend(bytes, to: target)
        if status >= 0 {
            core.statistics.bytesSent &+= UInt64(bytes.count)
            return .sent
        }
        if status == SystemError.Code.wouldBlock.rawValue { return .waits }
        return .failed(SystemError(status: status, call: "sendto", address: target ?? remoteAddress))
    }

    /// Sends as many datagrams as the system takes now, and says how many that were and what the next one failed with.
    package func offer(_ pieces: ArraySlice<Bytes>, _ target: SocketAddress?) -> (count: Int, error: SystemError?) {
        guard waitingCount == 0 else { return (0, nil) }
        let count = driver.trySend(pieces, to: target)
        if count < 0 {
            if count == Int(SystemError.Code.wouldBlock.rawValue) { return (0, nil) }
            return (0, SystemError(status: CInt(count), call: "sendmmsg", address: target ?? remoteAddress))
        }
        for bytes in pieces.prefix(count) { core.statistics.bytesSent &+= UInt64(bytes.count) }
        return (count, nil)
    }

    /// Keeps a datagram until the system takes it, and then says what became of it.
    package func keep(_ bytes: Bytes, _ target: SocketAddress?, _ onEnd: ((SystemError?) -> Void)?) {
        // A small slice of the read slab as a copy, as a socket that cannot send must not pin everybody's slab.
        let sending = DatagramSending(bytes.count < ReadSlab.largeRead ? bytes.exactCopy() : bytes, target, onEnd)
        waitingCount += 1
        waitingSize += sending.size
        do {
            try driver.send(sending)
        } catch {
            waitingCount -= 1
            waitingSize -= sending.size
            if let onEnd { return onEnd(error) }
            return reportSoon(error)
        }
        pauseIfNeeded()
    }

    /// The system has taken a datagram, or refused it.
    func didSend(_ sending: DatagramSending, _ status: CInt) {
        waitingCount -= 1
        waitingSize -= sending.size
        core.enter()
        if status >= 0 {
            core.statistics.bytesSent &+= UInt64(sending.bytes.count)
            sending.onEnd?(nil)
        } else {
            let error = SystemError(status: status, call: "uv_udp_send", address: sending.address ?? remoteAddress)
            if let onEnd = sending.onEnd { onEnd(error) } else { didFail(error) }
        }
        resumeIfNeeded()
        core.leave { subject("resumeWriting") }
        if phase == .closing && waitingCount == 0 { closeDriver() }
    }

    // MARK: Flow control

    private func pauseIfNeeded() {
        guard !isWritingPaused, phase == .open, waitingSize > marks.high else { return }
        isWritingPaused = true
        call("pauseWriting") { try core.datagrams.crossings.pause($0, self, $1) }
    }

    private func resumeIfNeeded() {
        guard isWritingPaused, phase == .open, waitingSize <= marks.low else { return }
        isWritingPaused = false
        call("resumeWriting") { try core.datagrams.crossings.resume($0, self, $1) }
    }
}
