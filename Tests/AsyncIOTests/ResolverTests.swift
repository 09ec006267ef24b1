// Names: what is answered at once, what becomes of look-ups that nobody waits for any more, and that every answer is the C
// library's own. Behaviour 123 of asyncio.

import AsyncIO
import AsyncIOTesting
import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite struct ResolverTests {
        @Test(.needs("python3"))
        func `the answers are those of Python's getaddrinfo, whatever the arguments`() async throws {
            let expected = try await Python.answers()
            try await onNetwork(.sockets) { loop in
                let resolver = SystemResolver.shared
                var different: [String] = []
                var index = 0
                for (host, service, kind, flags) in Arguments.all {
                    let answer: String
                    do {
                        let found = try await resolver.addressInfo(
                            host: host,
                            service: service,
                            family: kind.family == 0 ? nil : kind.family == 4 ? .ipv4 : .ipv6,
                            kind: kind.type == 0 ? nil : kind.type == 1 ? .stream : .datagram,
                            protocolNumber: Int32(kind.number),
                            flags: AddressInfo.Flags(rawValue: flags)
                        )
                        answer = found.map(Self.line).joined(separator: "; ")
                    } catch {
                        answer = brief(error)
                    }
                    if answer != expected[index] {
                        different.append(
                            "\(host ?? "-") \(service ?? "-") \(kind) \(flags): \(answer)|\(expected[index])"
                        )
                    }
                    index += 1
                }
                #expect(index == expected.count && index > 3_000)
                #expect(different.isEmpty, "\(different.count): \(different.prefix(20).joined(separator: "\n"))")
            }
        }

        private static func line(_ info: AddressInfo) -> String {
            let kind =
                switch info.kind {
                case .stream: "stream"
                case .datagram: "datagram"
                case .other(let number): "\(number)"
                }
            return "\(info.address) \(kind) \(info.protocolNumber) \(info.canonicalName ?? "")"
        }

        @Test func `what consists of numbers is answered at once, in every form that the C library reads`() async throws
        {
            try await onLoop { loop in
                // Nothing could be looked up here: the pool is closed.
                let pool = OffloadPool(threads: 1)
                await pool.shutdown()
                let resolver = SystemResolver(on: pool)
                for (text, host) in [
                    ("127.1", "127.0.0.1"), ("0x7f.1", "127.0.0.1"), ("2130706433", "127.0.0.1"), ("::1", "::1"),
                    ("fe80::1%lo", "fe80::1%lo"), ("fe80::1%1", "fe80::1%lo"), ("10.0.0.1", "10.0.0.1"),
                ] {
                    let found = try await resolver.addresses(of: text, port: 7)
                    #expect(found == [try SocketAddress(host: host, port: 7)], "\(text)")
                }
                let address = try SocketAddress(host: "::1", port: 80)
                let name = try await resolver.nameInfo(of: address, flags: [.numericHost, .numericService])
                #expect(name.host == "::1" && name.service == "80")
                #expect(await failure { _ = try await resolver.addresses(of: "localhost", port: 7) } is OffloadError)
            }
        }

        @Test func `names are found, and what an address is called`() async throws {
            try await onNetwork(.sockets) { loop in
                let resolver = SystemResolver.shared
                for address in try await resolver.addresses(of: "localhost", port: 7) {
                    #expect(["127.0.0.1:7", "[::1]:7"].contains(address.description))
                }
                let address = try SocketAddress(host: "127.0.0.1", port: 80)
                #expect(try await resolver.name(of: address) == "localhost")
                #expect(try await resolver.nameInfo(of: address, flags: .numericHost).service == "http")
                struct Plain: Resolver {
                    func addresses(
                        of host: String,
                        port: Int,
                        family: SocketAddress.Family?
                    ) async throws -> [SocketAddress] { [] }
                }
                #expect(try await Plain().name(of: address) == "localhost")
                var options = ConnectOptions()
                options.resolver = Plain()
                let end = await ending {
                    _ = try await TCPConnection.connect(host: "nobody.example", port: 1, connecting: options)
                }
                #expect(end == "EAI_NONAME")
            }
        }

        @Test func `what cannot be a name is refused, with the reason, before anything is looked up`() async throws {
            try await onLoop { loop in
                let long = String(repeating: "a", count: 60) + "." + String(repeating: "b.", count: 100)
                for (host, reason) in [
                    ("a\0b", "zero byte"), (long, "260 bytes"), ("127.0.0.1\0", "zero byte"),
                    (String(repeating: "ü", count: 80), "too long to be written in ASCII"),
                ] {
                    let error = await failure { _ = try await SystemResolver.shared.addresses(of: host, port: 7) }
                    #expect(error is ResolverError)
                    #expect(error.map { "\($0)" }?.contains(reason) == true, "\(String(describing: error))")
                    #expect(await failure { _ = try await TCPConnection.connect(host: host, port: 7) } is ResolverError)
                }
                let service = await failure {
                    _ = try await SystemResolver.shared.addressInfo(host: "::1", service: "8\0")
                }
                #expect(service is ResolverError)
                #expect(await ending { _ = try await TCPConnection.connect(host: "", port: 7) } != "ok")
            }
        }

        @Test func `a look-up that is cancelled is abandoned, and one that has not begun never does`() async throws {
            let gate = Gate()
            let pool = OffloadPool(threads: 1)
            try await onNetwork(.sockets) { loop in
                let resolver = SystemResolver(on: pool)
                // The one thread is busy.
                let begun = Gate()
                let busy = spawn(eager: true) {
                    try await offload(on: pool) {
                        begun.open()
                        _ = gate.pass()
                    }
                }
                begun.pass()
                let waiting = spawnEach(3, on: loop, eager: true) { _ in
                    try await resolver.addresses(of: "localhost", port: 7).count
                }
                await turns(2, on: loop)
                #expect(pool.statistics.queued == 3)
                for task in waiting {
                    task.cancel()
                    #expect(await isCancelled { try await task.value })
                }
                #expect(pool.statistics.queued == 0 && resolver.concurrency == 1)
                busy.cancel()
                #expect(await isCancelled { try await busy.value })
            }
            // Not before the loop is closed, which what comes now finds so.
            gate.open()
            #expect(await pool.shutdown().isIdle)
            #expect(pool.statistics.completed == 1)
        }

        @Test func `closing the loop with look-ups under way is safe`() async throws {
            let gate = Gate()
            let pool = OffloadPool(threads: 2)
            let ends = Recorder<String>()
            try await onNetwork(.sockets, leaving: Recorder()) { loop in
                let resolver = SystemResolver(on: pool)
                let begun = Gate()
                for _ in 0..<2 {
                    spawn(eager: true) {
                        try? await offload(on: pool) {
                            begun.open()
                            _ = gate.pass()
                        }
                    }
                    begun.pass()
                }
                for number in 0..<4 {
                    spawn {
                        ends.append(
                            await ending {
                                if number % 2 == 0 {
                                    _ = try await resolver.addresses(of: "localhost", port: 7)
                                } else {
                                    var options = ConnectOptions()
                                    options.resolver = resolver
                                    _ = try await TCPConnection.connect(host: "localhost", port: 7, connecting: options)
                                }
                            }
                        )
                    }
                }
                await turns(3, on: loop)
            }
            #expect(ends.all == Array(repeating: "CancellationError", count: 4))
            gate.open(times: 2)
            #expect(await pool.shutdown().isIdle)
            #expect(pool.statistics.completed == 2)
        }

        @Test func `a look-up counts to the time limit of connecting`() async throws {
            try await onLoop(.paced) { loop in
                struct Slow: Resolver {
                    func addresses(
                        of host: String,
                        port: Int,
                        family: SocketAddress.Family?
                    ) async throws -> [SocketAddress] {
                        try await AsyncIO.sleep(for: ticks(600))
                        return []
                    }
                }
                var options = ConnectOptions()
                options.resolver = Slow()
                let start = loop.now
                let error = await failure {
                    _ = try await TCPConnection.connect(
                        host: "slow.example",
                        port: 7,
                        connecting: options,
                        timeout: ticks(3)
                    )
                }
                #expect(error.map { "\($0)" } == "Looking up slow.example timed out.")
                #expect(isTicks(start.duration(to: loop.now), 3))
            }
        }

        @Test func `the zone of an address is never lost`() async throws {
            #expect(throws: LoopError.self) { try SocketAddress(host: "fe80::1%nosuchlink", port: 1) }
            #expect(throws: LoopError.self) { try SocketAddress(host: "fe80::1%", port: 1) }
            #expect(throws: LoopError.self) { try SocketAddress(host: "fe80::1%+1", port: 1) }
            #expect(try SocketAddress(host: "fe80::1%1", port: 1) == SocketAddress(host: "fe80::1%lo", port: 1))
            #expect(try SocketAddress(host: "[fe80::1%7777]", port: 1) != SocketAddress(host: "fe80::1", port: 1))
        }
    }
}

/// What the look-ups are tried with.
private enum Arguments {
    struct Kind: Codable {
        var family = 0
        var type = 0
        var number = 0
    }

    static let hosts: [String?] = [
        nil, "127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "1.2.3", "0", "::1", "::", "::ffff:1.2.3.4",
        "fe80::1", "fe80::1%lo", "fe80::1%1", "fe80::1%nosuch", "::1%lo", "::1%1", "localhost",
    ]
    static let services: [String?] = [nil, "80", "http", "0", "65535", "65536", "-1", "no-such-service"]
    static let kinds = [
        Kind(), Kind(type: 1), Kind(type: 2), Kind(family: 4, type: 1), Kind(family: 6, type: 1),
        Kind(type: 1, number: 17),
        Kind(number: 6), Kind(family: 6),
    ]
    /// Passive, canonical name, numbers only, mapped, all.
    static let flags: [UInt8] = [0, 1, 2, 4, 8, 16, 16 + 32]

    static var all: [(String?, String?, Kind, UInt8)] {
        hosts.flatMap { host in
            services.flatMap { service in
                kinds.flatMap { kind in flags.map { (host, service, kind, $0) } }
            }
        }
    }
}

/// The other side.
private enum Python {
    static func answers() async throws -> [String] {
        try await withCheckedThrowingContinuation { continuation in
            onForeignThread { continuation.resume(with: Result { try run() }) }
        }
    }

    private static func run() throws -> [String] {
        let lists = [
            try JSONEncoder().encode(Arguments.hosts), try JSONEncoder().encode(Arguments.services),
            try JSONEncoder().encode(Arguments.kinds), try JSONEncoder().encode(Arguments.flags),
        ].map { String(decoding: $0, as: UTF8.self) }
        let end = try ForeignProgram.python(script, lists[0], lists[1], lists[2], lists[3]).finish()
        try #require(end.status == 0, "\(end.errors)")
        return try JSONDecoder().decode([String].self, from: Data(end.output.utf8))
    }

    private static let script = """
        import json, socket, sys
        hosts, services, kinds, flag_sets = (json.loads(text) for text in sys.argv[1:5])
        names = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}
        bits = [socket.AI_PASSIVE, socket.AI_CANONNAME, socket.AI_NUMERICHOST, socket.AI_NUMERICSERV,
                socket.AI_V4MAPPED, socket.AI_ALL]
        families = {0: 0, 4: socket.AF_INET, 6: socket.AF_INET6}
        types = {0: 0, 1: socket.SOCK_STREAM, 2: socket.SOCK_DGRAM}
        words = {socket.SOCK_STREAM: "stream", socket.SOCK_DGRAM: "datagram"}

        def line(family, type, proto, canonical, address):
            host = address[0]
            if family == socket.AF_INET6:
                if address[3] and "%" not in host:
                    host += "%" + socket.if_indextoname(address[3])
                host = "[" + host + "]"
            return f"{host}:{address[1]} {words.get(type, int(type))} {proto} {canonical}"

        def answer(host, service, kind, flags):
            raw = sum(bit for index, bit in enumerate(bits) if flags & (1 << index))
            try:
                found = socket.getaddrinfo(host, service, families[kind["family"]], types[kind["type"]],
                                           kind["number"], raw)
            except socket.gaierror as error:
                return names[error.errno]
            return "; ".join(line(*entry) for entry in found)

        print(json.dumps([answer(host, service, kind, flags) for host in hosts for service in services
                          for kind in kinds for flags in flag_sets]))
        """
}
