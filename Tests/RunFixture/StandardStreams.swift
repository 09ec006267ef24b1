// Standard input and output as the shell has made them.

import AsyncIO

extension RunFixture {
    static let standardStreams: [String: Program] = [
        "copy": {
            try AsyncIO.run {
                let (input, output) = (try await StandardInput.open(), try await StandardOutput.open())
                for try await bytes in input { try await output.write(bytes) }
                try await output.close()
            }
        },
        "first bytes": {
            try AsyncIO.run {
                let input = try await StandardInput.open()
                let bytes = try await input.read() ?? Bytes()
                say("first \(String(decoding: bytes.prefix(5), as: UTF8.self))")
                let errors = try await StandardOutput.open(.error)
                try await errors.write("to standard error\n")
            }
        },
        // Leaves the mode to the end of the process.
        "raw terminal": {
            try AsyncIO.run {
                let terminal = try await Terminal.open()
                let size = try await terminal.size()
                try await terminal.setMode(.raw)
                try await terminal.connection.write("\(size.columns) x \(size.rows), press a key\n")
                let key = try await terminal.connection.read() ?? Bytes()
                try await terminal.connection.write("\(Array(key))\n")
            }
        },
    ]
}
