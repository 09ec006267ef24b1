// Closing that waits until the peer has everything. The kernel would do it in `close`, and make the whole loop wait; so the
// end is sent first, and the loop looks every so often whether something is unacknowledged yet. No event tells of that: a
// socket is writable long before.

extension StreamTransport {
    /// How long closing waits for the peer's acknowledgements; zero resets, and nil does neither.
    var linger: Duration? {
        guard let linger = limits.linger else { return nil }
        return driver.isTCP ? linger : nil
    }

    /// Whether it waits for the peer's acknowledgements, or will.
    var lingers: Bool { phase == .closing && !driverClosing && linger != nil }

    /// Closes what everything was sent to, when the peer has acknowledged it if that is wanted.
    func closeAfterSending() {
        guard let linger else { return closeDriver(reset: false) }
        switch writingEnd {
        case .open, .file, .requested:
            // Its acknowledgement is waited for as well: so the end cannot be left to `close`.
            writingEnd = .requested
            sendEnd()
        case .submitted: break
        case .sent: waitForAcknowledgement(until: core.now.advanced(by: linger), delay: .milliseconds(1))
        }
    }

    private func waitForAcknowledgement(until deadline: LoopInstant, delay: Duration) {
        guard !driverClosing else { return }
        do {
            guard try driver.hasUnacknowledged() else { return closeDriver(reset: false) }
        } catch {
            return fail(error)
        }
        let now = core.now
        guard now < deadline else {
            return fail(LoopError.timedOut("Waiting for a peer to acknowledge the last bytes"))
        }
        let timer = core.schedule(
            at: min(now.advanced(by: delay), deadline),
            { [self] in waitForAcknowledgement(until: deadline, delay: min(delay * 2, .milliseconds(16))) },
            site: CallSite(file: #fileID, line: #line)
        )
        withExtras {
            // That of sending, which is done.
            $0.closeDeadline?.cancel()
            $0.closeDeadline = timer
        }
    }
}
