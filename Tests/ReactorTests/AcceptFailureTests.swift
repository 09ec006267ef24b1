// Behaviour 97 of asyncio: when no descriptor is left, accepting pauses, is reported, and goes on when there are some
// again; the clients that wait are served then, and nothing spins. Each test has a process of its own, as it lowers
// the process's limit; libuv's spare descriptor, which would accept and drop the clients, is of no use below it.

import AsyncIOTesting
import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct AcceptFailureTests {
        @Test func `without descriptors accepting backs off, and then serves everybody who waits`() async {
            await #expect(processExitsWith: .success) {
                let issues = IssueLog()
                let lost = Recorder<String>()
                try performInOwnProcess(.realSocketsInVirtualTime, collecting: issues) { loop in
                    let (listener, address) = try echoListener(loop)
                    try connectClients(5, to: address, on: loop) { entry in
                        lost.append(entry)
                        if lost.count == 5 { listener.drain(within: .seconds(1)) { loop.stop() } }
                    }
                    // The clients are connected for the kernel, and none is accepted.
                    let limit = limitDescriptors(to: 3)
                    every(.milliseconds(1), on: loop) {
                        guard listener.failedAcceptCount >= 4 else { return true }
                        #expect(listener.isListening && listener.acceptedCount == 0)
                        limitDescriptors(to: limit)
                        return false
                    }
                    return {
                        #expect(listener.failedAcceptCount == 4)
                        #expect(listener.acceptedCount == 5)
                    }
                }
                #expect(lost.all == Array(repeating: "lost", count: 5))
                let delays = issues.all.compactMap { issue -> Duration? in
                    guard case .acceptFailed(let error, let delay) = issue.kind else { return nil }
                    #expect(error.code == .tooManyOpenFiles)
                    return delay
                }
                #expect(delays == [5, 10, 20, 40].map { .milliseconds($0) })
            }
        }

        @Test func `the pause is at most a second, and the loop does not spin in it`() async {
            await #expect(processExitsWith: .success) {
                let issues = IssueLog()
                try performInOwnProcess(.realSocketsInVirtualTime, collecting: issues) { loop in
                    let (listener, address) = try echoListener(loop)
                    try connectClients(1, to: address, on: loop) { _ in
                        listener.drain(within: .seconds(1)) { loop.stop() }
                    }
                    let limit = limitDescriptors(to: 3)
                    let turns = loop.statistics.turns
                    let began = loop.now
                    loop.schedule(after: .seconds(60)) {
                        // A handful of turns for each of some 67 attempts, where spinning takes thousands.
                        #expect(loop.statistics.turns - turns < 1_000)
                        #expect((60...70).contains(listener.failedAcceptCount))
                        #expect(began.duration(to: loop.now) >= .seconds(60))
                        limitDescriptors(to: limit)
                    }
                    return {}
                }
                guard case .acceptFailed(_, .seconds(1))? = issues.all.last?.kind else {
                    Issue.record("\(issues.all.last.map { "\($0)" } ?? "no issue")")
                    return
                }
            }
        }

        @Test func `an open connection is served while accepting pauses`() async {
            await #expect(processExitsWith: .success) {
                let issues = IssueLog()
                let log = Recorder<String>()
                try performInOwnProcess(.realSocketsInVirtualTime, collecting: issues) { loop in
                    let (listener, address) = try echoListener(loop)
                    let client = Probe()
                    var limit: UInt = 0
                    client.onMade = { transport in
                        after(turns: 5, on: loop) {
                            try? connectClients(1, to: address, on: loop) { log.append("late \($0)") }
                            limit = limitDescriptors(to: 3)
                            every(.milliseconds(1), on: loop) {
                                guard listener.failedAcceptCount >= 2 else { return true }
                                transport.write("still there?")
                                return false
                            }
                        }
                    }
                    client.onData = { transport, _ in
                        guard client.received.count == 12, limit > 0 else { return }
                        log.append("served")
                        limitDescriptors(to: limit)
                        limit = 0
                        transport.close()
                        every(.milliseconds(1), on: loop) {
                            guard log.count == 2 else { return true }
                            listener.drain(within: .seconds(1)) { loop.stop() }
                            return false
                        }
                    }
                    try loop.connect(to: address, { client }, onFailure: { Issue.record("\($0)") })
                    return {}
                }
                #expect(log.all == ["served", "late lost"])
            }
        }

        @Test func `nothing shortens the pause, not even that the listener is held and released`() async {
            await #expect(processExitsWith: .success) {
                let issues = IssueLog()
                let log = Recorder<String>()
                try performInOwnProcess(.realSocketsInVirtualTime, collecting: issues) { loop in
                    let (listener, address) = try echoListener(loop)
                    let client = Probe()
                    client.onMade = { transport in
                        after(turns: 5, on: loop) {
                            try? connectClients(1, to: address, on: loop) { log.append("late \($0)") }
                            let limit = limitDescriptors(to: 3)
                            var ticks = 0
                            every(.milliseconds(1), on: loop) {
                                guard listener.failedAcceptCount > 0 else { return true }
                                ticks += 1
                                listener.hold()
                                listener.release()
                                if ticks < 30 { return true }
                                // At once, after 5 ms and after 10 more.
                                if listener.failedAcceptCount > 3 { log.append("\(listener.failedAcceptCount) tries") }
                                limitDescriptors(to: limit)
                                transport.close()
                                every(.milliseconds(1), on: loop) {
                                    guard log.count > 0 else { return true }
                                    listener.drain(within: .seconds(1)) { loop.stop() }
                                    return false
                                }
                                return false
                            }
                        }
                    }
                    try loop.connect(to: address, { client }, onFailure: { Issue.record("\($0)") })
                    return {}
                }
                #expect(log.all == ["late lost"])
            }
        }

        @Test func `a listener that is closed in the pause leaves nothing behind`() async {
            await #expect(processExitsWith: .success) {
                let issues = IssueLog()
                let lost = Recorder<String>()
                try performInOwnProcess(.realSocketsInVirtualTime, collecting: issues) { loop in
                    let (listener, address) = try echoListener(loop)
                    try connectClients(3, to: address, on: loop) { entry in
                        lost.append(entry)
                        if lost.count == 3 { loop.stop() }
                    }
                    let limit = limitDescriptors(to: 3)
                    every(.milliseconds(1), on: loop) {
                        guard listener.failedAcceptCount >= 2 else { return true }
                        listener.close()
                        limitDescriptors(to: limit)
                        return false
                    }
                    return {}
                }
                #expect(lost.all == Array(repeating: "lost ECONNRESET", count: 3))
                #expect(issues.all.count == 2)
            }
        }
    }
}

extension EventLoop.Configuration {
    /// Retries then follow each other at once, and every one is counted exactly.
    fileprivate static var realSocketsInVirtualTime: EventLoop.Configuration {
        var configuration = EventLoop.Configuration.real
        configuration.clock = VirtualClock()
        return configuration
    }
}

private func echoListener(_ loop: isolated EventLoop) throws -> (Listener, SocketAddress) {
    let listener = try loop.listen(on: .anyPort) {
        let echo = Probe()
        echo.onData = { transport, bytes in transport.write(bytes) }
        return echo
    }
    return (listener, listener.localAddress)
}

/// Clients that send a byte, close when it has come back, and report their last entry.
private func connectClients(
    _ count: Int,
    to address: SocketAddress,
    on loop: isolated EventLoop,
    _ lost: @escaping (String) -> Void
) throws {
    for _ in 0..<count {
        let client = Probe()
        client.onMade = { $0.write("x") }
        client.onData = { transport, _ in transport.close() }
        client.whenOver = { lost(client.story.last!) }
        try loop.connect(to: address, timeout: nil, { client }, onFailure: { lost("lost \(word($0))") })
    }
}

/// Calls `body` at intervals until it returns false.
private func every(_ interval: Duration, on loop: isolated EventLoop, _ body: @escaping () -> Bool) {
    func step() { if body() { loop.schedule(after: interval) { step() } } }
    loop.schedule(after: interval) { step() }
}
