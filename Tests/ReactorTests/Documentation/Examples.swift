// Every example of the README and of the doc comments, as code that is compiled. DocumentationTests finds each example's
// lines in this file, so that neither can change without the other.

import AsyncIOTesting
import Reactor

/// README.
enum CallbackEchoExample {
    final class EchoProtocol: StreamProtocol {
        func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {
            transport.write(bytes)
        }
    }

    static func serve() throws {
        let loop = try EventLoop()
        try loop.runForever { loop in
            let address = try SocketAddress(host: "127.0.0.1", port: 7777)
            try loop.listen(on: address) { EchoProtocol() }
        }
    }
}

/// `StreamProtocol`.
enum EchoExample {
    final class Echo: StreamProtocol {
        func dataReceived(_ bytes: Bytes, from transport: StreamTransport, on loop: isolated EventLoop) {
            transport.write(bytes)
        }
    }
}

/// `EventLoop`.
enum EventLoopExample {
    static func run() throws {
        let loop = try EventLoop()
        try loop.runForever { loop in
            loop.schedule(after: .seconds(1)) { loop.stop() }
        }
        loop.close()
    }
}

/// `EventLoop.runUntilComplete`.
enum CompletionExample {
    static func run(_ loop: EventLoop) throws -> Int {
        let answer = try loop.runUntilComplete { loop, completion in
            loop.schedule(after: .seconds(1)) { completion.succeed(42) }
        }
        return answer
    }
}

/// `Bytes`.
enum BytesExample {
    static func line(_ bytes: Bytes, _ end: Int) -> String {
        let line = String(decoding: bytes[..<end], as: UTF8.self)
        return line
    }
}

/// `VirtualClock`.
enum VirtualClockExample {
    static func configuration() -> EventLoop.Configuration {
        var configuration = EventLoop.Configuration()
        configuration.clock = VirtualClock()
        configuration.network = .memory()
        return configuration
    }
}
