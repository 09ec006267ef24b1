// What is fuzzed: each target plays an input as a script, next to a model of a few lines that says what must come of
// it. A target keeps nothing from one input to the next, so that what fails fails again by itself.

package import AsyncIO

/// A part of the library, and how any bytes are tried on it.
package enum FuzzTarget: String, CaseIterable, Sendable {
    case address
    case hostName = "host-name"
    case deadlineHeap = "deadline-heap"
    case streamReader = "stream-reader"
    case httpResponse = "http-response"
    case waitQueue = "wait-queue"
    case lock
    case condition
    case event
    case barrier
    case queue
    case channel
    case broadcast

    /// Plays one input, on a loop with a virtual clock and connections in memory, in which nothing else goes on.
    ///
    /// - Throws: ``FuzzFailure`` if something was not as the model says, or if something is left on the loop.
    package func check(_ bytes: [UInt8], on loop: isolated EventLoop) async throws {
        let before = loop.census()
        var input = FuzzInput(bytes)
        switch self {
        case .address: try AddressCheck.run(&input)
        case .hostName: try HostNameCheck.run(&input)
        case .deadlineHeap: try DeadlineHeapCheck.run(&input)
        case .streamReader: try await StreamReaderCheck.run(&input, on: loop)
        case .httpResponse: try await HTTPResponseCheck.run(&input, on: loop)
        case .waitQueue: try await WaitQueueCheck.run(&input, on: loop)
        case .lock: try await LockCheck.run(&input, on: loop)
        case .condition: try await ConditionCheck.run(&input, on: loop)
        case .event: try await EventCheck.run(&input, on: loop)
        case .barrier: try await BarrierCheck.run(&input, on: loop)
        case .queue: try await QueueCheck.run(&input, on: loop)
        case .channel: try await ChannelCheck.run(&input, on: loop)
        case .broadcast: try await BroadcastCheck.run(&input, on: loop)
        }
        let after = loop.census()
        if after.tasks > before.tasks { throw FuzzFailure("\(after.tasks - before.tasks) tasks are left") }
        if after.callbacks > before.callbacks { throw FuzzFailure("callbacks are left") }
        if after.handles.count > before.handles.count { throw FuzzFailure("left open: \(after.handles)") }
        if after.waits.count > before.waits.count { throw FuzzFailure("left waiting: \(after.waits)") }
    }
}

/// What an input has found.
package struct FuzzFailure: Error, CustomStringConvertible {
    /// What was not as it should be.
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Notes the first thing that is not as it should be.
final class Ledger {
    private(set) var failure: String?

    func expect(_ holds: Bool, _ sentence: @autoclosure () -> String) {
        if !holds && failure == nil { failure = sentence() }
    }

    /// Fails the input if anything was noted.
    func settle() throws(FuzzFailure) { if let failure { throw FuzzFailure(failure) } }
}
