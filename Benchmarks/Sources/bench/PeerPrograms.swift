// The peers that are programs of their own: Go's is built on the way, next to this program; uvloop is installed from PyPI
// into a virtual environment there. What the machine has not is left out, and a line says so.

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

    private static func go() throws -> [String] {
        let program = try besideThisProgram("go-peer")
        let compiler = try ChildProcess("go build", ["go", "build", "-o", program, source("go/main.go")])
        try compiler.waitForEnd(within: .seconds(300))
        return [program]
    }

    private static func uvloop() throws -> [String] {
        let folder = try besideThisProgram("uvloop-peer")
        let python = folder + "/bin/python"
        if try !succeeds([python, "-c", "import uvloop"]) {
            try ChildProcess("venv", ["python3", "-m", "venv", folder]).waitForEnd(within: .seconds(120))
            let install = [python, "-m", "pip", "install", "--quiet", "uvloop"]
            try ChildProcess("pip install uvloop", install).waitForEnd(within: .seconds(300))
        }
        return [python, source("uvloop/main.py")]
    }

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

    private static func source(_ path: String, file: String = #filePath) -> String {
        let package = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        return package.joined(separator: "/") + "/Peers/" + path
    }
}
