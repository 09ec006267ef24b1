// Behaviour 122 of asyncio for tasks: datagrams come in turn, errors of the network are thrown once and end nothing, no
// cancellation loses a datagram, and nothing grows while nobody receives.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite struct UDPSocketTests {
        @Test(arguments: Driver.allCases)
        func `datagrams come in turn, empty ones among them, until this side closes`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withSockets { server, client in
                    let echo = spawn {
                        var count = 0
                        for try await datagram in server {
                            #expect(datagram.address == client.localAddress && !datagram.isTruncated)
                            try await server.send(datagram.bytes, to: datagram.address)
                            count += 1
                        }
                        return count
                    }
                    for text in ["one", "", "three"] {
                        try await client.send(text)
                        let answer = try await client.receive()
                        #expect(answer.bytes == Bytes(text.utf8) && answer.address == server.localAddress)
                    }
                    try await server.close()
                    #expect(try await echo.value == 3)
                    #expect(await errorOf { _ = try await server.receive() } == "closed")
                    #expect(await errorOf { try await server.send("x", to: client.localAddress) } == "closed")
                    #expect(await errorOf { try await server.configure { _ in } } == "closed")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a refusal is thrown once by the next call, and the socket stays open`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let address = try await UDPSocket.withSocket(host: "127.0.0.1", port: 0) { $0.localAddress }
                let port = Int(try #require(address).port)
                try await UDPSocket.withSocket(connectedTo: "127.0.0.1", port: port) { client in
                    // Heard of by a task that receives,
                    try await client.send("anybody?")
                    #expect(await errorOf { _ = try await client.receive() } == "ECONNREFUSED")
                    // and by one that sends, whose datagram is then not sent.
                    try await client.send("anybody?")
                    await turns(5, on: loop)
                    #expect(await errorOf { try await client.send("not sent") } == "ECONNREFUSED")
                    try await UDPSocket.withSocket(host: "127.0.0.1", port: port) { server in
                        try await client.send("sent")
                        #expect(try await server.receive().bytes == "sent")
                    }
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a receive that is cancelled ends at once and loses nothing`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withSockets { server, client in
                    for number in 0..<20 {
                        let receiving = spawn { try await server.receive() }
                        if number % 2 == 0 { await turns(2, on: loop) }
                        receiving.cancel()
                        #expect(await errorOf { _ = try await receiving.value } == "CancellationError")
                        try await client.send("\(number)")
                        #expect(try await server.receive().bytes == Bytes("\(number)".utf8))
                    }
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `datagrams that are under way when a receive is cancelled are not lost`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withSockets(receiveBatch: 4) { server, client in
                    let sending = spawn {
                        for number in 0..<200 {
                            try await client.send("\(number)")
                            for _ in 0..<(number % 3) { await yield() }
                        }
                    }
                    let received = Recorder<String>()
                    var cancellations = 0
                    var rounds = 0
                    while received.count < 200 {
                        rounds += 1
                        let receiving = spawn {
                            received.append(String(decoding: try await server.receive().bytes, as: UTF8.self))
                        }
                        for _ in 0..<(rounds % 5) { await yield() }
                        receiving.cancel()
                        if await errorOf({ try await receiving.value }) == "CancellationError" { cancellations += 1 }
                    }
                    #expect(received.all == (0..<200).map { "\($0)" })
                    #expect(cancellations > 0)
                    try await sending.value
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `a task that is cancelled already neither receives nor sends`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withSockets { server, client in
                    try await client.send("first")
                    await turns(4, on: loop)
                    let late = spawn {
                        await Latch(on: loop).waitUntilCancelled()
                        return await [
                            errorOf { _ = try await server.receive() },
                            errorOf { try await client.send("x") },
                            errorOf { _ = try await client.trySend("x") },
                            errorOf { try await client.send(contentsOf: ["x"]) },
                        ]
                    }
                    await turns(2, on: loop)
                    late.cancel()
                    #expect(try await late.value == Array(repeating: "CancellationError", count: 4))
                    #expect(try await server.receive().bytes == "first")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `one task at a time receives, and a close wakes it`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withSockets { server, client in
                    let receiving = spawn { try await server.receive() }
                    await turns(2, on: loop)
                    #expect(await errorOf { _ = try await server.receive() } == "busyReceiver")
                    try await server.close()
                    try await server.close()
                    #expect(await errorOf { _ = try await receiving.value } == "closed")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `mistakes about addresses are errors that say so`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withSockets { server, client in
                    #expect(await errorOf { try await server.send("x") } == "noAddress")
                    let elsewhere = try SocketAddress(host: "127.0.0.1", port: 9)
                    #expect(await errorOf { try await client.send("x", to: elsewhere) } == "connected")
                    #expect(await errorOf { try await client.send(Bytes(noise(70_000))) } == "EMSGSIZE")
                    try await client.send("fine", to: server.localAddress)
                    #expect(try await server.receive().bytes == "fine")
                    let port = Int(try #require(server.localAddress).port)
                    #expect(
                        await errorOf { _ = try await UDPSocket.bind(host: "127.0.0.1", port: port) } == "EADDRINUSE"
                    )
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `what nobody receives is bounded, and the first of it is there later`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                try await withSockets(receiveBufferSize: 5_000) { server, client in
                    var taken = 0
                    for _ in 0..<3_000 {
                        if try await client.trySend("0123456789" as Bytes) { taken += 1 }
                        if driver != .sockets { await yield() }
                    }
                    #expect(taken > 100)
                    await turns(3, on: loop)
                    var received = 0
                    while (try? await withTimeout(.milliseconds(200)) { try await server.receive() }) != nil {
                        received += 1
                    }
                    #expect(received > 0 && received < taken)
                    try await client.send("alive")
                    #expect(try await server.receive().bytes == "alive")
                }
            }
        }

        @Test func `a send that waits for room sends in order, also after its task was cancelled`() async throws {
            try await onNetwork(.narrowMemory) { loop in
                try await withSockets(receiveBufferSize: 10_000) { server, client in
                    // The network takes no more than this one at a time.
                    #expect(try await client.trySend("01234567" as Bytes))
                    #expect(try await client.trySend(contentsOf: ["0", "1", "2"]) == 0)
                    let sends = spawnEach(3, on: loop, eager: true) { try await client.send("\($0)") }
                    sends[1].cancel()
                    #expect(try await client.trySend("not now" as Bytes) == false)
                    #expect(try await server.receive().bytes == "01234567")
                    var received: [Bytes] = []
                    for _ in 0..<3 { received.append(try await server.receive().bytes) }
                    #expect(received == ["0", "1", "2"])
                    try await sends[0].value
                    #expect(await errorOf { try await sends[1].value } == "CancellationError")
                    try await sends[2].value
                }
            }
        }

        @Test(arguments: Driver.roomy)
        func `several are sent and received at once, in order, and an error says how many were sent`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                try await withSockets(receiveBatch: 20) { server, client in
                    let pieces = (0..<150).map { Bytes("\($0)".utf8) }
                    try await client.send(contentsOf: pieces)
                    var received: [Bytes] = []
                    var largest = 0
                    while received.count < pieces.count {
                        let some = try await server.receive(upTo: 7)
                        largest = max(largest, some.count)
                        received += some.map(\.bytes)
                    }
                    #expect(received == pieces)
                    #expect(largest == (driver == .sockets ? 7 : 1))
                    #expect(try await server.receive(upTo: 0).isEmpty)
                    let mixed: [Bytes] = ["a", "b", Bytes(noise(70_000)), "c"]
                    let error = await failure { try await client.send(contentsOf: mixed) }
                    let batchError = try #require(error as? DatagramBatchError)
                    #expect(batchError.sentCount == 2 && batchError.reason.code == .messageTooLarge)
                    #expect(try await server.receive().bytes == "a")
                    #expect(try await server.receive().bytes == "b")
                }
            }
        }

        @Test(arguments: Driver.allCases)
        func `other threads send and receive, and a socket that is dropped there is closed`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver, configure: { $0.clock = nil }) { loop in
                let server = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
                let port = Int(try #require(server.localAddress).port)
                let client = try await UDPSocket.connect(host: "127.0.0.1", port: port)
                try await onThePool {
                    for number in 0..<20 {
                        try await client.send("\(number)")
                        let datagram = try await server.receive()
                        #expect(datagram.bytes == Bytes("\(number)".utf8))
                        #expect(try await server.trySend("back", to: datagram.address))
                        #expect(try await client.receive().bytes == "back")
                    }
                    #expect(EventLoop.current == nil)
                    let dropped = try await loop.run { _ in try await UDPSocket.bind(host: "127.0.0.1", port: 0) }
                    _ = dropped
                }
                try await client.close()
                server.abort()
                #expect(await errorOf { _ = try await server.receive() } == "closed")
                await turns(5, on: loop)
                #expect(!loop.dump().contains("UDP"))
            }
        }

        @Test(arguments: Driver.allCases)
        func `a scope closes its socket, however it ends`(driver: Driver) async throws {
            try await onNetwork(driver) { loop in
                let escaped = try await UDPSocket.withSocket(host: "127.0.0.1", port: 0) { $0 }
                #expect(await errorOf { _ = try await escaped.receive() } == "closed")
                #expect(
                    await errorOf {
                        try await UDPSocket.withSocket(host: "127.0.0.1", port: 0) { _ in throw Refusal() }
                    } == "Refusal"
                )
                await turns(5, on: loop)
                #expect(!loop.dump().contains("UDP"))
            }
        }

        @Test(arguments: Driver.roomy)
        func `a loop that ends wakes who receives`(driver: Driver) async throws {
            let ends = Recorder<String>()
            let leftovers = Recorder<CloseReport>()
            try await onNetwork(driver, leaving: leftovers) { loop in
                let socket = try await UDPSocket.bind(host: "127.0.0.1", port: 0)
                spawn(eager: true) { ends.append(await errorOf { _ = try await socket.receive() }) }
            }
            #expect(ends.all == ["CancellationError"])
        }
    }
}

/// A bound socket, and one that is connected to it.
func withSockets(
    receiveBatch: Int = 1,
    receiveBufferSize: Int? = nil,
    _ body: (_ server: UDPSocket, _ client: UDPSocket) async throws -> Void
) async throws {
    var options = DatagramOptions()
    options.receiveBatch = receiveBatch
    options.receiveBufferSize = receiveBufferSize
    try await UDPSocket.withSocket(host: "127.0.0.1", port: 0, options: options) { server in
        let port = Int(try #require(server.localAddress).port)
        try await UDPSocket.withSocket(connectedTo: "127.0.0.1", port: port) { client in
            try await body(server, client)
        }
    }
}

/// How an operation ends: "ok", or its error in one word.
func errorOf(_ body: () async throws -> Void) async -> String {
    do { try await body() } catch let error as DatagramError {
        switch error {
        case .closed: return "closed"
        case .busyReceiver: return "busyReceiver"
        case .noAddress: return "noAddress"
        case .connected: return "connected"
        }
    } catch {
        return brief(error)
    }
    return "ok"
}

func onThePool<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    try await Task.detached(executorPreference: globalConcurrentExecutor) { try await body() }.value
}
