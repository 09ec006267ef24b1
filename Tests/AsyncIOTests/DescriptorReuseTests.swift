// Behaviours 93, 100 and 114 of asyncio for tasks: in a storm of attempts that are cancelled, whose descriptors' numbers
// are used again at once, nobody gets another's bytes and nobody's connection is closed by another's end.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(2)))) struct DescriptorReuseTests {
        @Test(arguments: Driver.roomy, Seeds.few(of: 0..<3))
        func `who is cancelled while connecting touches nobody else's connection`(
            driver: Driver,
            seed: UInt64
        ) async throws {
            try await onNetwork(driver) { loop in
                try await serving(on: loop) { connection in
                    for try await bytes in connection { try await connection.write(bytes) }
                } while: { server in
                    let stormers = spawnEach(4, on: loop) { number in
                        var chance = Chance(seed: seed &* 31 &+ UInt64(number))
                        var cancelled = 0
                        for _ in 0..<80 {
                            let connecting = spawn { try await server.client().abort() }
                            for _ in 0..<chance.roll(10) { await yield() }
                            connecting.cancel()
                            if await ending({ try await connecting.value }) == "CancellationError" { cancelled += 1 }
                        }
                        return cancelled
                    }
                    let others = spawnEach(4, on: loop) { number in
                        for round in 0..<30 {
                            let client = try await server.client()
                            for piece in 0..<3 {
                                let text = "\(number) in round \(round), piece \(piece)"
                                try await client.write(text)
                                #expect(try await client.text(text.utf8.count) == text)
                            }
                            try await client.close()
                        }
                    }
                    for other in others { try await other.value }
                    var cancelled = 0
                    for stormer in stormers { cancelled += try await stormer.value }
                    #expect(cancelled > 0)
                }
            }
        }

        @Test(arguments: Seeds.few(of: 0..<3))
        func `who is cancelled while adopting, or gives its descriptor back, touches nobody else's`(
            seed: UInt64
        ) async throws {
            try await onNetwork(.sockets) { loop in
                let stormers = spawnEach(3, on: loop) { number in
                    var chance = Chance(seed: seed &* 37 &+ UInt64(number))
                    for _ in 0..<100 {
                        let (ours, theirs) = Raw.socketPair()
                        let adopting = spawn { try await TCPConnection.adopt(descriptor: ours) }
                        if chance.roll(2) == 0 { adopting.cancel() }
                        for _ in 0..<chance.roll(3) { await yield() }
                        adopting.cancel()
                        do {
                            let connection = try await adopting.value
                            if chance.roll(2) == 0 {
                                Raw.close(try await connection.detach().descriptor)
                            } else {
                                connection.abort()
                                connection.abort()
                            }
                        } catch {
                            Raw.close(ours)
                        }
                        Raw.close(theirs)
                    }
                }
                let others = spawnEach(3, on: loop) { number in
                    for round in 0..<60 {
                        let (ours, theirs) = Raw.socketPair()
                        let connection = try await TCPConnection.adopt(descriptor: ours)
                        let text = "\(number) in round \(round)"
                        try await connection.write(text)
                        await yield()
                        #expect(Raw.read(theirs) == text)
                        Raw.write(theirs, text)
                        #expect(try await connection.text(text.utf8.count) == text)
                        try await connection.close()
                        #expect(Raw.read(theirs) == "")
                        Raw.close(theirs)
                    }
                }
                for task in stormers + others { try await task.value }
            }
        }

        @Test(arguments: Driver.allCases)
        func `clients are closed after what waits for them, or aborted however full they are`(
            driver: Driver
        ) async throws {
            try await onNetwork(driver) { loop in
                let content = noise(driver.bulk)
                let writers = Mailbox<String>(on: loop)
                try await serving(on: loop) { connection in
                    writers.put("begins")
                    writers.put(await ending { try await connection.write(Bytes(content)) })
                } while: { server in
                    // Behaviour 93: closing sends everything, to somebody who begins to read late.
                    let late = try await server.client()
                    #expect(try await writers.take() == "begins")
                    await turns(5, on: loop)
                    server.closeClients()
                    #expect(try await late.readAll() == content)
                    #expect(try await writers.take() == "ok")
                    try await late.close()
                    // Aborting does not wait for somebody who never reads.
                    let never = try await server.client()
                    #expect(try await writers.take() == "begins")
                    await turns(5, on: loop)
                    server.abortClients()
                    #expect(try await writers.take() == "closed")
                    #expect(await ending { _ = try await never.readAll() } == "ECONNRESET")
                    try? await never.close()
                }
            }
        }

        // Behaviour 114.
        @Test func `hundreds of loops with a server and clients leave neither descriptors nor memory`() async {
            await #expect(processExitsWith: .success) {
                let content = Bytes(noise(5_000))
                func live() async throws {
                    try await withEventLoop(testConfiguration()) { loop in
                        try await serving(on: loop) { connection in
                            for try await bytes in connection { try await connection.write(bytes) }
                        } while: { server in
                            for _ in 0..<2 {
                                let client = try await server.client()
                                try await client.write(content)
                                let answer = try await client.read(exactly: content.count)
                                precondition(Bytes(answer) == content)
                                try await client.close()
                            }
                        }
                    }
                }
                for _ in 0..<50 { try await live() }
                let (descriptors, memory) = (openDescriptors(), largestResidentSize())
                for _ in 0..<200 { try await live() }
                precondition(openDescriptors() <= descriptors, "descriptors are left")
                let growth = largestResidentSize() - memory
                precondition(growth < 6 << 20, "memory grew by \(growth) bytes")
            }
        }
    }
}
