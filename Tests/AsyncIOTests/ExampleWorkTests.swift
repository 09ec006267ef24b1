// The crawler, the pipeline and the client that tries again, in virtual time and in memory: every line, in the second in
// which it belongs; and as programs, over real sockets.

import AsyncIO
import TestSupport
import Testing

@testable import examples

extension AsyncIOTests {
    @Suite struct ExampleWorkTests {
        @Test(.testsOrder, .enabled(if: keepsJobs, "a virtual clock runs ahead of children of groups"))
        func `the crawler visits each page once, three at a time, and gives up one that is stuck`() async throws {
            let lines = try await rehearse { loop, output in try await Crawler.program(on: loop, output) }
            #expect(
                lines == [
                    "1.0 seconds: / has 3 links",
                    "2.0 seconds: /news has 3 links",
                    "2.0 seconds: /people has 3 links",
                    "3.0 seconds: /stuck: The operation did not end within 2.0 seconds.",
                    "3.0 seconds: /news/2 has 0 links",
                    "3.0 seconds: /news/1 has 1 links",
                    "4.0 seconds: /people/ann has 0 links",
                    "4.0 seconds: /people/bob has 3 links",
                    "4.0 seconds: visited 8 pages",
                    "4.0 seconds: over",
                ]
            )
        }

        @Test(.testsOrder, .enabled(if: keepsJobs, "a virtual clock runs ahead of children of groups"))
        func `the pipeline's stages end one after the other, and no number is lost`() async throws {
            let lines = try await rehearse { loop, output in try await Pipeline.program(on: loop, output) }
            #expect(
                lines == [
                    "1.0 seconds: the square of 1 is 1",
                    "1.0 seconds: the square of 2 is 4",
                    "1.0 seconds: the square of 3 is 9",
                    "2.0 seconds: the square of 4 is 16",
                    "2.0 seconds: the square of 5 is 25",
                    "2.0 seconds: all are produced",
                    "2.0 seconds: the square of 6 is 36",
                    "3.0 seconds: worker 2 has done 3",
                    "3.0 seconds: the square of 7 is 49",
                    "3.0 seconds: the square of 8 is 64",
                    "3.0 seconds: worker 3 has done 3",
                    "3.0 seconds: the square of 9 is 81",
                    "4.0 seconds: worker 1 has done 4",
                    "4.0 seconds: the square of 10 is 100",
                    "4.0 seconds: their sum is 385",
                    "4.0 seconds: finished at 4 s",
                    "4.0 seconds: over",
                ]
            )
        }

        @Test(.enabled(if: keepsJobs, "a virtual clock runs ahead of children of groups"))
        func `the client tries again at its rate, and gives up after three attempts`() async throws {
            let lines = try await rehearse { loop, output in try await RetryingClient.program(on: loop, output) }
            #expect(
                lines == [
                    "0.0 seconds: patience, attempt 1: Busy()",
                    "0.25 seconds: patience, attempt 2: Busy()",
                    "1.0 seconds: patience, attempt 3: the answer to 'patience 3'",
                    "2.0 seconds: rudeness, attempt 1: read 127.0.0.1:49153: connection reset by peer (ECONNRESET)",
                    "3.0 seconds: rudeness, attempt 2: the answer to 'rudeness 2'",
                    "5.0 seconds: silence, attempt 1: The operation did not end within 1.0 seconds.",
                    "6.25 seconds: silence, attempt 2: The operation did not end within 1.0 seconds.",
                    "7.75 seconds: silence, attempt 3: The operation did not end within 1.0 seconds.",
                    "7.75 seconds: silence: Given up after 3 attempts: The operation did not end within 1.0 seconds.",
                    "7.75 seconds: over",
                ]
            )
        }

        @Test(.needs(product: "examples"))
        func `as programs they end by themselves and write nothing but their lines`() throws {
            let examples = try #require(ForeignProgram.product("examples"))
            // All at the same time, as each takes some seconds.
            let programs = try ["crawler", "pipeline", "retrying-client"].map { try ForeignProgram([examples, $0]) }
            let ends = programs.map { $0.finish() }
            #expect(ends.allSatisfy { $0.status == 0 && $0.errors.isEmpty }, "\(ends)")
            let last = ends.map { $0.output.split(separator: "\n").last.map(String.init) ?? "" }
            // How long a machine takes that has other things to do decides the rest.
            #expect(last[0].hasPrefix("visited ") && last[1].hasPrefix("finished at "), "\(last)")
            #expect(last[2].hasPrefix("silence: Given up after 3 attempts: "), "\(last)")
            #expect(ends[1].output.contains("their sum is 385"), "\(ends[1])")
        }
    }
}
