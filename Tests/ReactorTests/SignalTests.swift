// Signals as callbacks, and with them what a libuv callback does with what it makes ready: the two rings of a turn.
// Each signal is raised on the test's own thread or after a watch exists, so that none has its default effect.

import AsyncIOTesting
import Synchronization
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
    @Suite struct SignalTests {
        @Test func `a signal runs its callback on the loop, each time`() throws {
            let order = Recorder<Bool>()
            try withLoop { loop in
                try loop.runForever { loop in
                    final class Count { var left = 3 }
                    let count = Count()
                    let token = WatcherBox()
                    token.watcher = try loop.onSignal(.user1) {
                        order.append(loop.isCurrent)
                        count.left -= 1
                        guard count.left > 0 else {
                            token.watcher?.cancel()
                            return loop.stop()
                        }
                        raiseHere(.user1)
                    }
                    raiseHere(.user1)
                }
            }
            #expect(order.all == [true, true, true])
        }

        @Test func `a signal from another thread wakes a loop that sleeps, behaviour 130`() throws {
            let order = Recorder<String>()
            let workers = Recorder<Worker>()
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    let token = WatcherBox()
                    token.watcher = try loop.onSignal(.user2) {
                        order.append("signal")
                        token.watcher?.cancel()
                        loop.stop()
                    }
                    workers.append(
                        Worker {
                            while unsafe !loop.core.inbox.sleeping.load(ordering: .sequentiallyConsistent) {}
                            sendToProcess(.user2)
                        }
                    )
                }
                for worker in workers.all { worker.join() }
            }
            #expect(order.all == ["signal"])
        }

        @Test func `a signal that comes while the loop does not run is delivered by its next run, behaviour 130`()
            throws
        {
            let order = Recorder<String>()
            try withLoop { loop in
                try loop.assumeIsolated { loop in
                    let box = WatcherBox()
                    box.watcher = try loop.onSignal(.hangUp) {
                        order.append("signal")
                        box.watcher?.cancel()
                    }
                }
                raiseHere(.hangUp)
                #expect(order.all.isEmpty)
                loop.runOnce()
                #expect(order.all == ["signal"])
            }
        }

        @Test func `every loop that watches a signal hears of it`() throws {
            let order = Recorder<String>()
            try withLoop { first in
                try withLoop { second in
                    for (name, loop) in [("first", first), ("second", second)] {
                        try loop.assumeIsolated { loop in
                            let box = WatcherBox()
                            box.watcher = try loop.onSignal(.user1) {
                                order.append(name)
                                box.watcher?.cancel()
                            }
                        }
                    }
                    raiseHere(.user1)
                    second.runOnce()
                    first.runOnce()
                }
            }
            #expect(order.all == ["second", "first"])
        }

        @Test func `two watches on one signal both run, and cancelling one keeps the other`() throws {
            let order = Recorder<String>()
            try withLoop { loop in
                try loop.runForever { loop in
                    let (one, other) = (WatcherBox(), WatcherBox())
                    one.watcher = try loop.onSignal(.user1) {
                        order.append("one")
                        one.watcher?.cancel()
                    }
                    other.watcher = try loop.onSignal(.user1) { order.append("other") }
                    raiseHere(.user1)
                    loop.schedule(after: .seconds(1)) { raiseHere(.user1) }
                    loop.schedule(after: .seconds(2)) {
                        other.watcher?.cancel()
                        loop.stop()
                    }
                }
            }
            #expect(order.all.sorted() == ["one", "other", "other"])
            #expect(order.all.last == "other")
        }

        @Test func `a cancelled watch drops its closure at once and cancels again to no effect`() throws {
            let released = Recorder<String>()
            try withLoop { loop in
                try loop.runForever { loop in
                    let watcher = try holding("closure", released) { probe in
                        try loop.onSignal(.user1) { probe.touch() }
                    }
                    #expect(released.all.isEmpty)
                    watcher.cancel()
                    #expect(released.all == ["closure"])
                    watcher.cancel()
                    loop.stop()
                }
            }
        }

        @Test func `SIGKILL cannot be watched, and nothing is left of the attempt`() throws {
            try withLoop { loop in
                try loop.runForever { loop in
                    #expect(throws: SystemError(.invalidArgument, call: "")) {
                        try loop.onSignal(Signal(rawValue: SIGKILL)) {}
                    }
                    loop.stop()
                }
            }
        }

        @Test func `an error in a signal's callback is reported with the signal, and the loop goes on`() throws {
            let issues = IssueLog()
            try withLoop(collecting: issues) { loop in
                try loop.runForever { loop in
                    let watcher = try loop.onSignal(.user1) { throw LoopError.timedOut("It") }
                    raiseHere(.user1)
                    loop.schedule(after: .seconds(1)) {
                        watcher.cancel()
                        loop.stop()
                    }
                }
            }
            #expect(
                issues.all.map(\.description) == ["uncaught error in the watch on signal \(SIGUSR1): It timed out."]
            )
        }

        @Test func `a slow signal callback is reported like any other`() throws {
            let issues = IssueLog()
            let clock = VirtualClock()
            var configuration = EventLoop.Configuration.virtual()
            configuration.clock = clock
            configuration.slowCallbackThreshold = .milliseconds(100)
            try withLoop(configuration, collecting: issues) { loop in
                try loop.runForever { loop in
                    let box = WatcherBox()
                    box.watcher = try loop.onSignal(.user1) {
                        clock.advance(by: .milliseconds(150))
                        box.watcher?.cancel()
                        loop.stop()
                    }
                    raiseHere(.user1)
                }
            }
            #expect(issues.all.count == 1)
            #expect(issues.all.first?.description.contains("signal \(SIGUSR1)") == true)
        }

        @Test func `a libuv callback runs what it made ready before the next one, if nothing was ready`() throws {
            let order = try orderOfTwoSignals(withSomethingReady: false)
            #expect(order == ["1", "1 inner", "1 inner too", "2", "2 inner", "2 inner too", "1 later", "2 later"])
        }

        @Test func `a libuv callback only appends what it made ready, if something was ready`() throws {
            let order = try orderOfTwoSignals(withSomethingReady: true)
            #expect(
                order == ["1", "2", "ready", "1 inner", "1 inner too", "2 inner", "2 inner too", "1 later", "2 later"]
            )
        }

        private func orderOfTwoSignals(withSomethingReady: Bool) throws -> [String] {
            let order = Recorder<String>()
            try withLoop { loop in
                try loop.runForever { loop in
                    let boxes = WatcherBox()
                    for (name, signal) in [("1", Signal.user1), ("2", .user2)] {
                        let watcher = try loop.onSignal(signal) {
                            order.append(name)
                            loop.schedule {
                                order.append("\(name) inner")
                                loop.schedule { order.append("\(name) later") }
                            }
                            loop.schedule { order.append("\(name) inner too") }
                        }
                        boxes.all.append(watcher)
                    }
                    if withSomethingReady { loop.schedule { order.append("ready") } }
                    raiseHere(.user1)
                    raiseHere(.user2)
                    loop.schedule(after: .seconds(1)) {
                        for watcher in boxes.all { watcher.cancel() }
                        loop.stop()
                    }
                }
            }
            return order.all
        }

        @Test func `a libuv callback that stops keeps what it made ready before, and leaves the rest to the next run`()
            throws
        {
            let order = Recorder<String>()
            try withLoop { loop in
                try loop.runForever { loop in
                    let box = WatcherBox()
                    box.watcher = try loop.onSignal(.user1) {
                        box.watcher?.cancel()
                        loop.schedule { order.append("before") }
                        loop.stop()
                        loop.schedule { order.append("after") }
                    }
                    raiseHere(.user1)
                }
                #expect(order.all == ["before"])
                loop.runOnce()
            }
            #expect(order.all == ["before", "after"])
        }
    }
}

/// Keeps watches for closures that end them.
final class WatcherBox {
    var watcher: SignalWatcher?
    var all: [SignalWatcher] = []
}

/// Sends the signal to this very thread: it has been taken when this returns.
func raiseHere(_ signal: Signal) { withUnblocked(signal) { _ = raise(signal.rawValue) } }

/// Sends the signal to the process.
private func sendToProcess(_ signal: Signal) { withUnblocked(signal) { _ = kill(getpid(), signal.rawValue) } }

/// Calls `body` while this thread takes the signal, which the threads of Swift's pool do not.
private func withUnblocked(_ signal: Signal, _ body: () -> Void) {
    var (set, before) = (sigset_t(), sigset_t())
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, signal.rawValue)
    unsafe pthread_sigmask(SIG_UNBLOCK, &set, &before)
    body()
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
}
