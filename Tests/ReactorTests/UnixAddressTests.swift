// Names of Unix sockets as values: a path, on Linux a name that is no file, or none; the limit of the system is told,
// and nothing is cut.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct UnixAddressTests {
        #if os(Linux)
        private static let limit = 107
        #else
        private static let limit = 103
        #endif

        @Test(arguments: ["/run/app.sock", "app.sock", "../a b", "/tmp/ä.sock", "@app", "unix:/x"])
        func `a path is kept as it is and printed behind its scheme`(path: String) throws {
            let address = try SocketAddress(unixPath: path)
            #expect(address.family == .unix && address.unixPath == path && address.host == path)
            #expect(address.description == "unix:\(path)" && address.port == 0)
        }

        @Test func `an IP address has no path, and a Unix socket no port`() throws {
            #expect(try SocketAddress(host: "::1", port: 1).unixPath == nil)
            var address = try SocketAddress(unixPath: "/a")
            address.port = 80
            #expect(address.port == 0 && address.description == "unix:/a")
            #expect(try address == SocketAddress(unixPath: "/a") && address != SocketAddress(unixPath: "/b"))
            #expect(try address.hashValue == SocketAddress(unixPath: "/a").hashValue)
        }

        @Test func `a path of the system's limit fits, and a longer one is refused with the limit`() throws {
            let longest = "/" + String(repeating: "a", count: Self.limit - 1)
            let address = try SocketAddress(unixPath: longest)
            #expect(address.unixPath == longest)
            #expect(throws: LoopError.unixPathTooLong(longest + "b", limit: Self.limit)) {
                try SocketAddress(unixPath: longest + "b")
            }
            let error = LoopError.unixPathTooLong(longest + "b", limit: Self.limit)
            #expect("\(error)".contains("has \(Self.limit + 1) bytes") && "\(error)".contains("may have \(Self.limit)"))
            // The limit counts bytes, not characters.
            #expect(throws: LoopError.self) { try SocketAddress(unixPath: String(repeating: "ä", count: 54)) }
        }

        @Test(arguments: ["", "/a\0b", "/a\0", "\0"])
        func `what can name no socket is refused`(path: String) {
            let error = #expect(throws: LoopError.notAUnixPath(path)) { try SocketAddress(unixPath: path) }
            #expect(error?.description.contains("\0") == false)
        }

        #if os(Linux)
        @Test func `an abstract name is one, and may have zero bytes`() throws {
            let address = try SocketAddress(unixPath: "\0app\0\0")
            #expect(address.unixPath == "\0app\0\0" && address.host == "@app\0\0")
            #expect(try SocketAddress(unixPath: "\0app").description == "unix:@app")
            #expect(try address != SocketAddress(unixPath: "\0app"))
            let longest = "\0" + String(repeating: "a", count: 107)
            #expect(try SocketAddress(unixPath: longest).unixPath == longest)
            #expect(throws: LoopError.unixPathTooLong(longest + "a", limit: 108)) {
                try SocketAddress(unixPath: longest + "a")
            }
        }

        @Test(arguments: ["/run/app.sock", "a", "\0a", "\0a\0", "/" + String(repeating: "a", count: 106)])
        func `a name survives the way through the C structure`(path: String) throws {
            let address = try SocketAddress(unixPath: path)
            let copy = unsafe address.withSockaddr { pointer, length in
                unsafe SocketAddress(pointer, length: length)
            }
            #expect(copy == address)
        }
        #endif

        @Test func `a socket without a name has an empty one`() {
            let address = SocketAddress.unnamedUnix
            #expect(address.unixPath == "" && address.description == "unix:" && address.family == .unix)
            let copy = unsafe address.withSockaddr { pointer, length in
                unsafe SocketAddress(pointer, length: length)
            }
            #expect(copy == address)
        }

        @Test func `an address is no larger for it`() {
            #expect(MemoryLayout<SocketAddress>.size <= 24)
        }
    }
}
