// The examples of the doc comments about channels, as code that is compiled and run: see ChannelExampleTests.swift.

import AsyncIO

enum ChannelExample {
    static func run(show: @escaping @Sendable (String) -> Void, on loop: isolated EventLoop) async throws {
        let channel = Channel<String>(capacity: 100)
        AsyncIO.spawn { for try await line in channel { show(line) } }
        try await channel.send("hello")
        channel.close()
        await AsyncIO.yield()
    }
}

enum BroadcastChannelExample {
    static func run(show: @escaping @Sendable (String) -> Void, on loop: isolated EventLoop) async throws {
        let news = BroadcastChannel<String>(capacity: 16)
        let subscription = news.subscribe()
        AsyncIO.spawn { for try await line in subscription { show(line) } }
        try await news.send("hello")
        news.close()
        await AsyncIO.yield()
    }
}

enum WatchExample {
    static func run(show: @escaping @Sendable (Int) -> Void, on loop: isolated EventLoop) async throws {
        let level = Watch(0)
        AsyncIO.spawn { for try await value in level.changes { show(value) } }
        await settle()
        loop.schedule(after: .seconds(1)) { level.value = 12 }
        level.value = 3
        try await level.wait { $0 > 10 }
        await settle()
    }
}
