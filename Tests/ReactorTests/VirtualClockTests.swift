// Time that passes only when nothing else can happen: hours of timers at once, exactly, and by hand where wanted.

import AsyncIOTesting
import Synchronization
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct VirtualClockTests {
        @Test func `a clock begins where it is told to and moves as far as it is told to`() {
            let clock = VirtualClock(start: LoopInstant(nanoseconds: 5))
            #expect(clock.now.nanoseconds == 5)
            clock.advance(by: .nanoseconds(7))
            #expect(clock.now.nanoseconds == 12)
            clock.advance(by: .zero)
            #expect(clock.now.nanoseconds == 12)
        }

        @Test func `a jump back changes nothing`() {
            let clock = VirtualClock(start: LoopInstant(nanoseconds: 5))
            clock.idle(until: LoopInstant(nanoseconds: 3))
            #expect(clock.now.nanoseconds == 5)
            clock.idle(until: LoopInstant(nanoseconds: 9))
            #expect(clock.now.nanoseconds == 9)
        }

        @Test func `advancing saturates at the end of time`() {
            let clock = VirtualClock()
            clock.advance(by: .seconds(Int64.max))
            clock.advance(by: .seconds(1))
            #expect(clock.now == .distantFuture)
        }

        @Test func `advancing from many threads loses nothing`() {
            let clock = VirtualClock()
            let workers = (0..<4).map { _ in Worker { for _ in 0..<20_000 { clock.advance(by: .nanoseconds(1)) } } }
            for worker in workers { worker.join() }
            #expect(clock.now.nanoseconds == 80_000)
        }

        @Test func `a clock cannot be advanced backwards`() async {
            await #expect(processExitsWith: .failure) { VirtualClock().advance(by: .nanoseconds(-1)) }
        }

        @Test func `a day of timers takes a turn each and no time`() throws {
            let fired = Recorder<Int64>()
            try withLoop { loop in
                try loop.runForever { loop in
                    func next(on loop: isolated EventLoop) {
                        fired.append(loop.now.nanoseconds / 1_000_000_000)
                        guard fired.count <= 24 else {
                            #expect(loop.statistics.turns <= 27)
                            return loop.stop()
                        }
                        loop.schedule(after: .seconds(3600)) { next(on: loop) }
                    }
                    loop.schedule { next(on: loop) }
                }
            }
            #expect(fired.all == (0...24).map { $0 * 3600 })
        }

        @Test func `time stands still while anything is ready`() throws {
            let instants = Recorder<Int64>()
            try withLoop(.virtual(batchesPerPoll: 1)) { loop in
                try loop.runForever { loop in
                    func again(_ left: Int, on loop: isolated EventLoop) {
                        instants.append(loop.now.nanoseconds)
                        if left > 0 { loop.schedule { again(left - 1, on: loop) } }
                    }
                    loop.schedule(after: .nanoseconds(1)) { loop.stop() }
                    again(200, on: loop)
                }
            }
            #expect(instants.all == Array(repeating: 0, count: 201))
        }

        @Test func `time stands still while a connection in memory has something to deliver`() throws {
            let received = Recorder<Int64>()
            try withLoop(.virtual(batchesPerPoll: 1), expectingLeftovers: true) { loop in
                try loop.runForever { loop in
                    let address = try SocketAddress(host: "127.0.0.1", port: 0)
                    let listener = try loop.listen(on: address) { Echo() }
                    try loop.connect(
                        to: listener.localAddress,
                        { Pinger(rounds: 50, received) },
                        onFailure: { Issue.record($0) }
                    )
                    loop.schedule(after: .nanoseconds(1)) { loop.stop() }
                }
            }
            #expect(received.all == Array(repeating: 0, count: 50))
        }

        @Test func `a clock that does not jump holds the timers until it is advanced`() throws {
            let clock = VirtualClock(jumps: false)
            var configuration = EventLoop.Configuration.virtual()
            configuration.clock = clock
            let fired = Recorder<Int64>()
            try withLoop(configuration) { loop in
                loop.assumeIsolated { loop in
                    for seconds in [1, 2, 3] {
                        loop.schedule(after: .seconds(seconds)) { fired.append(loop.now.nanoseconds) }
                    }
                }
                loop.runOnce(waiting: true)
                #expect(fired.count == 0)
                clock.advance(by: .seconds(1))
                loop.runOnce(waiting: true)
                #expect(fired.count == 1)
                clock.advance(by: .milliseconds(2_500))
                loop.runOnce()
                #expect(fired.all == [1_000_000_000, 3_500_000_000, 3_500_000_000])
            }
        }

        @Test func `a loop on a clock that does not jump runs on when another thread advances it`() throws {
            let clock = VirtualClock(jumps: false)
            var configuration = EventLoop.Configuration.virtual()
            configuration.clock = clock
            let workers = Recorder<Worker>()
            try withLoop(configuration) { loop in
                try loop.runForever { loop in
                    loop.schedule(after: .seconds(10)) { loop.stop() }
                    workers.append(Worker { for _ in 0..<10 { clock.advance(by: .seconds(1)) } })
                }
                for worker in workers.all { worker.join() }
            }
            #expect(clock.now.nanoseconds == 10_000_000_000)
        }
    }
}

private final class Echo: StreamProtocol {
    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {
        transport.write(bytes)
    }
}

/// Sends a byte, waits for its echo, and notes when it came.
private final class Pinger: StreamProtocol {
    private var rounds: Int
    private let received: Recorder<Int64>

    init(rounds: Int, _ received: Recorder<Int64>) {
        self.rounds = rounds
        self.received = received
    }

    func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) { transport.write("x") }

    func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {
        received.append(loop.now.nanoseconds)
        rounds -= 1
        if rounds > 0 { transport.write(bytes) }
    }
}
