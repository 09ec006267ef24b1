// Datagrams on a simulated network: late, out of order, twice or never, and to several hosts at once.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct SimulationDatagramTests {
        /// The numbers of so many datagrams from one host to another, in the order in which they arrived.
        private func arrivals(_ count: Int, seed: UInt64, _ conditions: LinkConditions) async throws -> [Int] {
            try await withSimulation(seed: seed) { loop, simulation in
                let (sender, receiver) = (simulation.host("sender"), simulation.host("receiver"))
                simulation.setConditions(conditions)
                let numbers = Recorder<Int>()
                receiver.start {
                    let socket = try await UDPSocket.bind(host: "0.0.0.0", port: 53)
                    defer { socket.abort() }
                    while true {
                        let datagram = try await socket.receive()
                        numbers.append(Int(String(decoding: datagram.bytes, as: UTF8.self)) ?? -1)
                    }
                }
                try await sender.run {
                    try await AsyncIO.sleep(for: .seconds(1))
                    try await UDPSocket.withSocket(connectedTo: "receiver", port: 53) { socket in
                        for number in 0..<count { try await socket.send(Bytes(Array("\(number)".utf8))) }
                        try await AsyncIO.sleep(for: .seconds(1))
                    }
                }
                return numbers.all
            }
        }

        @Test func `datagrams overtake one another, and all arrive where nothing is lost`() async throws {
            var orders: Set<[Int]> = []
            for seed in 0..<10 as Range<UInt64> {
                let numbers = try await arrivals(20, seed: seed, LinkConditions())
                #expect(numbers.sorted() == Array(0..<20))
                orders.insert(numbers)
            }
            #expect(orders.count == 10 && !orders.contains(Array(0..<20)))
        }

        @Test func `datagrams are lost and doubled as often as the conditions say`() async throws {
            var conditions = LinkConditions()
            conditions.loss = 0.3
            conditions.duplication = 0.3
            var (lost, doubled) = (0, 0)
            for seed in 0..<10 as Range<UInt64> {
                let numbers = try await arrivals(100, seed: seed, conditions)
                lost += 100 - Set(numbers).count
                doubled += numbers.count - Set(numbers).count
            }
            #expect((200...400).contains(lost), "\(lost)")
            #expect((120...300).contains(doubled), "\(doubled)")
        }

        @Test func `datagrams do not outlast a partition, nor the host that they were for`() async throws {
            try await withSimulation(seed: 3) { loop, simulation in
                let (sender, receiver) = (simulation.host("sender"), simulation.host("receiver"))
                let texts = Recorder<String>()
                receiver.start {
                    let socket = try await UDPSocket.bind(host: "0.0.0.0", port: 53)
                    defer { socket.abort() }
                    while true { texts.append(String(decoding: try await socket.receive().bytes, as: UTF8.self)) }
                }
                try await sender.run {
                    try await AsyncIO.sleep(for: .seconds(1))
                    let socket = try await UDPSocket.bind(host: "0.0.0.0", port: 0)
                    let address = try SocketAddress(host: receiver.address, port: 53)
                    func send(_ text: Bytes) async throws {
                        try await socket.send(text, to: address)
                        try await AsyncIO.sleep(for: .seconds(1))
                    }
                    try await send("first")
                    simulation.partition(sender, receiver)
                    try await send("lost in the partition")
                    simulation.heal()
                    receiver.crash()
                    try await send("to nobody")
                    receiver.restart()
                    try await AsyncIO.sleep(for: .seconds(1))
                    try await send("last")
                    try await socket.close()
                }
                #expect(texts.all == ["first", "last"])
            }
        }

        @Test func `who is connected hears that nobody listens on a host that is there`() async throws {
            try await withSimulation(seed: 4) { loop, simulation in
                let (sender, receiver) = (simulation.host("sender"), simulation.host("receiver"))
                try await sender.run {
                    try await UDPSocket.withSocket(connectedTo: "receiver", port: 53) { socket in
                        try await socket.send("anybody?")
                        let error = await failure { _ = try await socket.receive() }
                        #expect((error as? SystemError)?.code == .connectionRefused)
                        receiver.crash()
                        try await socket.send("anybody?")
                        let silence = await failure {
                            _ = try await withTimeout(.seconds(5)) { try await socket.receive() }
                        }
                        #expect(silence is TimeoutError)
                    }
                }
            }
        }
    }
}
