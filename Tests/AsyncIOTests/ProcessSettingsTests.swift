// What loops do to their process and to the programs that it starts: SIGPIPE, and which descriptors those inherit. Each
// in a process of its own.

import Foundation
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(.testsProcess, .timeLimit(.minutes(Seeds.minutes(1)))) struct ProcessSettingsTests {
        @Test func `the first loop has SIGPIPE ignored, where it would end the process`() throws {
            let end = try run("sigpipe")
            #expect(
                end.output == "before: default\n\(closed)after: ignored\nwrite: EPIPE\nend\n" && end.status == 0,
                "\(end)"
            )
        }

        @Test func `a configuration leaves SIGPIPE as it is`() throws {
            let end = try run("sigpipe left")
            #expect(end.output == "\(closed)after: default\n" && end.status == 128 + SIGPIPE, "\(end)")
        }

        @Test func `a handler of SIGPIPE stays`() throws {
            let end = try run("sigpipe handled")
            #expect(
                end.output == "\(closed)after: a handler\nhandled\nwrite: EPIPE\nend\n" && end.status == 0,
                "\(end)"
            )
        }

        #if os(Linux)
        @Test func `a program that is started inherits no descriptor that the library has made`() throws {
            let end = try run("inheritance")
            try #require(end.status == 0, "\(end)")
            var lines = end.output.split(separator: "\n").map(String.init)
            #expect(Array(lines.suffix(2)) == ["closed: nothing left open", "end"], "\(end)")
            lines.removeLast(2)
            let open = try #require(lines.removeFirst().wholeMatch(of: /open: ([0-9]+)/).flatMap { Int($0.1) })
            #expect(open >= 30, "that many would be inherited otherwise, and are what is tested")
            let expected = Set(lines.removeFirst().split(separator: " ").dropFirst().map(String.init))
            let kinds = lines.removeFirst().split(separator: " ").map(String.init)
            #expect(Set(kinds).isSuperset(of: ["anon_inode:[eventfd]", "anon_inode:[eventpoll]", "pipe", "socket"]))
            // And the folder that is being listed.
            #expect(expected.isSuperset(of: ["0", "1", "2"]) && Set(lines).subtracting(expected).count <= 1, "\(end)")
            #expect(expected.subtracting(lines).count <= 1, "\(end)")
        }
        #endif

        private let closed = "closed: nothing left open\n"

        private func run(_ program: String) throws -> (status: CInt, output: String, errors: String) {
            let fixture = try #require(ForeignProgram.product("run-fixture"))
            return try ForeignProgram([fixture, program]).finish()
        }
    }
}
