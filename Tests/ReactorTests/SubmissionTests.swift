// Work from other threads: none is lost, none runs twice, each thread's order is kept, and a token cancels from
// anywhere. Behaviours 8 and 9 of asyncio; the second differs, as `cancel()` here never blocks.

import Synchronization
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct SubmissionTests {
        @Test func `4096 submissions among timers that come and go are all run, behaviour 8`() throws {
            let (threads, each) = (4, 1_024)
            let received = Recorder<[Int]>()
            let workers = Recorder<Worker>()
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    final class State {
                        var next: [Int]
                        var left: Int
                        var timers: [Scheduled] = []
                        init(_ threads: Int, _ left: Int) {
                            next = Array(repeating: 0, count: threads)
                            self.left = left
                        }
                    }
                    let state = State(threads, threads * each)
                    let arrived: Arrival = { loop, thread, number in
                        loop.assumeIsolated { loop in received.append([thread, number]) }
                    }
                    func churn(on loop: isolated EventLoop) {
                        for timer in state.timers { timer.cancel() }
                        state.timers = (1...20).map { loop.schedule(after: .microseconds($0 * 50)) {} }
                        guard received.count < threads * each else {
                            for timer in state.timers { timer.cancel() }
                            return loop.stop()
                        }
                        loop.schedule(after: .microseconds(20)) { churn(on: loop) }
                    }
                    churn(on: loop)
                    for thread in 0..<threads {
                        workers.append(Worker { submitMany(each, from: thread, to: loop, arrived) })
                    }
                }
                for worker in workers.all { worker.join() }
            }
            #expect(received.count == threads * each)
            for thread in 0..<threads {
                #expect(received.all.filter { $0[0] == thread }.map { $0[1] } == Array(0..<each))
            }
        }

        @Test func `a submission wakes a loop that sleeps`() throws {
            let order = Recorder<String>()
            let workers = Recorder<Worker>()
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    workers.append(
                        Worker {
                            for number in 0..<100 {
                                while unsafe !loop.core.inbox.sleeping.load(ordering: .sequentiallyConsistent) {}
                                submitOrRecord(to: loop) { loop in
                                    order.append("\(number)")
                                    if number == 99 { loop.stop() }
                                }
                            }
                        }
                    )
                }
                for worker in workers.all { worker.join() }
            }
            #expect(order.all == (0..<100).map { "\($0)" })
        }

        @Test func `what is submitted before the run is kept until it`() throws {
            let order = Recorder<Int>()
            try withLoop { loop in
                for number in 0..<200 { try loop.submit { _ in order.append(number) } }
                #expect(order.all.isEmpty)
                loop.runOnce()
            }
            #expect(order.all == Array(0..<200))
        }

        @Test func `a submission that is cancelled before it runs never runs and drops its closure, behaviour 9`()
            throws
        {
            let released = Recorder<String>()
            try withLoop { loop in
                let token = try submitHolding("closure", released, to: loop)
                #expect(token.isPending)
                #expect(token.cancel())
                #expect(released.all == ["closure"])
                #expect(!token.isPending)
                #expect(!token.cancel())
                loop.runOnce()
            }
            #expect(released.all == ["closure"])
        }

        @Test func `a submission drops its closure when it has run, although the token is kept`() throws {
            let released = Recorder<String>()
            try withLoop { loop in
                let token = try submitHolding("closure", released, to: loop)
                loop.runOnce()
                #expect(released.all == ["run", "closure"])
                #expect(!token.isPending)
                #expect(!token.cancel(), "it has run")
            }
        }

        @Test func `a submission cannot prevent itself, and trying does not block, behaviour 9`() throws {
            let results = Recorder<Bool>()
            let tokens = Recorder<Submission>()
            try withLoop { loop in
                tokens.append(try loop.submit { _ in results.append(tokens.all[0].cancel()) })
                loop.runOnce()
            }
            #expect(results.all == [false])
        }

        @Test func `cancel from another thread returns while the callback runs, behaviour 9`() throws {
            let results = Recorder<Bool>()
            let tokens = Recorder<Submission>()
            try withLoop { loop in
                tokens.append(
                    try loop.submit { _ in
                        // The other thread ends before the callback does: it cannot have waited for it.
                        Worker { results.append(tokens.all[0].cancel()) }.join()
                    }
                )
                loop.runOnce()
            }
            #expect(results.all == [false])
        }

        @Test func `cancelAndWait returns only when the running callback has ended, behaviour 9`() async throws {
            let order = Recorder<String>()
            let (began, mayEnd) = (Flag(), Flag())
            try await withLoopElsewhere { loop in
                let token = try loop.submit { _ in
                    began.raise()
                    mayEnd.spin()
                    order.append("ended")
                }
                while !began.isRaised { await Task.yield() }
                async let prevented = token.cancelAndWait()
                async let alsoPrevented = token.cancelAndWait()
                for _ in 0..<20 { await Task.yield() }
                #expect(order.all.isEmpty)
                mayEnd.raise()
                let results = await [prevented, alsoPrevented]
                #expect(results == [false, false])
                #expect(order.all == ["ended"])
            }
        }

        @Test func `cancelAndWait prevents what has not begun, and does not wait for what has ended`() async throws {
            let order = Recorder<String>()
            try await withLoopElsewhere { loop in
                let gate = Flag()
                try loop.submit { _ in gate.spin() }
                let behind = try loop.submit { _ in order.append("behind") }
                let last = try loop.submit { _ in order.append("last") }
                #expect(await behind.cancelAndWait())
                #expect(await behind.cancelAndWait() == false)
                gate.raise()
                while last.isPending { await Task.yield() }
                #expect(await last.cancelAndWait() == false)
                #expect(order.all == ["last"])
            }
        }

        @Test func `a token of a submission that has run does not cancel a later one`() throws {
            let order = Recorder<Int>()
            let (old, later) = (Recorder<Submission>(), Recorder<Submission>())
            try withLoop { loop in
                for number in 0..<200 { old.append(try loop.submit { _ in order.append(number) }) }
                loop.runOnce()
                for number in 200..<400 { later.append(try loop.submit { _ in order.append(number) }) }
                for token in old.all {
                    #expect(!token.isPending)
                    #expect(!token.cancel())
                }
                for token in later.all { #expect(token.isPending) }
                loop.runOnce()
            }
            #expect(order.all == Array(0..<400))
        }

        @Test func `a loop that took a burst of submissions can be dropped by a thread with a small stack`() async {
            await #expect(processExitsWith: .success) { Worker(stackSize: 262_144) { takeBurst(20_000) }.join() }
        }

        @Test func `every submission is either cancelled or run when both race`() throws {
            let ran = Recorder<Int>()
            let cancelled = Recorder<Int>()
            let workers = Recorder<Worker>()
            let count = 2_000
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    workers.append(
                        Worker {
                            for number in 0..<count {
                                guard let token = submitOrRecord(to: loop, { _ in ran.append(number) }) else { return }
                                if number % 3 == 0 { for _ in 0..<(number % 50) { _ = token.isPending } }
                                if token.cancel() { cancelled.append(number) }
                            }
                            submitOrRecord(to: loop) { $0.stop() }
                        }
                    )
                }
                for worker in workers.all { worker.join() }
            }
            #expect((ran.all + cancelled.all).sorted() == Array(0..<count))
        }
    }
}

private func takeBurst(_ count: Int) {
    do {
        for _ in 0..<3 {
            let loop = try EventLoop()
            for _ in 0..<3 {
                for _ in 0..<count { try loop.submit { _ in } }
                loop.runOnce()
            }
            loop.close()
        }
    } catch {
        Issue.record(error)
    }
}

private typealias Arrival = @Sendable (EventLoop, Int, Int) -> Void

private func submitMany(_ count: Int, from thread: Int, to loop: EventLoop, _ arrived: @escaping Arrival) {
    for number in 0..<count { submitOrRecord(to: loop) { loop in arrived(loop, thread, number) } }
}

/// Submits from a thread that has nobody to throw to.
@discardableResult
func submitOrRecord(to loop: EventLoop, _ body: @escaping @Sendable (isolated EventLoop) -> Void) -> Submission? {
    do {
        return try loop.submit(body)
    } catch {
        Issue.record(error)
        return nil
    }
}

private func submitHolding(_ name: String, _ log: Recorder<String>, to loop: EventLoop) throws -> Submission {
    let probe = ReleaseProbe(name, log)
    return try loop.submit { _ in
        log.append("run")
        probe.touch()
    }
}

/// Something that happened, or did not yet, for all threads to see.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isRaised: Bool { value.load(ordering: .acquiring) }
    func raise() { value.store(true, ordering: .releasing) }
    /// Waits without sleeping, for what another thread is about to do.
    func spin() { while !isRaised {} }
}
