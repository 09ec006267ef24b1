// Options are those of the sockets, at both ends: read back from the kernel. And addresses of one link reach it.

import Foundation
import Testing

@testable import Reactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension ReactorTests {
    @Suite struct SocketOptionsTests {
        private static func value(_ transport: StreamTransport, _ level: CInt, _ name: CInt) -> Int {
            guard case .system(let stream) = transport.driver else { return -1 }
            var value: CInt = -1
            var length = socklen_t(MemoryLayout<CInt>.size)
            // SAFETY: the option is a number, and its size goes with it.
            return unsafe getsockopt(stream.descriptor, level, name, &value, &length) == 0 ? Int(value) : -1
        }

        /// What the kernel says of one end.
        private static func options(_ transport: StreamTransport) -> [String] {
            let tcp = CInt(IPPROTO_TCP)
            var found = ["no delay \(value(transport, tcp, TCP_NODELAY) != 0)"]
            found.append("keep alive \(value(transport, SOL_SOCKET, SO_KEEPALIVE) != 0)")
            found.append(
                "interval \(value(transport, tcp, TCP_KEEPINTVL)), count \(value(transport, tcp, TCP_KEEPCNT))"
            )
            #if os(Linux)
            found.append("idle \(value(transport, tcp, TCP_KEEPIDLE)), user \(value(transport, tcp, TCP_USER_TIMEOUT))")
            #endif
            return found
        }

        @Test func `what is set is set on the socket that connects and on the one that is accepted`() throws {
            let (accepted, connected) = (Recorder<[String]>(), Recorder<[String]>())
            let sizes = Recorder<Int>()
            _ = try play(on: .system) { _, scene in
                var options = StreamOptions()
                options.noDelay = false
                options.keepAlive = .seconds(77)
                options.keepAliveInterval = .seconds(11)
                options.keepAliveCount = 5
                options.userTimeout = .milliseconds(12_345)
                options.sendBufferSize = 20_000
                options.receiveBufferSize = 30_000
                scene.serverOptions.connection = options
                scene.clientOptions = options
                scene.server.onMade = { transport in
                    accepted.append(Self.options(transport))
                    sizes.append(Self.value(transport, SOL_SOCKET, SO_SNDBUF))
                    transport.close()
                }
                scene.client.onMade = { transport in
                    connected.append(Self.options(transport))
                    sizes.append(Self.value(transport, SOL_SOCKET, SO_SNDBUF))
                }
            }
            var expected = ["no delay false", "keep alive true", "interval 11, count 5"]
            #if os(Linux)
            expected.append("idle 77, user 12345")
            #endif
            #expect(accepted.all == [expected] && connected.all == [expected])
            // The kernel doubles it, and knows a least size.
            #expect(sizes.count == 2 && sizes.all.allSatisfy { $0 >= 20_000 && $0 <= 60_000 }, "\(sizes.all)")
        }

        @Test func `the defaults send at once and probe nobody`() throws {
            let seen = Recorder<[String]>()
            _ = try play(on: .system) { _, scene in
                scene.server.onMade = { transport in
                    seen.append(Self.options(transport))
                    transport.close()
                }
                scene.client.onMade = { seen.append(Self.options($0)) }
            }
            #expect(seen.count == 2)
            for options in seen.all { #expect(options.prefix(2) == ["no delay true", "keep alive false"]) }
        }

        @Test func `a connection has the local address that it was given, which must be of the peer's family`() throws {
            let log = Recorder<String>()
            try perform(on: .system) { loop in
                let listener = try loop.listen(on: .anyPort) { Probe() }
                let wrong = try SocketAddress(host: "::1", port: 0)
                let error = #expect(throws: SystemError.self) {
                    try loop.connect(to: listener.localAddress, from: wrong, { Probe() }) { _ in
                        Issue.record("onFailure after a throw")
                    }
                }
                #expect(error?.code == .addressFamilyNotSupported && error?.address == wrong && error?.call == "bind")
                let taken = #expect(throws: SystemError.self) {
                    try loop.connect(to: listener.localAddress, from: listener.localAddress, { Probe() }) { _ in
                        Issue.record("onFailure after a throw")
                    }
                }
                #expect(taken?.code == .addressInUse && taken?.address == listener.localAddress)
                let client = Probe()
                client.onMade = { transport in
                    log.append(transport.localAddress?.host ?? "?")
                    transport.close()
                }
                client.whenOver = { listener.drain(within: .zero) { loop.stop() } }
                let local = try SocketAddress(host: "127.0.0.7", port: 0)
                try loop.connect(to: listener.localAddress, from: local, { client }) { Issue.record("\($0)") }
                return {}
            }
            #expect(log.all == ["127.0.0.7"])
        }

        #if os(Linux)
        /// An address of one link, if this machine has one.
        private static let linkLocal: SocketAddress? = {
            let table = (try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8)) ?? ""
            let rows = table.split(separator: "\n").map { $0.split(separator: " ") }
            guard let row = rows.first(where: { $0.count == 6 && $0[3] == "20" }) else { return nil }
            let groups = stride(from: 0, to: 32, by: 4).map { row[0].dropFirst($0).prefix(4) }
            return try? SocketAddress(host: groups.joined(separator: ":") + "%\(row[5])", port: 0)
        }()

        @Test(.enabled(if: linkLocal != nil)) func `an address of one link is listened on and connected to there`()
            throws
        {
            let address = try #require(Self.linkLocal)
            let log = Recorder<SocketAddress?>()
            try perform(on: .system) { loop in
                let server = Probe()
                server.onMade = { $0.close() }
                let listener = try loop.listen(on: address) { server }
                let client = Probe()
                client.onMade = { log.append($0.remoteAddress) }
                client.whenOver = { listener.drain(within: .seconds(10)) { loop.stop() } }
                #expect(listener.localAddress.host == address.host)
                try loop.connect(to: listener.localAddress, { client }) { Issue.record("\($0)") }
                return {}
            }
            #expect(log.all.map { $0?.host } == [address.host])
        }
        #endif
    }
}
