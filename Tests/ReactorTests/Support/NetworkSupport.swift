// What the tests of connections stand on: the networks that every behaviour is tested on, and one server and one client
// that play a scene and end when both have lost their connection.

import Foundation
import Testing

@testable import Reactor

/// Roomy memory, memory that forces short reads and partial writes, and the system's sockets.
let everyNetwork: [EventLoop.Network] = [.memory(), .memory(capacity: 16, largestRead: 3), .system]

/// For tests in which the kernel's or the default buffer sizes matter.
let roomyNetworks: [EventLoop.Network] = [.memory(), .system]

extension EventLoop.Network {
    /// How many bytes are many here: much more than the network holds, and not more than a test has time for.
    var bulk: Int {
        switch self {
        case .system: 8 << 20
        case .memory(let capacity, _): capacity < 1_024 ? 20_000 : 2 << 20
        }
    }
}

extension EventLoop.Configuration {
    /// Memory comes with a virtual clock, sockets with the real one.
    static func on(_ network: EventLoop.Network) -> EventLoop.Configuration {
        network == .system ? .real : .virtual(network: network)
    }
}

extension SocketAddress {
    /// Any free port of 127.0.0.1.
    static var anyPort: SocketAddress {
        get throws { try SocketAddress(host: "127.0.0.1", port: 0) }
    }
}

/// An error that protocols throw in tests.
struct Refusal: Error, Equatable {}

/// An error in one word: the code's name, or the case's.
func word(_ error: any Error) -> String {
    switch error {
    case let error as SystemError: error.code.name
    case LoopError.timedOut: "timedOut"
    case let error as LoopError: "\(error)" == LoopError.loopClosed.description ? "loopClosed" : "emptyReadBuffer"
    default: "\(type(of: error))"
    }
}

/// Bytes that differ from place to place, so that lost, doubled and swapped ones show.
func pattern(_ count: Int, seed: UInt8 = 0) -> [UInt8] {
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
        if !block.isEmpty { block[0] &+= 1 }
        bytes.append(contentsOf: block)
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

extension Array where Element == UInt8 {
    /// Appends in one copy; the general method takes a call for each byte in a debug build.
    mutating func append(bytes: Bytes) {
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}

/// One server, one client, and what they need to know of each other.
final class Scene {
    let server = Probe()
    let client = Probe()
    var serverOptions = ListenerOptions()
    var clientOptions = StreamOptions()
    /// Where they meet; nil is any free port of 127.0.0.1.
    var address: SocketAddress?
    fileprivate(set) var listener: Listener!
    fileprivate var ended = 0
    /// Thrown in place of making the server's protocol.
    var factoryError: (any Error)?

    fileprivate func start(on loop: isolated EventLoop) throws {
        let over: () -> Void = { [self] in
            ended += 1
            guard ended == 2 else { return }
            listener.close()
            listener = nil
            loop.stop()
        }
        server.whenOver = over
        client.whenOver = over
        listener = try loop.listen(on: address ?? .anyPort, options: serverOptions) { [self] in
            if let factoryError {
                over()
                throw factoryError
            }
            return server
        }
        try loop.connect(to: listener.localAddress, options: clientOptions) { [self] in
            client
        } onFailure: { [self] in
            // A server that breaks the connection off at once can be faster than its client learns of it.
            client.note("lost \(word($0))")
            over()
        }
    }
}

/// What server and client experienced.
struct Story: Sendable {
    var server: [String] = []
    var client: [String] = []
    var serverReceived: [UInt8] = []
    var clientReceived: [UInt8] = []
}

/// Lets one server and one client play until both have lost their connection.
func play(
    on network: EventLoop.Network,
    collecting issues: IssueLog? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ prepare: @Sendable (isolated EventLoop, Scene) throws -> Void
) throws -> Story {
    // SAFETY: the loop runs on this thread, within the call below.
    nonisolated(unsafe) var story = Story()
    try perform(on: network, collecting: issues, sourceLocation: sourceLocation) { loop in
        let scene = Scene()
        try prepare(loop, scene)
        try scene.start(on: loop)
        // Nothing can be called from within `listen` or `connect`.
        #expect(scene.server.story + scene.client.story == [], sourceLocation: sourceLocation)
        return {
            #expect(!scene.server.wasNested && !scene.client.wasNested, "re-entered", sourceLocation: sourceLocation)
            scene.server.forget()
            scene.client.forget()
            unsafe story = Story(
                server: scene.server.story,
                client: scene.client.story,
                serverReceived: scene.server.received,
                clientReceived: scene.client.received
            )
        }
    }
    return unsafe story
}

/// Runs a loop until it is stopped, or until nothing has ended it for a while, which fails the test.
///
/// What `body` returns runs when the loop has stopped.
func perform(
    on network: EventLoop.Network,
    collecting issues: IssueLog? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @Sendable (isolated EventLoop) throws -> () -> Void
) throws {
    try perform(.on(network), collecting: issues, sourceLocation: sourceLocation, body)
}

/// The same with any configuration.
func perform(
    _ configuration: EventLoop.Configuration,
    collecting issues: IssueLog? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @Sendable (isolated EventLoop) throws -> () -> Void
) throws {
    try withLoop(configuration, collecting: issues, sourceLocation: sourceLocation) { loop in
        try run(loop, sourceLocation, body)
    }
}

/// The same in an exit test, whose process has descriptors of the testing library's come and go.
func performInOwnProcess(
    _ configuration: EventLoop.Configuration,
    collecting issues: IssueLog = IssueLog(),
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @Sendable (isolated EventLoop) throws -> () -> Void
) throws {
    var configuration = configuration
    configuration.onIssue = { issues.append($0) }
    let sockets = openSockets()
    let loop = try EventLoop(configuration)
    try run(loop, sourceLocation, body)
    let report = loop.close()
    #expect(report.isClean, "\(report)", sourceLocation: sourceLocation)
    #expect(openSockets() == sockets, "sockets are left", sourceLocation: sourceLocation)
}

private func run(
    _ loop: EventLoop,
    _ sourceLocation: SourceLocation,
    _ body: @Sendable (isolated EventLoop) throws -> () -> Void
) throws {
    // SAFETY: the loop runs on this thread, within the call below.
    nonisolated(unsafe) var watchdog: Scheduled?
    nonisolated(unsafe) var finish: (() -> Void)?
    defer { unsafe watchdog?.cancel() }
    try loop.runForever { loop in
        // An hour of virtual time passes at once when nothing else can happen.
        let patience = loop.configuration.clock == nil ? Duration.seconds(20) : .seconds(3_600)
        unsafe watchdog = loop.schedule(after: patience) {
            Issue.record("nothing ended the test:\n\(loop.dump())", sourceLocation: sourceLocation)
            loop.stop()
        }
        unsafe finish = try body(loop)
    }
    unsafe finish?()
}

/// How many sockets this process has open.
private func openSockets() -> Int {
    (0..<CInt(1_024)).count { descriptor in
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
    }
}

/// Calls `body` when the loop has polled `turns` times more: enough for whatever is under way to arrive.
func after(turns: Int, on loop: isolated EventLoop, _ body: @escaping () -> Void) {
    let due = loop.statistics.turns + UInt64(turns)
    func look() {
        if loop.statistics.turns >= due { body() } else { loop.schedule { look() } }
    }
    loop.schedule { look() }
}

/// Calls `body` in batch after batch until it returns false.
func repeatedly(on loop: isolated EventLoop, _ body: @escaping () -> Bool) {
    func step() { if body() { loop.schedule { step() } } }
    loop.schedule { step() }
}
