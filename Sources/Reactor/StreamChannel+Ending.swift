// How a connection of tasks ends: closed after what was written, broken off, given away, or given up by a sweep. A
// pipe whose reader has gone ends in order if nothing was lost by that.

extension StreamChannel {
    /// Gives the descriptor away, with what was read from it and by nobody from here.
    func detach() throws -> (descriptor: CInt, unread: Bytes?) {
        if arrival.isOccupied { throw StreamError.busyReader }
        if rare?.behindFile != nil { throw StreamError.unsentBytes }
        return (try openTransport().detach(), takeArrived())
    }

    /// The transport, as long as it is one.
    package func openTransport() throws -> StreamTransport {
        guard let transport, !isLost, !transport.isClosing else { throw reasonOfLoss }
        return transport
    }

    /// Why nothing can be read or written any more, as it is told to a task.
    var reasonOfLoss: any Error {
        if let rare { rare.heardOfLoss = true }
        return failure ?? transport?.failure ?? StreamError.closed
    }

    /// Whether an error is the loss of this connection, as opposed to a fault of the code that uses it.
    package func isOwnLoss(_ error: any Error) -> Bool {
        // Mostly the very object, which asking for its type takes a microsecond to find out.
        if let loss = transport?.failure, ErrorIdentity(loss) == ErrorIdentity(error) { return true }
        if let error = error as? StreamError { return error == .closed }
        if let error = error as? LoopError { return (failure ?? transport?.failure) as? LoopError == error }
        guard let error = error as? SystemError, let loss = failure ?? transport?.failure else { return false }
        return (loss as? SystemError) == error
    }

    /// Closes after what was written has been sent, and waits for that.
    package func close(on loop: isolated EventLoop) async throws {
        transport?.close()
        arrival.wakeHere()
        let park = Park(on: loop)
        let rare = made()
        rare.closers.append(park)
        defer { rare.closers.removeAll { $0 === park } }
        while !isLost {
            do {
                try await park.wait(on: loop)
            } catch {
                abort()
                throw error
            }
        }
        if let failure, transport?.endedWithItsReader != true { throw failure }
    }

    /// Closes, and waits if something is still to be sent, or to be acknowledged.
    package func finish(on loop: isolated EventLoop) async throws {
        // Asked before, as the end that is sent first may fail at once.
        let lingers = !isLost && transport?.linger ?? .zero > .zero
        closeSoon()
        if let transport, transport.writeBufferSize > 0 || lingers { try await close(on: loop) }
    }

    /// Closes after what was written has been sent, and does not wait.
    package func closeSoon() {
        transport?.close()
        arrival.wakeHere()
    }

    /// Begins to look at what happens on the connection.
    package func watchActivity(countingBytes: Bool) {
        guard !isLost else { return }
        transport?.watchActivity(countingBytes: countingBytes)
    }

    /// What was found since the last look, from which the next begins; nil if nobody looks.
    package func lookForActivity() -> StreamActivity? { isLost ? nil : transport?.lookForActivity() }

    /// What is known so far.
    package var activity: StreamActivity? { transport?.activity }

    /// Closes because of an error, which is what reading and writing then throw.
    package func expire(_ error: any Error) {
        transport?.expire(error)
        arrival.wakeHere()
    }

    package func abort() {
        transport?.abort()
        arrival.wakeHere()
    }
}

/// Which error it is, and not what it says: copies of one are the same.
private struct ErrorIdentity: Equatable {
    private let reference: UInt

    private struct Box {
        let error: any Error
    }

    init(_ error: any Error) {
        // SAFETY: an error is one reference, which is compared and not followed. In a box, as a generic function is given what
        // an `any` holds.
        reference = unsafe unsafeBitCast(Box(error: error), to: UInt.self)
    }
}
