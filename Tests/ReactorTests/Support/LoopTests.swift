// What every test of a loop stands on: a loop that is closed at the end, and the proof that nothing is left of it.

import AsyncIOTesting
import Synchronization
import TestSupport
import Testing

@testable import Reactor

/// All tests of the reactor.
///
/// One after the other, as they count the descriptors of the process.
@Suite(.serialized, Exclusively()) enum ReactorTests {}

/// Runs `body` with a loop of its own, closes the loop, and proves that no handle, callback or descriptor is left.
///
/// The loop has a virtual clock and the memory network unless the configuration says otherwise. Issues that the loop
/// reports fail the test unless `expectingIssues` collects them.
func withLoop<Result>(
    _ configuration: EventLoop.Configuration = .virtual(),
    collecting issues: IssueLog? = nil,
    expectingLeftovers: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (EventLoop) throws -> Result
) throws -> Result {
    try firstLoop.get()
    let descriptors = openDescriptors()
    let log = issues ?? IssueLog()
    var configuration = configuration
    configuration.onIssue = { log.append($0) }
    let core: LoopCore
    let result: Swift.Result<Result, any Error>
    do {
        let loop = try EventLoop(configuration)
        core = unsafe loop.core
        result = Swift.Result { try body(loop) }
        let report = loop.close()
        if !expectingLeftovers { #expect(report.isClean, "\(report)", sourceLocation: sourceLocation) }
    }
    #expect(core.openHandles == 0, "handles are left", sourceLocation: sourceLocation)
    #expect(core.callbacks.count == 0, "callbacks are left", sourceLocation: sourceLocation)
    #expect(openDescriptors() == descriptors, "descriptors are left", sourceLocation: sourceLocation)
    if issues == nil { #expect(log.all.isEmpty, "\(log.all)", sourceLocation: sourceLocation) }
    return try result.get()
}

/// libuv opens a pipe for signals with the first loop of a process and keeps it: that is no leak of a test.
private let firstLoop = Result { _ = try makeAndCloseLoop() }

private func makeAndCloseLoop() throws -> CloseReport { try EventLoop().close() }

extension EventLoop.Configuration {
    /// A virtual clock and connections in memory: nothing of the real world.
    static func virtual(
        batchesPerPoll: Int = 61,
        network: EventLoop.Network = .memory()
    ) -> EventLoop.Configuration {
        var configuration = EventLoop.Configuration()
        configuration.clock = VirtualClock()
        configuration.network = network
        configuration.batchesPerPoll = batchesPerPoll
        return configuration
    }

    /// The system's clock and the system's sockets.
    static var real: EventLoop.Configuration { EventLoop.Configuration() }
}

/// The issues that a loop reported.
final class IssueLog: Sendable {
    private let issues = Mutex<[LoopIssue]>([])
    func append(_ issue: LoopIssue) { issues.withLock { $0.append(issue) } }
    var all: [LoopIssue] { issues.withLock { $0 } }
}

/// What happened, in order.
///
/// Can be shared with a loop's callbacks, as an array cannot.
final class Recorder<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    func append(_ element: Element) { elements.withLock { $0.append(element) } }
    var all: [Element] { elements.withLock { $0 } }
    var count: Int { all.count }
    func removeAll() { elements.withLock { $0 = [] } }
}
