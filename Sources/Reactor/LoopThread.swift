// A loop on a thread of its own, for async code that has none: tests, `async` main functions, libraries.

internal import CReactor
internal import Synchronization

/// A thread that makes a loop, runs it until it is told to end, and closes it.
@safe
package final class LoopThread: Sendable {
    private let configuration: EventLoop.Configuration
    /// The task for which the loop is made, as an address, or 0.
    private let mainTask: UInt
    private let started = OneShot<EventLoop>()
    private let ended = OneShot<Void>()
    private let isEnding = Atomic<Bool>(false)

    private init(_ configuration: EventLoop.Configuration, _ mainTask: UInt) {
        (self.configuration, self.mainTask) = (configuration, mainTask)
    }

    /// Starts a thread and returns when its loop runs.
    ///
    /// - Parameters:
    ///   - configuration: The loop's.
    ///   - isCallersOwn: Whether the calling task is the loop's main task.
    /// - Returns: The thread, and its loop.
    /// - Throws: ``SystemError`` if there is no thread, or no loop.
    package static func start(
        _ configuration: EventLoop.Configuration,
        isCallersOwn: Bool = false
    ) async throws -> (LoopThread, EventLoop) {
        let mainTask = unsafe isCallersOwn ? UInt(bitPattern: creactor_current_task()) : 0
        let thread = LoopThread(configuration, mainTask)
        // SAFETY: the thread takes over the reference.
        let context = unsafe Unmanaged.passRetained(thread).toOpaque()
        let error = unsafe creactor_thread_start("asyncio-loop", { unsafe LoopThread.main($0!) }, context)
        guard error == 0 else {
            unsafe Unmanaged<LoopThread>.fromOpaque(context).release()
            throw SystemError(status: -error, call: "pthread_create")
        }
        return (thread, try await thread.started.value)
    }

    /// Ends the loop's tasks, closes it, and returns when that is done.
    package func end(_ loop: EventLoop) async {
        endSoon(loop)
        try? await ended.value
    }

    /// The same without waiting for it.
    package func endSoon(_ loop: EventLoop) {
        // One stop: another would disturb the end that the first began.
        if isEnding.exchange(true, ordering: .acquiringAndReleasing) { return }
        _ = try? loop.submit { loop in loop.stop() }
    }

    private static func main(_ context: UnsafeMutableRawPointer) {
        // SAFETY: takes back the reference that `start` gave, once.
        let thread = unsafe Unmanaged<LoopThread>.fromOpaque(context).takeRetainedValue()
        do {
            let loop = try EventLoop(thread.configuration)
            let core = unsafe loop.core
            core.workers.areKept = true
            core.mainTask = thread.mainTask
            thread.started.complete(.success(loop))
            // Code on the loop may stop it; that ends neither the body nor its loop.
            repeat { core.runForever() } while !thread.isEnding.load(ordering: .acquiring)
            core.endTasks()
            core.closeHere()
        } catch {
            thread.started.complete(.failure(error))
        }
        thread.ended.complete(.success(()))
    }
}

/// A value that is completed once, from any thread, and awaited by any number of tasks.
///
/// The wait is not cancelled with its task.
@safe
package final class OneShot<Value: Sendable>: Sendable {
    private let lock = Lock()
    // SAFETY: under the lock.
    private nonisolated(unsafe) var result: Result<Value, any Error>?
    private nonisolated(unsafe) var waiting: [UnsafeContinuation<Void, Never>] = unsafe []

    package init() {}

    /// The first completion counts.
    package func complete(_ result: Result<Value, any Error>) {
        let waiters = unsafe lock.locked {
            guard unsafe self.result == nil else { return unsafe [] as [UnsafeContinuation<Void, Never>] }
            unsafe self.result = result
            defer { unsafe waiting = [] }
            return unsafe waiting
        }
        unsafe waiters.forEach { unsafe $0.resume() }
    }

    package var value: Value {
        get async throws {
            unsafe await withUnsafeContinuation { continuation in
                let isComplete = lock.locked {
                    if unsafe result == nil { unsafe waiting.append(continuation) }
                    return unsafe result != nil
                }
                if isComplete { unsafe continuation.resume() }
            }
            return try lock.locked { unsafe result! }.get()
        }
    }
}
