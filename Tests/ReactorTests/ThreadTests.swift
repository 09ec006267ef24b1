// Who may call what from where. A wrong thread, and a run within a run, end the process with a sentence that says what
// to do instead: nothing of it can be caught, so each has a process of its own. Behaviours 10 and 11 of asyncio.

import Testing

@testable import Reactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension ReactorTests {
    @Suite struct ThreadTests {
        @Test func `running a loop on another thread traps with a sentence, behaviour 10`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let loop = try EventLoop()
                Worker { runBriefly(loop) }.join()
            }
            #expect(says(result, "An EventLoop belongs to the thread that made it"))
            #expect(says(result, "submit(_:)"))
        }

        @Test func `closing a loop on another thread traps with a sentence, behaviour 10`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let loop = try EventLoop()
                Worker { loop.close() }.join()
            }
            #expect(says(result, "close() was called on another"))
        }

        @Test func `claiming the loop's isolation on another thread traps with a sentence, behaviour 10`() async throws
        {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let loop = try EventLoop()
                Worker { loop.assumeIsolated { $0.stop() } }.join()
            }
            #expect(says(result, "This code claims to run on the EventLoop"))
        }

        @Test func `claiming the isolation of an idle loop inside another loop's run traps`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let (idle, running) = (try EventLoop(), try EventLoop())
                runBriefly(running) { idle.assumeIsolated { $0.stop() } }
            }
            #expect(says(result, "This code claims to run on the EventLoop"))
        }

        @Test func `running a loop in its own callback traps with a sentence, behaviour 11`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let loop = try EventLoop()
                runBriefly(loop) { runBriefly(loop) }
            }
            #expect(says(result, "This EventLoop is already running"))
        }

        @Test func `running a second loop inside the first traps with a sentence, behaviour 11`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let (first, second) = (try EventLoop(), try EventLoop())
                runBriefly(first) { runBriefly(second) }
            }
            #expect(says(result, "Cannot run an EventLoop while another one runs on this thread"))
        }

        @Test func `closing a loop in its own callback traps with a sentence, behaviour 11`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let loop = try EventLoop()
                runBriefly(loop) { loop.close() }
            }
            #expect(says(result, "An EventLoop cannot be closed by its own callback"))
        }

        @Test func `running a closed loop traps with a sentence, behaviour 11`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let loop = try EventLoop()
                closeHere(loop)
                runBriefly(loop)
            }
            #expect(says(result, "This EventLoop is closed and cannot run"))
        }

        @Test func `scheduling on a closed loop traps with a sentence, behaviour 11`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let loop = try EventLoop()
                closeHere(loop)
                scheduleHere(loop)
            }
            #expect(says(result, "or the loop is closed"))
        }

        @Test func `a loop that would run no batch at all cannot be made`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                var configuration = EventLoop.Configuration()
                configuration.batchesPerPoll = 0
                _ = try EventLoop(configuration)
            }
            #expect(says(result, "batchesPerPoll must be at least 1"))
        }

        @Test func `a loop is current on its own thread, between runs and in them, and nowhere else`() throws {
            let seen = Recorder<Bool>()
            try withLoop { loop in
                seen.append(loop.isCurrent)
                try loop.runForever { loop in
                    loop.schedule {
                        seen.append(loop.isCurrent)
                        Worker { seen.append(loop.isCurrent) }.join()
                        loop.stop()
                    }
                }
                seen.append(loop.isCurrent)
            }
            #expect(seen.all == [true, true, false, true])
        }

        @Test func `an idle loop is not current while another one runs on its thread`() throws {
            let seen = Recorder<Bool>()
            try withLoop { idle in
                try withLoop { running in
                    try running.runForever { running in
                        running.schedule {
                            seen.append(idle.isCurrent)
                            running.stop()
                        }
                    }
                }
            }
            #expect(seen.all == [false])
        }

        @Test func `two loops on two threads run at the same time`() throws {
            let order = Recorder<String>()
            try withLoop { here in
                let worker = Worker {
                    do {
                        try withLoop { there in
                            try there.runForever { there in
                                there.schedule {
                                    order.append("there")
                                    try here.submit { here in
                                        order.append("here")
                                        try there.submit { there in
                                            order.append("there again")
                                            there.stop()
                                        }
                                        here.stop()
                                    }
                                }
                            }
                        }
                    } catch {
                        Issue.record(error)
                    }
                }
                try here.runForever()
                worker.join()
            }
            #expect(order.all == ["there", "here", "there again"])
        }
    }
}

private func says(_ result: ExitTest.Result?, _ sentence: String) -> Bool {
    guard let result else { return false }
    return String(decoding: result.standardErrorContent, as: UTF8.self).contains(sentence)
}

/// Runs the loop for one callback, from a function that is not async, as an async one cannot run a loop.
private func runBriefly(_ loop: EventLoop, _ body: @escaping @Sendable () -> Void = {}) {
    do {
        try loop.runForever { loop in
            loop.schedule {
                body()
                loop.stop()
            }
        }
    } catch {
        Issue.record(error)
    }
}

private func closeHere(_ loop: EventLoop) { loop.close() }

private func scheduleHere(_ loop: EventLoop) { loop.assumeIsolated { _ = $0.schedule {} } }

/// A thread of a test's own, which must be joined.
struct Worker: Sendable {
    /// The thread's `pthread_t`, which is a pointer on some systems.
    private let thread: UInt

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    init(stackSize: Int = 2_097_152, _ run: @escaping @Sendable () -> Void) {
        let attributes = UnsafeMutablePointer<pthread_attr_t>.allocate(capacity: 1)
        unsafe pthread_attr_init(attributes)
        defer {
            unsafe pthread_attr_destroy(attributes)
            unsafe attributes.deallocate()
        }
        unsafe pthread_attr_setstacksize(attributes, stackSize)
        let body = unsafe Unmanaged.passRetained(Body(run)).toOpaque()
        #if canImport(Darwin)
        var started: pthread_t?
        let main: @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? = unsafe {
            unsafe Unmanaged<Body>.fromOpaque($0).takeRetainedValue().run()
            return nil
        }
        let error = unsafe pthread_create(&started, attributes, main, body)
        unsafe thread = UInt(bitPattern: started!)
        #else
        var started = pthread_t()
        let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = {
            unsafe Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().run()
            return nil
        }
        let error = unsafe pthread_create(&started, attributes, main, body)
        thread = started
        #endif
        precondition(error == 0, "cannot start a thread: errno \(error)")
    }

    func join() {
        #if canImport(Darwin)
        unsafe pthread_join(pthread_t(bitPattern: thread)!, nil)
        #else
        pthread_join(thread, nil)
        #endif
    }
}
