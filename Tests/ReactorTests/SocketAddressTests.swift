// Addresses as values: read from text without a look-up, printed as in URLs, equal if they mean the same.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct SocketAddressTests {
        @Test(arguments: [
            ("127.0.0.1", "127.0.0.1", "127.0.0.1:80"),
            ("0.0.0.0", "0.0.0.0", "0.0.0.0:80"),
            ("255.255.255.255", "255.255.255.255", "255.255.255.255:80"),
            ("::1", "::1", "[::1]:80"),
            ("[::1]", "::1", "[::1]:80"),
            ("::", "::", "[::]:80"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1", "[2001:db8::1]:80"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80"),
        ])
        func `text is read and printed in its shortest form`(text: String, host: String, description: String) throws {
            let address = try SocketAddress(host: text, port: 80)
            #expect(address.host == host)
            #expect(address.description == description)
            #expect(address.port == 80)
            #expect(address.family == (host.contains(":") ? .ipv6 : .ipv4))
        }

        @Test(arguments: [
            "", "localhost", "example.com", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "::g", ":::",
            "[::1", "::1]", "1.2.3.4:80", "[1.2.3.4", "127.0.0.1\0", "::1\0.evil.example",
        ])
        func `what is no address is refused by name, and nothing is looked up`(text: String) {
            #expect(throws: LoopError.self) { try SocketAddress(host: text, port: 80) }
        }

        @Test func `IPv4 in brackets is no address`() {
            #expect(throws: LoopError.self) { try SocketAddress(host: "[127.0.0.1]", port: 80) }
        }

        @Test(arguments: [0, 1, 65_535])
        func `every port is kept`(port: Int) throws {
            #expect(try SocketAddress(host: "127.0.0.1", port: port).port == UInt16(port))
        }

        @Test(arguments: [-1, 65_536, Int.max, Int.min])
        func `what is no port is refused`(port: Int) {
            #expect(throws: LoopError.notAPort(port)) { try SocketAddress(host: "127.0.0.1", port: port) }
            #expect(throws: LoopError.notAPort(port)) { try SocketAddress.resolve(host: "localhost", port: port) }
        }

        @Test func `the error for a name says how to resolve it`() {
            let error = #expect(throws: LoopError.self) { try SocketAddress(host: "example.com", port: 80) }
            #expect(error?.description.contains("'example.com' is not an IP address") == true)
            #expect(error?.description.contains("SocketAddress.resolve") == true)
        }

        @Test func `addresses are equal if they mean the same`() throws {
            let one = try SocketAddress(host: "2001:db8::1", port: 80)
            #expect(try SocketAddress(host: "2001:0db8:0::0:1", port: 80) == one)
            #expect(try SocketAddress(host: "[2001:db8::1]", port: 80).hashValue == one.hashValue)
            #expect(try SocketAddress(host: "2001:db8::1", port: 81) != one)
            #expect(try SocketAddress(host: "::ffff:1.2.3.4", port: 80) != SocketAddress(host: "1.2.3.4", port: 80))
        }

        @Test func `the port can be changed`() throws {
            var address = try SocketAddress(host: "::1", port: 0)
            address.port = 443
            #expect(address.description == "[::1]:443")
        }

        @Test(arguments: ["127.0.0.1", "192.0.2.255", "::1", "2001:db8::ffff"])
        func `an address survives the way through the C structure`(host: String) throws {
            let address = try SocketAddress(host: host, port: 54_321)
            let copy = unsafe address.withSockaddr { pointer, length in
                #expect(length == (address.family == .ipv4 ? 16 : 28))
                return unsafe SocketAddress(pointer)
            }
            #expect(copy == address)
        }

        @Test func `a scope is part of the address`() throws {
            #if os(Linux)
            let name = "lo"
            #else
            let name = "lo0"
            #endif
            let scoped = try SocketAddress(host: "fe80::1%\(name)", port: 1)
            #expect(scoped.description == "[fe80::1%\(name)]:1")
            #expect(try SocketAddress(host: "fe80::1", port: 1) != scoped)
            let copy = unsafe scoped.withSockaddr { pointer, _ in unsafe SocketAddress(pointer) }
            #expect(copy == scoped)
        }

        @Test func `resolving an address gives it back`() throws {
            #expect(try SocketAddress.resolve(host: "::1", port: 7).map(\.description) == ["[::1]:7"])
            #expect(try SocketAddress.resolve(host: "10.0.0.1", port: 7).map(\.description) == ["10.0.0.1:7"])
        }

        @Test func `localhost resolves to this machine, each address once, with the port`() throws {
            let found = try SocketAddress.resolve(host: "localhost", port: 7)
            #expect(!found.isEmpty)
            #expect(Set(found).count == found.count)
            for address in found { #expect(["127.0.0.1:7", "[::1]:7"].contains(address.description)) }
        }

        @Test(arguments: ["", "a\0b", String(repeating: "a", count: 254)])
        func `what cannot be a name is refused without a look-up`(host: String) {
            #expect(throws: LoopError.notAnAddress("\(host):7")) { try SocketAddress.resolve(host: host, port: 7) }
        }
    }
}
