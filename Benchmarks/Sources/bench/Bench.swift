// The command line: one visible program, `bench`, and the roles that it starts itself again in.
//
//     swift run -c release --package-path Benchmarks bench [filter]     every figure, as a table and as JSON
//     swift run -c release --package-path Benchmarks bench chart        the figures of an echo run as a picture
//     swift run -c release --package-path Benchmarks bench gate         the figures that do not depend on the machine
//
// Servers and clients are processes of their own: their CPU time, memory and system calls can then be told apart from
// outside, whatever language they are written in.

internal import ArgumentParser
internal import CMeasure

@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures swift-asyncio beside libuv in C, raw epoll, SwiftNIO, uvloop, asyncio, Node and Go.",
        subcommands: [
            MeasureCommand.self, ChartCommand.self, GateCommand.self, ServeRole.self, LoadRole.self, MicroRole.self,
        ],
        defaultSubcommand: MeasureCommand.self
    )
}

/// What can go wrong in a run, as sentences.
struct BenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }

    /// A C function failed, with the negative of a reason as its result.
    static func system(_ what: String, _ result: some BinaryInteger) -> BenchError {
        BenchError("\(what): \(unsafe String(cString: measure_reason(Int64(result))))")
    }
}

/// Throws if a C function failed.
@discardableResult
func check<Result: BinaryInteger>(_ result: Result, _ what: @autoclosure () -> String) throws -> Result {
    if result < 0 { throw BenchError.system(what(), result) }
    return result
}

/// The two places that a program writes to, past any buffer: a line is there before the next measurement begins.
enum Terminal {
    static func print(_ line: String) {
        write(1, line)
    }

    static func note(_ line: String) {
        write(2, line)
    }

    private static func write(_ descriptor: CInt, _ line: String) {
        // Whoever reads us has gone: nobody is left to tell.
        if unsafe measure_print(descriptor, line + "\n") < 0 { Bench.exit(withError: ExitCode.failure) }
    }
}
