// What a loop says about itself to people: everything that it has open, by name, and its figures.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct DumpTests {
        @Test func `an idle loop says its name, its state and that nothing is open`() throws {
            var configuration = EventLoop.Configuration.virtual()
            configuration.name = "front"
            try withLoop(configuration) { loop in
                let lines = loop.assumeIsolated { $0.dump() }.split(separator: "\n")
                #expect(lines.first?.hasPrefix("EventLoop 'front': idle, turns 0, callbacks 0") == true)
                #expect(lines.first?.hasSuffix("ready 0, timers 0, handles 0") == true)
                #expect(lines.contains("scheduled 0"))
                #expect(lines.last == "handles 0")
            }
        }

        @Test func `callbacks and timers are counted, cancelled ones are not, and the next deadline is told`() throws {
            try withLoop(expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    loop.schedule {
                        let timers = (1...5).map { loop.schedule(after: .seconds($0)) {} }
                        timers[2].cancel()
                        loop.schedule {}
                        loop.schedule {}
                        let dump = loop.dump()
                        #expect(dump.contains(": running, "))
                        #expect(dump.contains("ready 2, timers 4, handles 0\nscheduled 6\n"))
                        #expect(loop.statistics.ready == 2 && loop.statistics.timers == 4)
                        #expect(dump.contains("next deadline 1.0 seconds"))
                        loop.stop()
                    }
                }
            }
        }

        @Test(arguments: [true, false])
        func `in debug mode it says where what waits was scheduled, each place once`(isDebug: Bool) throws {
            var configuration = EventLoop.Configuration.virtual()
            configuration.isDebug = isDebug
            try withLoop(configuration, collecting: IssueLog(), expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    for _ in 0..<3 { loop.schedule(after: .seconds(1)) {} }
                    let line = #line - 1
                    let dump = loop.dump()
                    let site = "\n  scheduled at ReactorTests/DumpTests.swift:\(line)\n"
                    #expect(dump.contains(site) == isDebug)
                    #expect(dump.split(separator: "scheduled at").count == (isDebug ? 2 : 1))
                    loop.stop()
                }
            }
        }

        @Test(arguments: [EventLoop.Network.memory(), .system])
        func `listeners, connections and signals are named`(network: EventLoop.Network) throws {
            let dumps = Recorder<String>()
            var configuration = EventLoop.Configuration.virtual(network: network)
            if network == .system { configuration.clock = nil }
            try withLoop(configuration, expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    final class Silent: StreamProtocol {
                        let made: () -> Void
                        init(_ made: @escaping () -> Void) { self.made = made }
                        func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) { made() }
                        func dataReceived(_: Bytes, from _: StreamTransport, on loop: isolated EventLoop) {}
                    }
                    final class Count { var made = 0 }
                    let count = Count()
                    let made = {
                        count.made += 1
                        guard count.made == 2 else { return }
                        loop.schedule {
                            dumps.append(loop.dump())
                            #expect(loop.statistics.handles == 4)
                            loop.stop()
                        }
                    }
                    #expect(loop.statistics.handles == 0)
                    try loop.onSignal(.user1) {}
                    let address = try SocketAddress(host: "127.0.0.1", port: 0)
                    let listener = try loop.listen(on: address) { Silent { made() } }
                    try loop.connect(to: listener.localAddress, { Silent { made() } }, onFailure: { Issue.record($0) })
                }
            }
            let dump = try #require(dumps.all.first)
            #expect(dump.contains("handles 4\n"))
            #expect(dump.contains("watch on signal"))
            #expect(dump.contains("listener"))
            #expect(dump.components(separatedBy: "connection #") == 3)
        }

        @Test func `a closed loop can still be dumped`() async throws {
            let dump = try await closedLoop().dump()
            #expect(dump.contains(": closed, "))
            #expect(dump.hasSuffix("handles 0"))
        }

        @Test(arguments: [true, false])
        func `a loop measures how long it waits in its polls if it is told to`(measures: Bool) async throws {
            var configuration = EventLoop.Configuration.real
            configuration.measuresIdleTime = measures
            try withLoop(configuration) { loop in
                try loop.runForever { loop in
                    let start = loop.now
                    #expect(loop.statistics.idleTime == (measures ? .zero : nil))
                    // Long enough for a busy machine, which may let the poll begin late.
                    loop.schedule(after: .milliseconds(100)) {
                        // While it is busy it does not wait.
                        let due = loop.now.advanced(by: .milliseconds(20))
                        while loop.now < due {}
                        loop.schedule(after: .milliseconds(1)) {
                            let total = start.duration(to: loop.now)
                            if measures, let idle = loop.statistics.idleTime {
                                #expect(idle >= .milliseconds(15) && idle <= total - .milliseconds(20))
                                #expect("\(loop.statistics)".contains(", idle "))
                            } else {
                                #expect(!measures && !"\(loop.statistics)".contains("idle"))
                            }
                            loop.stop()
                        }
                    }
                }
                #expect(loop.assumeIsolated { ($0.statistics.idleTime == nil) != measures })
            }
        }

        @Test func `the statistics tell how late the loop is`() throws {
            try withLoop(.real) { loop in
                try loop.runForever { loop in
                    loop.schedule {
                        let start = loop.now
                        while start.duration(to: loop.now) < .milliseconds(5) {}
                        loop.schedule(after: .zero) {
                            #expect(loop.statistics.lag >= .milliseconds(4))
                            #expect(loop.statistics.largestLag >= loop.statistics.lag)
                            loop.stop()
                        }
                    }
                }
            }
        }
    }
}

extension String {
    /// How many pieces the separator cuts the text into.
    fileprivate func components(separatedBy separator: String) -> Int { split(separator: separator).count }
}
