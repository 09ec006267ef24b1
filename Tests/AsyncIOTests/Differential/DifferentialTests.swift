// Python's asyncio as the judge: small programs in both languages must tell the same, line by line, but for the
// differences that are meant, and those must be there.

import AsyncIO
import AsyncIOTesting
import TestSupport
import Testing

extension AsyncIOTests {
    @Suite(
        .needs("Python 3.11 or newer", if: Reference.isAvailable),
        .testsOrder,
        .timeLimit(.minutes(Seeds.minutes(2)))
    )
    struct DifferentialTests {
        @Test(arguments: DifferentialCase.all.filter { $0.difference == nil && $0.canRun })
        func `asyncio and this library tell the same`(_ program: DifferentialCase) async throws {
            let reference = try await Reference.log(of: program)
            let log = try await program.run()
            #expect(log == reference)
            #expect(!reference.isEmpty, "a program that tells nothing proves nothing")
        }

        @Test(arguments: DifferentialCase.all.filter { $0.difference != nil && $0.canRun })
        func `where this library differs on purpose, both sides are as they are said to be`(
            _ program: DifferentialCase
        ) async throws {
            let difference = try #require(program.difference)
            let reference = try await Reference.log(of: program)
            let log = try await program.run()
            #expect(reference == difference.asyncio)
            #expect(log == difference.ours, "\(difference.reason)")
            #expect(log != reference, "this is no difference any more")
        }

        @Test func `random programs over everything that tasks share tell the same, under 150 seeds`() async throws {
            var (programs, lines) = (0, 0)
            for program in DifferentialCase.random where program.canRun {
                let reference = try await Reference.log(of: program)
                let log = try await program.run()
                #expect(log == reference, "\(program.name)")
                programs += 1
                lines += log.count
            }
            #expect(programs >= 100 && lines > 10 * programs, "most programs have something to tell")
        }

        @Test func `random streams are read the same, and leave the same behind, under 300 seeds`() async throws {
            var endings: Set<Substring> = []
            var lines = 0
            for program in DifferentialCase.randomStreams {
                let reference = try await Reference.log(of: program)
                let log = try await program.run()
                #expect(log == reference, "\(program.name): \(program.python)")
                lines += log.count
                endings.formUnion(log.compactMap { $0.split(separator: " ").dropFirst(2).first })
            }
            #expect(lines > 1_500)
            #expect(endings.isSuperset(of: ["incomplete", "limit", "too", "reset,", "CancelledError,"]), "\(endings)")
        }

        @Test func `with one batch for each poll, timers come between callbacks as they do in asyncio`() async throws {
            let name = "a timer that is due, and callbacks that schedule one another"
            let program = try #require(DifferentialCase.all.first { $0.name == name })
            let log = try await program.run { $0.batchesPerPoll = 1 }
            let reference = try await Reference.log(of: program)
            #expect(log == reference)
        }

        @Test func `no two cases have the same name, and most behaviours of the async layer have one`() {
            let all = DifferentialCase.all
            #expect(Set(all.map(\.name)).count == all.count)
            #expect(Set(all.flatMap(\.behaviours)).intersection(34...90).count >= 45)
        }
    }
}
