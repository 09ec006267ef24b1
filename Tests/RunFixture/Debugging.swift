// What a loop tells when `ASYNCIO_DEBUG=1` is in the environment, and what it does not tell otherwise.

import AsyncIO

extension RunFixture {
    static let debugging: [String: Program] = [
        "debug": {
            say("debug \(EventLoop.Configuration().isDebug)")
            try AsyncIO.run(configuration()) {
                let digger = spawn(name: "digger") { compute() }
                try await digger.value
                spawn(name: "sleeper") { try await AsyncIO.sleep(for: .seconds(3_600)) }
                await AsyncIO.yield()
                compute()
            }
            try leaveSomething()
        }
    ]

    /// Keeps the thread a little longer than a step may take.
    private static func compute() {
        let start = ContinuousClock.now
        while start.duration(to: .now) < .milliseconds(110) {}
    }

    private static func leaveSomething() throws {
        let loop = try EventLoop(configuration())
        try loop.runForever { loop in
            let event = AsyncEvent()
            spawn(name: "lost") {
                _ = loop
                try await event.wait()
            }
            loop.schedule(after: .seconds(3_600)) {}
            loop.schedule(after: .milliseconds(1)) { loop.stop() }
        }
        say("report \(loop.close())")
    }
}
