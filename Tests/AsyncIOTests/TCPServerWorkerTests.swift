// More handlers at once than one of a server's workers has: each client gets one, whoever ends first, and whatever the server
// is told meanwhile.

import AsyncIO
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct TCPServerWorkerTests {
        @Test(arguments: [64, 65, 129, 200])
        func `handlers that end in any order make room for as many others`(count: Int) async throws {
            try await onNetwork(.memory) { loop in
                let began = Recorder<Int>()
                let ended = Recorder<Int>()
                let gates = (0..<2 * count).map { _ in Promise<Void>() }
                try await serving(on: loop) { _ in
                    let number = began.count
                    began.append(number)
                    try await gates[number].future.value
                    ended.append(number)
                } while: { server in
                    var clients: [TCPConnection] = []
                    for number in 0..<count {
                        clients.append(try await server.client())
                        while began.count <= number { await yield() }
                    }
                    #expect(await server.connectionCount == count)
                    // Every seventh, and so on: of each worker some, and all of them in the end. For each a new one comes.
                    let order = (0..<7).flatMap { first in stride(from: first, to: count, by: 7) }
                    for number in order {
                        gates[number].succeed()
                        while ended.count < clients.count - count + 1 { await yield() }
                        clients.append(try await server.client())
                        while began.count < clients.count { await yield() }
                        #expect(await server.connectionCount == count)
                    }
                    #expect(ended.all == order)
                    for gate in gates.reversed() { gate.succeed() }
                    while await server.connectionCount > 0 { await yield() }
                    for client in clients { try await client.close() }
                }
                #expect(ended.count == 2 * count)
            }
        }

        @Test(arguments: [63, 64, 65, 128, 129])
        func `a handler that aborts the server ends all others, and those to come`(count: Int) async throws {
            try await onNetwork(.memory) { loop in
                let began = Recorder<Int>()
                let open = Recorder<Int>()
                let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
                let serving = spawn {
                    _ = loop
                    try await server.serve { connection in
                        _ = loop
                        began.append(1)
                        open.append(1)
                        defer { open.append(-1) }
                        if began.count == count { server.abort() }
                        while try await connection.read() != nil {}
                    }
                }
                // All at once, of whom some are accepted in the turn in which the server is aborted.
                let clients = spawnEach(count + 70, on: loop) { _ in
                    let client = try await server.client()
                    defer { client.abort() }
                    while try await client.read() != nil {}
                }
                for client in clients { _ = await failure { try await client.value } }
                try await serving.value
                #expect(began.count >= count)
                #expect(open.all.reduce(0, +) == 0)
                #expect(await server.connectionCount == 0)
            }
        }
    }
}
