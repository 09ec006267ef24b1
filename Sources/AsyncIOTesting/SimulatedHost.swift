// A host of a simulation. What runs on it knows nothing of that: a task-local value says whose it is, and everything that the
// task starts inherits it.

internal import AsyncIO
internal import Reactor

/// A host on a simulated network.
///
///     let server = simulation.host("server")
///     server.start { try await serve(port: 80) }
///     let client = simulation.host("client")
///     let answer = try await client.run { try await ask("server", port: 80) }
///
/// It has an address and ports of its own. Listening on `0.0.0.0`, or on all addresses, is listening on the host's;
/// `127.0.0.1` is within the host. Names are those of the hosts, and `localhost`.
public final class SimulatedHost: Sendable, CustomStringConvertible {
    /// Its name, by which others find it.
    public let name: String
    let number: Int
    private let simulation: Simulation

    init(_ name: String, _ number: Int, _ simulation: Simulation) {
        (self.name, self.number, self.simulation) = (name, number, simulation)
    }

    /// Its IPv4 address, such as `10.0.0.1`.
    public var address: String {
        simulation.world("SimulatedHost.address").network.address(of: number, .ipv4)?.host ?? ""
    }

    /// Its name.
    public var description: String { name }

    /// Whether programs run on it: until it is stopped, and again when it is restarted.
    public var isUp: Bool { simulation.world("SimulatedHost.isUp").network.hosts[number].isUp }

    // MARK: Running

    /// Runs `body` as this host, with all the tasks that it starts, and returns its result.
    ///
    /// - Returns: What `body` returns, when it has ended.
    /// - Throws: What `body` throws; ``HostStoppedError`` if the host is down, or was stopped meanwhile.
    public func run<Value: Sendable>(
        @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) () async throws -> Value
    ) async throws -> Value {
        let world = simulation.world("SimulatedHost.run")
        let identity = HostIdentity(number: number, start: world.network.start(of: number))
        guard world.network.hosts[number].isUp else { throw HostStoppedError(host: name) }
        // Both last until the body has ended, also where the caller is cancelled, by a deadline or otherwise: then the task
        // hears of it.
        let (task, end) = Deadline.hidden {
            let task = HostIdentity.$current.withValue(identity) { AsyncIO.spawn(name: name, body) }
            return (task, Task { try await task.value })
        }
        let registration = world.adopt(on: number) { task.cancel() }
        let result = await withTaskCancellationHandler {
            await end.result
        } onCancel: {
            task.cancel()
        }
        let now = simulation.world("SimulatedHost.run")
        now.forget(registration, on: number)
        if now.network.start(of: number) != identity.start { throw HostStoppedError(host: name) }
        return try result.get()
    }

    /// Runs a program as this host, now and again whenever the host is restarted, until the simulation ends.
    ///
    /// An error that it throws while the host is up fails the simulation.
    public func start(
        @_inheritActorContext(always) _ program: @escaping @Sendable @isolated(any) () async throws -> Void
    ) {
        let world = simulation.world("SimulatedHost.start")
        let begin: @Sendable () -> Void = { [self] in
            // As long as the host is up, whoever has started it.
            _ = Deadline.hidden {
                AsyncIO.spawn(name: "\(name)'s program") { [self] in
                    do {
                        try await run(program)
                    } catch is HostStoppedError {
                    } catch {
                        await fail(error, on: simulation.loop)
                    }
                }
            }
        }
        world.programs[number, default: []].append(begin)
        if world.network.hosts[number].isUp { begin() }
    }

    private func fail(_ error: any Error, on loop: isolated EventLoop) {
        simulation.world("SimulatedHost.start").fail(error, on: loop)
    }

    // MARK: Stopping

    /// Cuts the host's power.
    ///
    /// What it has sent and has not arrived is lost, and nobody hears that it is gone: who sends to it is reset when it is up
    /// again. Its own sockets fail. What runs on it is cancelled; a Swift task cannot be ended otherwise, but what it still
    /// does reaches nobody.
    public func crash() { stop("crash", isOrderly: false) }

    /// Ends the host's programs at once, as `kill -9` does: its system goes on, and closes what they had open.
    public func kill() { stop("kill", isOrderly: true) }

    private func stop(_ word: String, isOrderly: Bool) {
        let world = simulation.world("A method of SimulatedHost that stops it")
        guard world.network.hosts[number].isUp else { return }
        world.network.note("\(word) \(name)")
        // Closing what is open sends, which a host does that is up.
        simulation.onLoop { $0.stopHost(number, isOrderly: isOrderly) }
        world.network.stop(number, isOrderly: isOrderly)
        world.cancelAll(on: number)
    }

    /// Starts the host again, and its programs.
    ///
    /// A host that is up is killed first.
    public func restart() {
        kill()
        let world = simulation.world("SimulatedHost.restart")
        world.network.note("restart \(name)")
        world.network.restart(number)
        simulation.onLoop { $0.linksChanged() }
        for begin in world.programs[number] ?? [] { begin() }
    }
}

/// A host went down, and with it what ran there.
public struct HostStoppedError: Error, Hashable, CustomStringConvertible {
    /// The host's name.
    public let host: String

    /// A sentence.
    public var description: String { "The host \(host) was stopped." }
}
