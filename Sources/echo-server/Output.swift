// What the example says to its user, unbuffered, and how it ends in a hurry.

import AsyncIO
import Foundation

enum Output {
    /// Writes one line, which is with its reader when this returns.
    static func writeLine(_ text: String, to file: FileHandle) throws {
        try file.write(contentsOf: Data((text + "\n").utf8))
    }
}

/// Ends the process without running anything else.
func exitAtOnce(_ status: Int32) -> Never { _exit(status) }

extension EventLoop {
    /// Calls `end` on the first SIGINT or SIGTERM; the second ends the process.
    func endOnSignals(_ end: @escaping () -> Void) throws {
        var isEnding = false
        for signal in [Signal.interrupt, .terminate] {
            try onSignal(signal) {
                if isEnding { exitAtOnce(128 + signal.rawValue) }
                isEnding = true
                end()
            }
        }
    }
}
