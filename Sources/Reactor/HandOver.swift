// Clients by turns: where the system does not share them between the sockets of several loops, one loop accepts and gives
// each client to the listener whose turn it is, on whatever loop that is.

internal import CReactor

/// An accepted socket on its way to the loop on which it will live.
///
/// One that does not arrive, as that loop has closed, is closed.
@safe
final class AcceptedSocket: Sendable {
    // SAFETY: used by the loop at which it arrives, or at the end by whoever is the last to hold it.
    private nonisolated(unsafe) var descriptor: CInt

    init(_ descriptor: CInt) { unsafe self.descriptor = descriptor }

    deinit {
        guard unsafe descriptor >= 0 else { return }
        // With a reset: an end would look like an answer.
        _ = unsafe creactor_linger_zero(descriptor)
        unsafe creactor_close(descriptor)
    }

    /// The descriptor, which from here on is the caller's.
    func take() -> CInt {
        defer { unsafe descriptor = -1 }
        return unsafe descriptor
    }
}

/// The listeners that take turns, and whose turn it is.
final class HandOver {
    private let others: [LoopBound<Listener>]
    private var turn = 0

    init(_ others: [LoopBound<Listener>]) { self.others = others }

    /// Who gets the next client; nil is the one that accepted.
    func next() -> LoopBound<Listener>? {
        turn = (turn + 1) % (others.count + 1)
        return turn == 0 ? nil : others[turn - 1]
    }
}

/// What a listener without a socket has in place of one: clients that others accepted, as long as they wait.
final class Feed {
    var waiting: [AcceptedSocket] = []
}

extension EventLoop {
    /// A listener without a socket of its own, which gets its clients from another: see `Listener.handOver(to:)`.
    package func listenWithoutSocket(
        on address: SocketAddress,
        options: ListenerOptions,
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) throws -> Listener {
        let core = unsafe core
        try core.requireOpen()
        let listener = Listener(core: core, address: address, options: options) { Receiver.of(try makeProtocol()) }
        listener.begin(.fed(Feed()))
        return listener
    }
}

extension Listener {
    /// Gives the client that was accepted to the listener whose turn it is; false if that is this one.
    func gaveAway(_ descriptor: CInt) -> Bool {
        guard let target = handOver?.next() else { return false }
        let socket = AcceptedSocket(descriptor)
        let place = takePlaceAlong()
        if (try? target.loop.submit { loop in target.value(on: loop).arrived(socket) }) == nil { place?.giveBack() }
        return true
    }

    /// A client has come from another loop, with its place if there is a limit.
    private func arrived(_ socket: AcceptedSocket) {
        guard let feed else {
            givePlaceBack()
            return
        }
        feed.waiting.append(socket)
        takeWaiting()
    }

    /// Serves who has come from another loop.
    func takeWaiting() {
        while let feed, !holdsClients, !feed.waiting.isEmpty {
            do throws(SystemError) {
                try ListenerHandle.adopt(feed.waiting.removeFirst().take(), for: self)
            } catch {
                failedAcceptCount += 1
                givePlaceBack()
                core.report(.acceptFailed(error, retryAfter: .zero), "\(localAddress)")
            }
        }
    }
}
