// The system's errors: told apart by their code, described with the call, the address and the code's name.

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
    @Suite struct SystemErrorTests {
        @Test func `an error says the call, the address, the meaning and the name`() throws {
            let address = try SocketAddress(host: "127.0.0.1", port: 7_777)
            #expect(
                SystemError(.addressInUse, call: "uv_listen", address: address).description
                    == "uv_listen 127.0.0.1:7777: address already in use (EADDRINUSE)"
            )
            #expect(
                SystemError(.brokenPipe, call: "uv_write").description == "uv_write: broken pipe (EPIPE)"
            )
        }

        @Test func `errors are equal by their code, wherever they happened`() throws {
            let address = try SocketAddress(host: "127.0.0.1", port: 1)
            let one = SystemError(.connectionRefused, call: "uv_tcp_connect", address: address)
            let other = SystemError(.connectionRefused, call: "elsewhere")
            #expect(one == other)
            #expect(one.hashValue == other.hashValue)
            #expect(one != SystemError(.connectionReset, call: "uv_tcp_connect", address: address))
        }

        @Test func `the codes are the negated numbers of errno`() {
            let codes: [(SystemError.Code, CInt, String)] = [
                (.addressInUse, EADDRINUSE, "EADDRINUSE"),
                (.addressNotAvailable, EADDRNOTAVAIL, "EADDRNOTAVAIL"),
                (.accessDenied, EACCES, "EACCES"),
                (.connectionRefused, ECONNREFUSED, "ECONNREFUSED"),
                (.connectionReset, ECONNRESET, "ECONNRESET"),
                (.brokenPipe, EPIPE, "EPIPE"),
                (.notConnected, ENOTCONN, "ENOTCONN"),
                (.timedOut, ETIMEDOUT, "ETIMEDOUT"),
                (.canceled, ECANCELED, "ECANCELED"),
                (.tooManyOpenFiles, EMFILE, "EMFILE"),
                (.tooManyOpenFilesInSystem, ENFILE, "ENFILE"),
                (.noBufferSpace, ENOBUFS, "ENOBUFS"),
                (.outOfMemory, ENOMEM, "ENOMEM"),
                (.invalidArgument, EINVAL, "EINVAL"),
                (.noSuchFile, ENOENT, "ENOENT"),
                (.wouldBlock, EAGAIN, "EAGAIN"),
                (.hostUnreachable, EHOSTUNREACH, "EHOSTUNREACH"),
                (.networkUnreachable, ENETUNREACH, "ENETUNREACH"),
            ]
            for (code, number, name) in codes {
                #expect(code.rawValue == -number)
                #expect(code.name == name)
                #expect(code.description == name)
                #expect(!code.message.isEmpty)
            }
        }

        @Test func `a number that nobody knows still has a name`() {
            let code = SystemError.Code(rawValue: -123_456)
            #expect(code.name.contains("-123456"))
            #expect(code.message.contains("-123456"))
        }

        @Test func `checking a status throws for negative ones and only for them`() throws {
            try check(0, "uv_anything")
            try check(7, "uv_anything")
            let error = #expect(throws: SystemError.self) { try check(-EINVAL, "uv_anything") }
            #expect(error?.code == .invalidArgument)
            #expect(error?.call == "uv_anything")
            #expect(error?.address == nil)
        }
    }
}
