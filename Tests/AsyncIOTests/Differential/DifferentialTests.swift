// Python's asyncio as the judge: small programs in both languages must tell the same, line by line, but for the
// differences that are meant, and those must be there.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(
        .enabled(if: Reference.isAvailable, "python3 is not installed, or is older than 3.11"),
        .timeLimit(.minutes(2))
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

        @Test func `no two cases have the same name, and most behaviours of the async layer have one`() {
            let all = DifferentialCase.all
            #expect(Set(all.map(\.name)).count == all.count)
            #expect(Set(all.flatMap(\.behaviours)).intersection(34...90).count >= 45)
        }
    }
}
