// The peers that are programs of their own: Go's is built on the way, next to this program; uvloop is installed from PyPI
// into a virtual environment there; asyncio is the Python and Node the program that PATH finds. What the machine has not is
// left out, and a line says so.

internal import CMeasure

enum PeerPrograms {
    static let peers: [MicroPeer] = [.go, .uvloop]

    /// How to call each that there is.
    static func build() throws -> [MicroPeer: [String]] {
        var programs: [MicroPeer: [String]] = [:]
        for (peer, build) in [(MicroPeer.go, go), (.uvloop, uvloop)] {
            do {
                programs[peer] = try build()
            } catch let missing as MissingProgram {
                Terminal.note("\(missing): its figures are left out")
            } catch let error as BenchError {
                Terminal.note("\(peer.title) cannot be had (\(error)): its figures are left out")
            }
        }
        return programs
    }

    /// Those of the servers that there are on this machine.
    static func available(_ servers: [EchoServer]) throws -> [EchoServer] {
        var isThere: [PeerServer.Kind: Bool] = [:]
        for kind in Set(servers.compactMap { $0.peer?.kind }) {
            do {
                switch kind {
                case .go: _ = try go()
                case .uvloop: _ = try uvloop()
                case .python: try require("python3", "--version")
                case .node: try require("node", "--version")
                }
                isThere[kind] = true
            } catch let missing as MissingProgram {
                Terminal.note("\(missing): its echo servers are left out")
            } catch let error as BenchError {
                Terminal.note("\(kind.rawValue) cannot be had (\(error)): its echo servers are left out")
            }
        }
        return servers.filter { server in server.peer.map { isThere[$0.kind] == true } ?? true }
    }

    private static func require(_ command: String...) throws {
        try ChildProcess(command[0], command, capturingErrors: true).waitForEnd(within: .seconds(60))
    }

    private static func go() throws -> [String] {
        let program = try goProgram
        let sources = [source("go/main.go"), source("go/echo.go")]
        let compiler = try ChildProcess("go build", ["go", "build", "-o", program] + sources)
        try compiler.waitForEnd(within: .seconds(300))
        return [program]
    }

    private static func uvloop() throws -> [String] {
        let folder = try uvloopFolder
        let python = try uvloopPython
        if try !succeeds([python, "-c", "import uvloop"]) {
            try ChildProcess("venv", ["python3", "-m", "venv", folder]).waitForEnd(within: .seconds(120))
            let install = [python, "-m", "pip", "install", "--quiet", "uvloop"]
            try ChildProcess("pip install uvloop", install).waitForEnd(within: .seconds(300))
        }
        return [python, source("python/micro.py")]
    }

    static var goProgram: String { get throws { try besideThisProgram("go-peer") } }
    private static var uvloopFolder: String { get throws { try besideThisProgram("uvloop-peer") } }
    static var uvloopPython: String { get throws { try uvloopFolder + "/bin/python" } }

    private static func succeeds(_ command: [String]) throws -> Bool {
        do {
            try ChildProcess(command[0], command, capturingErrors: true).waitForEnd(within: .seconds(60))
            return true
        } catch is MissingProgram {
            return false
        } catch is BenchError {
            return false
        }
    }

    private static func besideThisProgram(_ name: String) throws -> String {
        let folder = try ChildProcess.ownPath().split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return folder.joined(separator: "/") + "/" + name
    }

    static func source(_ path: String, file: String = #filePath) -> String {
        let package = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        return package.joined(separator: "/") + "/Peers/" + path
    }
}

/// An echo server that is a program of its own.
struct PeerServer {
    enum Kind: String {
        case go = "Go"
        case uvloop
        case python = "Python"
        case node = "Node"
    }

    let kind: Kind
    private let arguments: [String]

    init(_ kind: Kind, _ arguments: [String]) { (self.kind, self.arguments) = (kind, arguments) }

    /// Replaces this process, with its core, its limits and its end.
    func become(host: String, port: Int) throws -> Never {
        let program =
            switch kind {
            case .go: [try PeerPrograms.goProgram]
            case .uvloop: [try PeerPrograms.uvloopPython, PeerPrograms.source("python/echo.py")]
            case .python: ["python3", PeerPrograms.source("python/echo.py")]
            case .node: ["node", PeerPrograms.source("node/echo.js")]
            }
        let command = program + arguments + [host, "\(port)"]
        let joined = command.map { $0 + "\0" }.joined()
        throw BenchError.system("starting \(command[0])", unsafe measure_become(joined, command.count))
    }
}
