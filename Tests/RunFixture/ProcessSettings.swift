// What the first loop of a process changes about it, and what it does not.

import AsyncIO
import Foundation

extension RunFixture {
    static let processSettings: [String: Program] = [
        "sigpipe": {
            signal(SIGPIPE, SIG_DFL)
            say("before: \(brokenPipeEffect)")
            try AsyncIO.run(configuration()) { await AsyncIO.yield() }
            say("after: \(brokenPipeEffect)")
            writeToBrokenPipe()
        },

        "sigpipe left": {
            signal(SIGPIPE, SIG_DFL)
            var configuration = configuration()
            configuration.ignoresSIGPIPE = false
            try AsyncIO.run(configuration) { await AsyncIO.yield() }
            say("after: \(brokenPipeEffect)")
            writeToBrokenPipe()
        },

        "sigpipe handled": {
            signal(SIGPIPE) { _ in say("handled") }
            try AsyncIO.run(configuration()) { await AsyncIO.yield() }
            say("after: \(brokenPipeEffect)")
            writeToBrokenPipe()
        },
    ]

    /// What SIGPIPE does to this process.
    private static var brokenPipeEffect: String {
        var action = sigaction()
        unsafe sigaction(SIGPIPE, nil, &action)
        // SAFETY: the two that have names are small numbers in place of a function.
        #if canImport(Darwin)
        let handler = unsafe unsafeBitCast(action.__sigaction_u.__sa_handler, to: Int.self)
        #else
        let handler = unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        #endif
        return handler == 0 ? "default" : handler == 1 ? "ignored" : "a handler"
    }

    /// Writes by the plain call to a pipe that nobody reads.
    private static func writeToBrokenPipe() {
        var ends: [CInt] = [-1, -1]
        unsafe pipe(&ends)
        close(ends[0])
        let written = unsafe write(ends[1], "x", 1)
        say("write: \(written == 1 ? "written" : errno == EPIPE ? "EPIPE" : "errno \(errno)")")
    }
}
