// Where the programs write: to the terminal when a person runs them, to a list when a test does.

import Foundation

/// Takes one line, without its end.
typealias Output = @Sendable (String) -> Void

enum Terminal {
    /// Writes one line to standard output, unbuffered, so that it is with its reader when this returns.
    static let writeLine: Output = { line in
        // Nobody reads any more, as in `examples chat-room | head`: that must not stop a server.
        try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8))
    }
}
