// Several addresses, one connection: the next attempt begins when the one before has failed or takes too long, and the
// first that succeeds counts (RFC 8305).
//
// Ground rules:
//   * Once it is decided, by a success, by an error that ends everything, or because nobody waits any more, nothing
//     further begins, and what is under way is cancelled in the same step; so no second connection is ever made.
//   * A failure of one attempt is no error until the last one has failed.

internal import Reactor

/// Connects to the first of several addresses that answers.
final class Dialer {
    /// One address that is being tried.
    private final class Call {
        let address: SocketAddress
        let number: Int
        /// The local addresses that were not tried yet; nil leaves it to the system.
        var locals: ArraySlice<SocketAddress>?
        var attempt: ConnectAttempt?

        init(_ address: SocketAddress, _ number: Int, _ locals: ArraySlice<SocketAddress>?) {
            (self.address, self.number, self.locals) = (address, number, locals)
        }
    }

    private let park: Park
    private let host: String
    /// None for an address that is no host's.
    private let port: Int?
    private let options: StreamOptions
    private let how: ConnectOptions
    private var waiting: ArraySlice<SocketAddress>
    private var begun = 0
    private var running: [Call] = []
    private var failures: [(number: Int, attempt: ConnectError.Attempt)] = []
    private var delay: Scheduled?
    private var channel: StreamChannel?
    private var failure: (any Error)?
    private var isDecided = false

    /// Prepares to connect to addresses, at least one, in this order.
    init(
        _ host: String,
        _ port: Int?,
        at addresses: [SocketAddress],
        _ options: StreamOptions,
        _ how: ConnectOptions,
        on loop: isolated EventLoop
    ) {
        park = ExplainedPark(on: loop, .connection(to: addresses[0]))
        (self.host, self.port, self.options, self.how) = (host, port, options, how)
        waiting = addresses[...]
    }

    /// Connects, or throws when all attempts have failed, when the deadline has passed, or if the task is cancelled.
    func connect(until deadline: LoopInstant?, on loop: isolated EventLoop) async throws -> TCPConnection {
        try Task.checkCancellation()
        // Not by `map`, on which the compiler of 6.3 trips.
        var limit: Scheduled?
        if let deadline {
            limit = loop.schedule(at: deadline) { [self] in
                decide(LoopError.timedOut("Connecting to \(host)\(port.map { ":\($0)" } ?? "")"))
            }
        }
        defer { limit?.cancel() }
        beginNext(on: loop)
        do {
            while !isDecided { try await park.wait(on: loop) }
        } catch {
            decide(error)
            channel?.abort()
            throw error
        }
        if let channel, let transport = channel.transport { return TCPConnection(channel, transport, here: loop) }
        throw failure ?? StreamError.closed
    }

    /// Tries the next address, if there is one.
    private func beginNext(on loop: isolated EventLoop) {
        delay?.cancel()
        delay = nil
        guard !isDecided else { return }
        guard let address = waiting.popFirst() else {
            if running.isEmpty { decide(reason) }
            return
        }
        let locals = how.localAddresses.filter { $0.family == address.family }
        let call = Call(address, begun, how.localAddresses.isEmpty ? nil : locals[...])
        begun += 1
        running.append(call)
        begin(call, on: loop)
        // It may have failed within that, and the next have begun.
        guard delay == nil, !isDecided, !waiting.isEmpty, let time = how.attemptDelay else { return }
        delay = loop.schedule(after: time) { [self, host = loop.networkHost] in
            delay = nil
            loop.run(asNetworkHost: host) { beginNext(on: loop) }
        }
    }

    private func begin(_ call: Call, on loop: isolated EventLoop) {
        let made = StreamChannel(on: loop) { [self] channel in
            self.channel = channel
            running.removeAll { $0 === call }
            decide(nil)
        }
        do {
            call.attempt = try loop.connect(
                to: call.address,
                from: call.locals?.popFirst(),
                options: options,
                timeout: nil
            ) { [self] in
                if isDecided { throw CancellationError() }
                return made
            } onFailure: { [self] error in
                failed(call, error, on: loop)
            }
        } catch {
            failed(call, error, on: loop)
        }
    }

    private func failed(_ call: Call, _ error: any Error, on loop: isolated EventLoop) {
        guard !isDecided else { return }
        guard let error = error as? SystemError else { return decide(error) }
        // Another local address may be had.
        if error.call == "bind", call.locals?.isEmpty == false { return begin(call, on: loop) }
        running.removeAll { $0 === call }
        failures.append((call.number, ConnectError.Attempt(address: call.address, error: error)))
        beginNext(on: loop)
    }

    /// Ends it, with an error or with the connection that was made.
    private func decide(_ error: (any Error)?) {
        guard !isDecided else { return }
        isDecided = true
        failure = error
        delay?.cancel()
        delay = nil
        for call in running { call.attempt?.cancel() }
        running = []
        park.wake()
    }

    /// Why nothing worked.
    private var reason: any Error {
        if failures.count == 1 { return failures[0].attempt.error }
        let attempts = failures.sorted { $0.number < $1.number }.map(\.attempt)
        return ConnectError(host: host, port: port ?? 0, attempts: attempts)
    }
}
