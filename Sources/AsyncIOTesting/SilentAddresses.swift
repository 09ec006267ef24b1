// Addresses at which nothing answers, as they occur behind firewalls and on broken routes: what a client's time limits and
// its second choices are for.

public import Reactor

extension EventLoop {
    /// Makes an address of this loop's memory network never answer: connecting to it neither succeeds nor fails.
    ///
    /// Who connects waits for a time limit, for another address to be faster, or to be cancelled. Traps if the loop has the
    /// system's sockets.
    ///
    /// - Parameter address: With port 0 no port of its host answers.
    public func makeSilent(_ address: SocketAddress) { silence(address) }
}
