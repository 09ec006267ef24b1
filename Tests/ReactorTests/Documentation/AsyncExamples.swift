// The examples of the README and of the doc comments that are about tasks: see Examples.swift.

import AsyncIO
import AsyncIOTesting

/// README, and `AsyncIO.run`.
enum RunExample {
    struct Echo {
        static func main() throws {
            try AsyncIO.run {
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 7777)
                try await server.serve { connection in
                    while let bytes = try await connection.read() { try await connection.write(bytes) }
                }
            }
        }
    }
}

/// README.
enum TestingExample {
    static func anHourInNoTime() async throws -> Duration {
        var configuration = EventLoop.Configuration()
        configuration.clock = VirtualClock()
        configuration.network = .memory()
        return try await withEventLoop(configuration) { loop in
            let start = loop.now
            try await AsyncIO.sleep(for: .seconds(3600))
            return start.duration(to: loop.now)
        }
    }
}

/// `withEventLoop`.
enum WithEventLoopExample {
    static func hello() async throws -> Bytes? {
        let reply = try await withEventLoop { loop in
            try await TCPConnection.withConnection(host: "127.0.0.1", port: 7777) { connection in
                try await connection.write("hello")
                return try await connection.read()
            }
        }
        return reply
    }
}

/// `TCPServer`.
enum ServerExample {
    static func serve() async throws {
        let server = try await TCPServer.listen(host: "127.0.0.1", port: 7777)
        try await server.serve { connection in
            for try await bytes in connection { try await connection.write(bytes) }
        }
    }

    /// `TCPConnection`.
    static func echo(_ connection: TCPConnection) async throws {
        for try await bytes in connection { try await connection.write(bytes) }
    }
}

/// `AsyncIO.gather`.
enum GatherExample {
    static func loadUser() async throws -> String { "user" }
    static func loadOrders() async throws -> [Int] { [1, 2] }

    static func load() async throws -> (String, [Int]) {
        let (user, orders) = try await AsyncIO.gather({ try await loadUser() }, { try await loadOrders() })
        return (user, orders)
    }
}

/// `EventLoop.unownedExecutor`.
actor Cache {
    let loop: EventLoop
    init(on loop: EventLoop) { self.loop = loop }
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.unownedExecutor }
}

/// `LoopActor`.
actor Score: LoopActor {
    let loop: EventLoop
    private var points = 0
    init(on loop: EventLoop) { self.loop = loop }
    func add(_ more: Int) { points += more }
}

/// `Park`.
final class Inbasket {
    private var items: [Int] = []
    private let arrival: Park

    init(on loop: isolated EventLoop) { arrival = Park(on: loop) }

    func put(_ item: Int) {
        items.append(item)
        arrival.wake()
    }

    func take() async throws -> Int {
        while items.isEmpty { try await arrival.wait() }
        return items.removeFirst()
    }
}
