// Closing a loop: nothing is left, what was open is named, what was scheduled is dropped and counted, and whoever comes
// too late is told so. Behaviour 11 of asyncio.

import Synchronization
import TestSupport
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
    @Suite struct CloseTests {
        @Test func `a loop that did nothing closes with nothing left, and its descriptors are gone`() throws {
            try withLoop(.real) { _ in }
            let before = openDescriptors()
            let loop = try EventLoop()
            #expect(openDescriptors() > before)
            let report = loop.close()
            #expect(report.isClean)
            #expect(report.description == "nothing left open")
            #expect(openDescriptors() == before)
        }

        @Test func `closing twice is harmless, behaviour 11`() throws {
            try withLoop(expectingLeftovers: true) { loop in
                loop.assumeIsolated { _ = $0.schedule {} }
                #expect(!loop.close().isClean)
                #expect(loop.close().isClean)
                #expect(loop.close().isClean)
            }
        }

        @Test func `a closed loop refuses work from everywhere with an error, behaviour 11`() throws {
            let errors = Recorder<LoopError?>()
            try withLoop { loop in
                loop.close()
                #expect(throws: LoopError.loopClosed) { try loop.submit { _ in } }
                Worker {
                    do { try loop.submit { _ in } } catch { errors.append(error as? LoopError) }
                }.join()
            }
            #expect(errors.all == [.loopClosed])
        }

        @Test func `a task that cleans up after its loop closed gets errors, and timers that never come`() async throws
        {
            let loop = try closedLoop()
            #expect(await refusals(loop) == ["loopClosed", "loopClosed", "loopClosed", "not pending"])
        }

        @Test func `the thread of a closed loop is no longer on it`() async {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                try claimToBeOnAClosedLoop()
            }
            #expect(
                result.map {
                    String(decoding: $0.standardErrorContent, as: UTF8.self).contains("or the loop is closed")
                }
                    == true
            )
        }

        @Test func `everything scheduled is dropped, counted and never run`() throws {
            let released = Recorder<String>()
            let loop = try EventLoop(.virtual())
            let token = Recorder<Submission>()
            try loop.assumeIsolated { loop in
                holding("soon", released) { probe in _ = loop.schedule { probe.touch() } }
                holding("timer", released) { probe in _ = loop.schedule(after: .seconds(1)) { probe.touch() } }
                loop.schedule(after: .seconds(1)) { Issue.record("it was cancelled") }.cancel()
                let probe = ReleaseProbe("submission", released)
                token.append(try loop.submit { _ in probe.touch() })
            }
            let report = loop.close()
            #expect(report.droppedCallbacks == 3)
            #expect(!report.isClean)
            #expect(report.description == "left open: [], callbacks that never ran: 3")
            #expect(released.all.sorted() == ["soon", "submission", "timer"])
            #expect(!token.all[0].isPending)
            #expect(!token.all[0].cancel())
        }

        @Test func `a submission that was dropped keeps nobody waiting`() async throws {
            let (tokens, announce) = AsyncStream<Submission>.makeStream()
            let worker = Worker {
                do {
                    try withLoop(expectingLeftovers: true) { loop in _ = announce.yield(try loop.submit { _ in }) }
                } catch {
                    Issue.record(error)
                }
                announce.finish()
            }
            var token: Submission?
            for await submission in tokens { token = submission }
            worker.join()
            #expect(await token?.cancelAndWait() == false)
        }

        @Test func `what is open is named, listeners first, then connections, then signals`() throws {
            let events = Recorder<String>()
            let loop = try EventLoop(.virtual())
            try loop.runForever { loop in
                try loop.onSignal(.user1) {}
                let listener = try loop.listen(on: anyPort()) { Witness(events, "server") }
                try loop.connect(
                    to: listener.localAddress,
                    { Witness(events, "client") },
                    onFailure: { events.append("\($0)") }
                )
                loop.schedule(after: .seconds(1)) { loop.stop() }
            }
            let report = loop.close()
            #expect(report.handles.count == 4)
            #expect(report.handles.first?.contains("listener") == true)
            #expect(report.handles[1].contains("connection"))
            #expect(report.handles[2].contains("connection"))
            #expect(report.handles.last?.contains("watch on signal") == true)
            #expect(events.all.sorted() == ["client lost: loopClosed", "server lost: loopClosed"])
        }

        @Test func `what a dying closure or protocol schedules while the loop closes is refused in silence`() throws {
            let log = Recorder<String>()
            let loop = try EventLoop(.virtual())
            loop.assumeIsolated { loop in
                let last = LastWill {
                    loop.assumeIsolated { loop in
                        let token = loop.schedule { log.append("ran") }
                        log.append("pending: \(token.isPending)")
                        loop.schedule(after: .seconds(1)) { log.append("ran") }
                        loop.stop()
                    }
                }
                loop.schedule { last.touch() }
            }
            #expect(loop.close().droppedCallbacks == 1)
            #expect(log.all == ["pending: false"])
        }

        @Test func `submissions that race with the close are each run, dropped or refused`() throws {
            for round in 0..<25 {
                let loop = try EventLoop(.virtual())
                let counts = Counts()
                let workers = (0..<3).map { _ in Worker { counts.submitUntilRefused(to: loop) } }
                while counts.accepted.load(ordering: .relaxed) < round * 7 { loop.runOnce() }
                let report = loop.close()
                for worker in workers { worker.join() }
                #expect(
                    counts.ran.load(ordering: .relaxed) + report.droppedCallbacks
                        == counts.accepted.load(ordering: .relaxed)
                )
            }
        }

        @Test func `closing waits for threads that are waking the loop`() throws {
            // The wakers must see the loop asleep, so it sleeps in its run while they submit, and closes right after.
            for _ in 0..<25 {
                let loop = try EventLoop()
                let counts = Counts()
                let workers = (0..<2).map { _ in Worker { counts.submitUntilRefused(to: loop, patience: 2_000) } }
                try loop.runForever { loop in loop.schedule(after: .microseconds(300)) { loop.stop() } }
                let report = loop.close()
                for worker in workers { worker.join() }
                #expect(
                    counts.ran.load(ordering: .relaxed) + report.droppedCallbacks
                        == counts.accepted.load(ordering: .relaxed)
                )
            }
        }

        @Test func `a loop that is dropped without a close says so once`() async throws {
            // It keeps its descriptors and memory, so it is dropped in a process of its own, which ends before a
            // sanitizer can find them.
            let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
                _ = try EventLoop()
                _exit(0)
            }
            let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
            #expect(text.contains("EventLoop 'loop' was dropped without close(); its descriptors stay open\n"))
            #expect(text.split(separator: "\n").filter { $0.contains("dropped") }.count == 1)
        }
    }
}

private func anyPort() throws -> SocketAddress { try SocketAddress(host: "127.0.0.1", port: 0) }

/// Submits until the loop is closed, and counts.
private final class Counts: Sendable {
    let accepted = Atomic<Int>(0)
    let ran = Atomic<Int>(0)

    /// With patience it looks that often for a sleeping loop before each submission.
    func submitUntilRefused(to loop: EventLoop, patience: Int = 0) {
        do {
            while true {
                var looks = 0
                while looks < patience, unsafe !loop.core.inbox.sleeping.load(ordering: .relaxed) { looks += 1 }
                try loop.submit { [self] _ in ran.add(1, ordering: .relaxed) }
                accepted.add(1, ordering: .relaxed)
            }
        } catch {
            if error as? LoopError != .loopClosed { Issue.record(error) }
        }
    }
}

/// Runs a closure when it is released.
private final class LastWill: Sendable {
    private let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    deinit { body() }
    func touch() {}
}

/// Says how its connection ended.
private final class Witness: StreamProtocol {
    private let events: Recorder<String>
    private let name: String

    init(_ events: Recorder<String>, _ name: String) {
        self.events = events
        self.name = name
    }

    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {}

    func connectionLost(_ transport: StreamTransport, error: (any Error)?, on loop: isolated EventLoop) {
        events.append(
            "\(name) lost: \(error as? LoopError == .loopClosed ? "loopClosed" : "\(String(describing: error))")"
        )
    }
}

/// A loop that is closed already.
///
/// Synchronous, as a loop is made and closed on one thread.
func closedLoop() throws -> EventLoop {
    let loop = try EventLoop()
    loop.close()
    return loop
}

/// What the loop answers to a task that runs on it after it was closed.
private func refusals(_ loop: isolated EventLoop) -> [String] {
    var answers: [String] = []
    func note(_ body: () throws -> Void) {
        do { try body() } catch { answers.append((error as? LoopError) == .loopClosed ? "loopClosed" : "\(error)") }
    }
    note { _ = try loop.onSignal(.user1) {} }
    note { _ = try loop.listen(on: anyPort()) { Witness(Recorder(), "") } }
    note { _ = try loop.connect(to: anyPort(), { Witness(Recorder(), "") }, onFailure: { _ in }) }
    answers.append(loop.schedule(after: .seconds(1)) {}.isPending ? "pending" : "not pending")
    return answers
}

private func claimToBeOnAClosedLoop() throws {
    try closedLoop().assumeIsolated { _ in }
}
