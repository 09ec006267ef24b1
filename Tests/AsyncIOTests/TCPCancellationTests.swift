// Cancellation: every wait ends at once, whoever waits and wherever the cancellation comes from, and no byte is lost,
// doubled or swapped by it. Behaviours 74 and 118 of asyncio, and its hazards of section 4.1.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite struct TCPCancellationTests {
        @Test(arguments: Driver.allCases)
        func `a read that is cancelled ends at once, and what comes later is the next one's`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    for number in 0..<20 {
                        let reading = spawn { try await client.read() }
                        if number % 2 == 0 { await turns(2, on: loop) }
                        reading.cancel()
                        // Nobody reads any more: another task may, though the first has not ended yet.
                        #expect(await ending { _ = try await reading.value } == "CancellationError")
                        try await accepted.write([UInt8(number)])
                        #expect(try await client.read() == [UInt8(number)])
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a task that is cancelled already neither reads nor writes`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    try await accepted.write("x")
                    await turns(3, on: loop)
                    let late = spawn {
                        // Ends by being cancelled.
                        await Latch(on: loop).waitUntilCancelled()
                        return await [
                            ending { _ = try await client.read() },
                            ending { try await client.write("a") },
                            ending { try await client.write(contentsOf: ["b"]) },
                            ending { unsafe try await client.write([1].span.bytes) },
                        ]
                    }
                    await turns(2, on: loop)
                    late.cancel()
                    #expect(try await late.value == Array(repeating: "CancellationError", count: 4))
                    #expect(try await client.text(1) == "x")
                    try await client.write("c")
                    #expect(try await accepted.text(1) == "c")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `bytes that are under way when a read is cancelled are not lost`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withPair(on: loop) { accepted, client in
                    let bytes = noise(3_000)
                    let writing = spawn {
                        var rest = Bytes(bytes)[...]
                        var number = 0
                        while !rest.isEmpty {
                            number += 1
                            try await accepted.write(rest.prefix(1 + number % 13))
                            rest = rest.dropFirst(1 + number % 13)
                            for _ in 0..<(number % 3) { await yield() }
                        }
                        try await accepted.close()
                    }
                    let received = Recorder<[UInt8]>()
                    let isAtEnd = Recorder<Void>()
                    var cancellations = 0
                    var rounds = 0
                    while isAtEnd.count == 0 {
                        rounds += 1
                        let reading = spawn {
                            guard let bytes = try await client.read() else { return isAtEnd.append(()) }
                            received.append(Array(bytes))
                        }
                        for _ in 0..<(rounds % 5) { await yield() }
                        reading.cancel()
                        if await ending({ try await reading.value }) == "CancellationError" { cancellations += 1 }
                    }
                    #expect(received.all.flatMap { $0 } == bytes)
                    #expect(cancellations > 0)
                    try await writing.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a read with a time limit leaves the connection as it was`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    // In the handler's own task, whose cancellation is heard of in another way than a child's.
                    for _ in 0..<3 {
                        let end = await ending {
                            _ = try await withTimeout(.milliseconds(5)) { try await connection.read() }
                        }
                        #expect(end == "TimeoutError")
                    }
                    try await connection.write("go")
                    let bytes = try await connection.read(exactly: 5)
                    try await connection.write(Bytes(bytes))
                } while: { server in
                    let client = try await server.client()
                    #expect(try await client.text(2) == "go")
                    try await client.write("hello")
                    #expect(try await client.text(5) == "hello")
                    #expect(try await client.read() == nil)
                    try await client.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a handler waits for several things at once, and what it drops loses nothing`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let bell = Mailbox<Int>(on: loop)
                let rung = Recorder<Int>()
                try await serving(on: loop) { connection in
                    while true {
                        let events = await eventsOf(connection, bell)
                        rung.append(events.filter { $0 == .bell }.count)
                        for case .bytes(let bytes) in events { try await connection.write(bytes) }
                        if events.contains(.end) { break }
                    }
                } while: { server in
                    let client = try await server.client()
                    for number in 0..<30 {
                        if number % 2 == 0 { bell.put(number) }
                        try await client.write("\(number % 10)")
                        if number % 3 == 0 { bell.put(number) }
                        #expect(try await client.text(1) == "\(number % 10)")
                    }
                    try await client.writeEOF()
                    #expect(try await client.read() == nil)
                    try await client.close()
                }
                #expect(rung.all.reduce(0, +) > 5)
            }
        }

        @Test(arguments: Driver.allCases)
        func `an async let in a handler is cancelled with its scope, and the connection goes on`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    do {
                        async let unwanted = connection.read()
                        try await connection.write("ready")
                        // Left without having been awaited: it is cancelled, and awaited.
                        if connection.number == 0 { _ = try await unwanted }
                    }
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let client = try await server.client()
                    #expect(try await client.text(5) == "ready")
                    try await client.write("all of it")
                    #expect(try await client.text(9) == "all of it")
                    try await client.close()
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a write that is cancelled while it waits leaves its bytes queued, in order and whole`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let first = noise(driver.bulk, seed: 1)
                let second = noise(driver.bulk, seed: 2)
                try await withPair(on: loop) { accepted, client in
                    let writing = spawn(eager: true) { try await client.write(Bytes(first)) }
                    let next = spawn(eager: true) { try await client.write(Bytes(second)) }
                    await turns(5, on: loop)
                    writing.cancel()
                    #expect(await ending { try await writing.value } == "CancellationError")
                    let limited = spawn {
                        await ending { try await withTimeout(.milliseconds(5)) { try await client.write("third") } }
                    }
                    #expect(try await limited.value == "TimeoutError")
                    #expect(try await accepted.read(exactly: first.count) == first)
                    #expect(try await accepted.read(exactly: second.count) == second)
                    try await next.value
                    #expect(try await accepted.text(5) == "third")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `closing that is cancelled aborts`(driver: Driver) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                try await withPair(on: loop) { accepted, client in
                    let writing = spawn { try await client.write(Bytes(noise(2 * driver.bulk))) }
                    await turns(5, on: loop)
                    let closing = spawn { try await client.close() }
                    await turns(5, on: loop)
                    closing.cancel()
                    #expect(await ending { try await closing.value } == "CancellationError")
                    #expect(await ending { try await writing.value } == "closed")
                    #expect(await ending { _ = try await accepted.readAll() } == "ECONNRESET")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a handler that is cancelled hears of it wherever it waits`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let ends = Recorder<String>()
                let ready = Mailbox<Void>(on: loop)
                let bytes = Bytes(noise(2 * driver.bulk))
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    try await server.serve { connection in
                        let number = try await connection.read(exactly: 1)[0]
                        ready.put(())
                        let end = await ending {
                            switch number {
                            case 0: _ = try await connection.read()
                            case 1: try await connection.write(bytes)
                            case 2: _ = try await withTimeout(.seconds(1_000)) { try await connection.read() }
                            case 3: for try await _ in connection {}
                            case 4: try await sleep(for: .seconds(1_000))
                            default: _ = try await TCPConnection.connect(host: "127.0.0.1", port: server.port).read()
                            }
                        }
                        ends.append("\(number) \(end)")
                        try Task.checkCancellation()
                    }
                }
                var clients: [TCPConnection] = []
                for number in 0..<6 {
                    clients.append(try await server.client())
                    try await clients[number].write([UInt8(number)])
                    try await ready.take()
                }
                await turns(3, on: loop)
                serving.cancel()
                #expect(await ending { try await serving.value } == "CancellationError")
                #expect(ends.all.sorted() == (0..<6).map { "\($0) CancellationError" })
                for client in clients { #expect(await ending { _ = try await client.readAll() } == "ECONNRESET") }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a handler that runs elsewhere hears of its cancellation too`(driver: Driver) async throws {
            let foreigner = Foreigner()
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let ready = Mailbox<Void>(on: loop)
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn { try await foreigner.serve(server, ready) }
                var clients: [TCPConnection] = []
                for _ in 0..<10 {
                    clients.append(try await server.client())
                    try await ready.take()
                }
                serving.cancel()
                #expect(await ending { try await serving.value } == "CancellationError")
                for client in clients { #expect(await ending { _ = try await client.readAll() } == "ECONNRESET") }
            }
            #expect(await foreigner.ends == Array(repeating: "CancellationError", count: 10))
        }
    }
}

private enum Event: Hashable {
    case bytes(Bytes)
    case end
    case bell
}

/// What comes first, bytes or the bell, and the other too if it came before it could be cancelled.
private func eventsOf(_ connection: TCPConnection, _ bell: Mailbox<Int>) async -> [Event] {
    await withTaskGroup(of: Event?.self) { group in
        group.addTask {
            do { return try await connection.read().map { .bytes($0) } ?? .end } catch { return nil }
        }
        group.addTask {
            do { _ = try await bell.take() } catch { return nil }
            return .bell
        }
        var events: [Event] = []
        while let event = await group.next() {
            if let event { events.append(event) }
            group.cancelAll()
        }
        return events
    }
}

/// An actor on Swift's pool, with a handler.
private actor Foreigner {
    private(set) var ends: [String] = []

    func serve(_ server: TCPServer, _ ready: Mailbox<Void>) async throws {
        try await server.serve { [self] connection in
            try await connection.write("x")
            ready.put(())
            ends.append(await ending { for try await _ in connection {} })
        }
    }
}
