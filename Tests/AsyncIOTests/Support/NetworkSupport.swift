// What the tests of TCP stand on: a loop for each kind of network, two ends of a connection, and tools with which tasks
// tell each other how far they are. Whoever waits here waits as the library does, so that a virtual clock stands still.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

/// What connections are made of.
enum Driver: String, CaseIterable, Codable, CustomTestStringConvertible {
    case memory
    /// Forces short reads and partial writes.
    case narrowMemory
    case sockets

    var testDescription: String { rawValue }

    /// Memory comes with a virtual clock, sockets with the real one.
    var configuration: EventLoop.Configuration {
        var configuration = testConfiguration()
        configuration.name = rawValue
        switch self {
        case .memory: configuration.network = .memory()
        case .narrowMemory: configuration.network = .memory(capacity: 16, largestRead: 3)
        case .sockets: return configuration
        }
        configuration.clock = VirtualClock()
        return configuration
    }

    /// How many bytes are many here: much more than the network holds, and not more than a test has time for.
    var bulk: Int {
        switch self {
        case .memory: 2 << 20
        case .narrowMemory: 20_000
        case .sockets: 8 << 20
        }
    }

    /// Those whose buffers have the usual sizes.
    static let roomy: [Driver] = [.memory, .sockets]
}

/// Runs `body` on a loop of its own as `onLoop` does, with the driver's network; ends a test that hangs.
@discardableResult
func onNetwork<Value: Sendable>(
    _ driver: Driver,
    collecting issues: Recorder<LoopIssue>? = nil,
    leaving leftovers: Recorder<CloseReport>? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    configure: (inout EventLoop.Configuration) -> Void = { _ in },
    _ body: @escaping @Sendable (isolated EventLoop) async throws -> Value
) async throws -> Value {
    var configuration = driver.configuration
    configure(&configuration)
    let watchdog = Watchdog()
    let task = Task { [configuration] in
        try await onLoop(configuration, collecting: issues, leaving: leftovers, sourceLocation: sourceLocation) {
            loop in
            watchdog.watch(loop)
            return try await body(loop)
        }
    }
    watchdog.start { task.cancel() }
    let result = await withTaskCancellationHandler {
        await task.result
    } onCancel: {
        task.cancel()
    }
    if let dump = watchdog.stop() { Issue.record("nothing ended the test:\n\(dump)", sourceLocation: sourceLocation) }
    return try result.get()
}

/// Serves with `handler` for as long as `body` runs, closes the server, and waits for its last handler.
func serving<Value>(
    on loop: isolated EventLoop,
    _ options: ServerOptions = ServerOptions(),
    @_inheritActorContext(always) handler: @escaping @Sendable @isolated(any) (TCPConnection) async throws -> Void,
    while body: (TCPServer) async throws -> Value
) async throws -> Value {
    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0, options: options)
    let serving = spawn(name: "serve") { try await server.serve(handler) }
    do {
        let value = try await body(server)
        server.close()
        try await serving.value
        return value
    } catch {
        server.abort()
        try? await serving.value
        throw error
    }
}

/// Spawns a task for each number below `count`, isolated to where it is written.
///
/// Those that are eager wait in the order of their numbers, whatever the order is in which the loop runs what is ready.
func spawnEach<Value: Sendable>(
    _ count: Int,
    on loop: isolated EventLoop,
    eager: Bool = false,
    @_inheritActorContext(always) _ body: @escaping @Sendable @isolated(any) (Int) async throws -> Value
) -> [LoopTask<Value>] {
    var tasks: [LoopTask<Value>] = []
    // Not by `map`, whose closure would be isolated to nothing, and with it what is spawned there.
    for number in 0..<count { tasks.append(spawn(eager: eager) { try await body(number) }) }
    return tasks
}

/// Gives `body` the two ends of a connection: the one that a server accepted, and the one that connected.
///
/// The server's handler lasts as long as `body`. Both ends are closed afterwards, if they are not already.
func withPair<Value>(
    on loop: isolated EventLoop,
    server options: ServerOptions = ServerOptions(),
    client clientOptions: StreamOptions = StreamOptions(),
    _ body: (_ accepted: TCPConnection, _ client: TCPConnection) async throws -> Value
) async throws -> Value {
    let arrivals = Mailbox<TCPConnection>(on: loop)
    let over = Latch(on: loop)
    return try await serving(on: loop, options) { connection in
        arrivals.put(connection)
        try await over.wait()
    } while: { server in
        let client = try await TCPConnection.connect(
            host: "127.0.0.1",
            port: server.port,
            options: clientOptions
        )
        let accepted = try await arrivals.take()
        defer { over.open() }
        do {
            let value = try await body(accepted, client)
            over.open()
            try? await client.close()
            return value
        } catch {
            client.abort()
            throw error
        }
    }
}

extension TCPServer {
    /// A connection to this server from the loop that the caller is on.
    func client(_ options: StreamOptions = StreamOptions()) async throws -> TCPConnection {
        try await TCPConnection.connect(host: "127.0.0.1", port: port, options: options)
    }
}

extension TCPConnection {
    /// Reads exactly so many bytes, or all there are if there are fewer.
    func read(exactly count: Int) async throws -> [UInt8] {
        var received: [UInt8] = []
        while received.count < count {
            var room = [UInt8](repeating: 0, count: Swift.min(count - received.count, 65_536))
            var elements = room.mutableSpan
            // SAFETY: every pattern of bits is a byte.
            var span = unsafe elements.mutableBytes
            let read = try await read(into: &span)
            if read == 0 { break }
            received.append(contentsOf: room[..<read])
        }
        return received
    }

    /// Reads to the end.
    func readAll() async throws -> [UInt8] {
        var received: [UInt8] = []
        while let bytes = try await read() { received.append(bytes: bytes) }
        return received
    }

    /// Reads exactly so many bytes as a text.
    func text(_ count: Int) async throws -> String {
        String(decoding: try await read(exactly: count), as: UTF8.self)
    }
}

extension Array where Element == UInt8 {
    /// Appends in one copy; the general method takes a call for each byte in a debug build.
    mutating func append(bytes: Bytes) {
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}

/// Bytes that differ from place to place, so that lost, doubled and swapped ones show.
func noise(_ count: Int, seed: UInt8 = 0) -> [UInt8] {
    // Repeated at a prime, so that no power of two hides a shift.
    var block = [UInt8](repeating: 0, count: min(count, 8_191))
    var state = UInt32(seed) &* 2_654_435_761 &+ 1
    for index in block.indices {
        state = state &* 1_664_525 &+ 1_013_904_223
        block[index] = UInt8(truncatingIfNeeded: state >> 24)
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + block.count)
    while bytes.count < count {
        block[0] &+= 1
        bytes.append(contentsOf: block)
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

/// An error in one word: the code's name, the case's, or the type's.
func brief(_ error: any Error) -> String {
    switch error {
    case let error as SystemError: error.code.name
    case LoopError.timedOut: "timedOut"
    case LoopError.loopClosed: "loopClosed"
    case StreamError.closed: "closed"
    case StreamError.busyReader: "busyReader"
    case StreamError.writeAfterEnd: "writeAfterEnd"
    default: "\(type(of: error))"
    }
}

/// How an operation ends: "ok", or its error in one word.
@discardableResult
func ending(_ body: () async throws -> Void) async -> String {
    do {
        try await body()
        return "ok"
    } catch {
        return brief(error)
    }
}

/// Lets the loop poll so many times more: enough for whatever is under way on it to arrive.
func turns(_ count: UInt64, on loop: isolated EventLoop) async {
    let due = loop.statistics.turns + count
    while loop.statistics.turns < due { await yield() }
}

/// Things that tasks hand to each other; any thread may put, and waiting takes place on the loop.
final class Mailbox<Element: Sendable>: Sendable {
    private final class State {
        var elements: [Element] = []
        var waiting: [Park] = []
    }

    private let state: LoopBound<State>

    init(on loop: isolated EventLoop) { state = LoopBound(State(), on: loop) }

    func put(_ element: Element) {
        if let state = state.ifHere { return Self.put(element, state) }
        _ = try? state.loop.submit { [state] loop in Self.put(element, state.value(on: loop)) }
    }

    private static func put(_ element: Element, _ state: State) {
        state.elements.append(element)
        state.waiting.first?.wake()
    }

    /// The oldest, as soon as there is one.
    func take() async throws -> Element { try await Self.take(state, on: state.loop) }

    private static func take(_ state: LoopBound<State>, on loop: isolated EventLoop) async throws -> Element {
        let state = state.value(on: loop)
        while state.elements.isEmpty {
            let park = Park(on: loop)
            state.waiting.append(park)
            defer { state.waiting.removeAll { $0 === park } }
            try await park.wait()
        }
        return state.elements.removeFirst()
    }
}

/// A door that opens once; any thread may open it, and waiting takes place on the loop.
final class Latch: Sendable {
    private final class State {
        var isOpen = false
        var waiting: [Park] = []
    }

    private let state: LoopBound<State>

    init(on loop: isolated EventLoop) { state = LoopBound(State(), on: loop) }

    func open() {
        if let state = state.ifHere { return Self.open(state) }
        _ = try? state.loop.submit { [state] loop in Self.open(state.value(on: loop)) }
    }

    private static func open(_ state: State) {
        state.isOpen = true
        for park in state.waiting { park.wake() }
    }

    /// Waits until it is open, or until the task is cancelled.
    func wait() async throws { try await Self.wait(state, isCancellable: true, on: state.loop) }

    /// Waits until the task is cancelled.
    func waitUntilCancelled() async { try? await wait() }

    /// Waits until it is open, whatever else happens.
    func waitUncancellable() async { try? await Self.wait(state, isCancellable: false, on: state.loop) }

    private static func wait(
        _ state: LoopBound<State>,
        isCancellable: Bool,
        on loop: isolated EventLoop
    ) async throws {
        let state = state.value(on: loop)
        while !state.isOpen {
            let park = Park(on: loop)
            state.waiting.append(park)
            defer { state.waiting.removeAll { $0 === park } }
            if isCancellable { try await park.wait() } else { await park.waitUncancellable() }
        }
    }
}

/// Ends a process of an exit test that takes longer than anything does that works.
func exitIfStuck() {
    Thread.detachNewThread {
        let condition = NSCondition()
        let end = Date(timeIntervalSinceNow: 20)
        condition.withLock { while condition.wait(until: end) {} }
        exit(9)
    }
}

/// Ends a test that hangs: it cancels it after a while, and ends the process if even that does not help.
private final class Watchdog: Sendable {
    private static let patience = Double(ProcessInfo.processInfo.environment["ASYNCIO_TEST_PATIENCE"] ?? "") ?? 60

    private let condition = NSCondition()
    // SAFETY: all three under the condition's lock.
    private nonisolated(unsafe) var loop: EventLoop?
    private nonisolated(unsafe) var isOver = false
    private nonisolated(unsafe) var dump: String?

    func watch(_ loop: EventLoop) { condition.withLock { unsafe self.loop = loop } }

    func start(_ cancel: @escaping @Sendable () -> Void) {
        Thread.detachNewThread { [self] in
            guard !waitForEnd() else { return }
            let loop = condition.withLock {
                unsafe dump = "the loop said nothing"
                return unsafe self.loop
            }
            _ = try? loop?.submit { [self] loop in condition.withLock { unsafe dump = loop.dump() } }
            cancel()
            if !waitForEnd() { fatalError("A test does not even end when it is cancelled:\n\(unsafe dump ?? "")") }
        }
    }

    /// What the loop said of itself, if the test was cancelled.
    func stop() -> String? {
        condition.withLock {
            unsafe isOver = true
            condition.broadcast()
            return unsafe dump
        }
    }

    private func waitForEnd() -> Bool {
        condition.withLock {
            let end = Date(timeIntervalSinceNow: Self.patience)
            while unsafe !isOver { if !condition.wait(until: end) { return unsafe isOver } }
            return true
        }
    }
}
