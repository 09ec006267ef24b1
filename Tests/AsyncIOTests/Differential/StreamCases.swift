// Streams in both languages: what is read of which pieces, what the limit allows, and what each error leaves behind; and
// scripts that nobody has thought of.

import AsyncIO
import AsyncIOTesting
import TestSupport

extension DifferentialCase {
    private static func stream(
        _ name: String,
        _ behaviour: Int,
        limit: Int = 65_536,
        _ pieces: [StreamScript.Piece],
        _ steps: [StreamScript.Step]
    ) -> DifferentialCase {
        let script = StreamScript(limit: limit, pieces: pieces, steps: steps)
        return DifferentialCase(name, behaviour, python: script.python) { try await script.run(on: $0, $1) }
    }

    static let streams: [DifferentialCase] = [
        stream(
            "what is there is read, in parts if they are wanted, to the end",
            115,
            [.bytes("hello"), .bytes("world")],
            [.read(0), .read(3), .read(100), .read(100), .read(0), .read(1), .read(1), .line, .end]
        ),
        stream(
            "everything is read to the end, also beyond the limit",
            115,
            limit: 3,
            [.bytes("line1\nl"), .bytes("ine2\n"), .bytes("line3")],
            [.read(2), .end, .end, .exactly(0), .exactly(1)]
        ),
        stream(
            "exactly so many bytes, from one piece or several, and beyond the limit",
            115,
            limit: 3,
            [.bytes("chunk"), .bytes("chunk"), .bytes("chunk"), .bytes("data")],
            [.exactly(4), .exactly(8), .exactly(0), .exactly(3), .exactly(5), .read(10)]
        ),
        stream(
            "exactly so many bytes of which some are missing are all gone, and in the error",
            115,
            [.bytes("some"), .bytes(" data")],
            [.exactly(100), .exactly(1), .read(1)]
        ),
        stream(
            "lines come with their ends, the last without one",
            116,
            [.bytes("one\ntw"), .bytes("o"), .bytes("\n\nthree\r\n"), .bytes("fo"), .bytes("ur")],
            [.line, .line, .line, .line, .line, .line]
        ),
        stream(
            "a line of as many bytes as the limit is one, and one of more is dropped",
            116,
            limit: 7,
            [.bytes("1234567\n12345678\nafter\n")],
            [.line, .line, .line, .line]
        ),
        stream(
            "a line that is too long and whose end comes later is dropped as far as it has come",
            116,
            limit: 3,
            [.bytes("li"), .bytes("ne1\nline2\n"), .bytes("rest\nok\n")],
            [.line, .line, .line, .line, .line, .line]
        ),
        stream(
            "without an end everything that has come is dropped, and the rest counts as a line",
            116,
            limit: 3,
            [.bytes("line1li"), .bytes("ne2"), .bytes("\nok\n")],
            [.line, .line, .line, .line]
        ),
        stream(
            "a line of the limit waits for its end",
            116,
            limit: 4,
            [.bytes("four"), .bytes("\n"), .bytes("five5"), .bytes("\n")],
            [.line, .line, .line, .line]
        ),
        stream(
            "a separator that comes in two pieces, or in as many as it has bytes",
            117,
            [.bytes("AA"), .bytes("Axx"), .bytes("A"), .bytes("A"), .bytes("A"), .bytes("AAyAA"), .bytes("A")],
            [.until(["AAA"]), .until(["AAA"]), .until(["AAA"]), .until(["AAA"])]
        ),
        stream(
            "a separator of which the beginning comes again and again",
            117,
            [.bytes("QWERTYaa"), .bytes("aaX"), .bytes("aaaaX")],
            [.until(["aaaX"]), .until(["aaaX"]), .until(["aaaX"])]
        ),
        stream(
            "what is too long stays, whether or not its separator was found",
            117,
            limit: 3,
            [.bytes("some dataAA"), .bytes("A"), .bytes("bA")],
            [.until(["AAA"]), .until(["A"]), .read(4), .until(["AAA"]), .read(5), .until(["AAA"]), .until(["A"])]
        ),
        stream(
            "what comes before the end of the stream without a separator is gone, and in the error",
            117,
            [.bytes("some data"), .bytes("A")],
            [.until(["AA"]), .until(["AA"]), .read(3)]
        ),
        stream(
            "of several separators the one counts that ends first",
            117,
            [.bytes("one\r\ntwo\nthree"), .bytes("\r"), .bytes("\nfour;five\r")],
            [
                .until(["\n", "\r\n", ";"]), .until(["\r\n", "\n"]), .until(["\r\n", "\n", ";"]),
                .until(["five\r", ";"]),
                .until([";", "\r"]), .until(["\n", "\r\n"]),
            ]
        ),
        stream(
            "a long separator is only looked for where a short one cannot be",
            117,
            [.bytes("xab"), .bytes("cd"), .bytes("efg"), .bytes("abc")],
            [.until(["abcdef", "cdefg"]), .until(["gabcd", "ab"]), .until(["c", "abc"])]
        ),
        stream(
            "of separators that end at the same place the shortest counts for the limit",
            117,
            limit: 2,
            [.bytes("a"), .bytes("bcd"), .bytes("e")],
            [.until(["abcd", "d"]), .until(["abcd"]), .until(["abcde", "zzzzzzz"])]
        ),
        stream(
            "who is cancelled has lost nothing, and the next reader begins where it began",
            118,
            [.bytes("on"), .bytes("e"), .bytes("\ntwo\n"), .bytes("thr"), .bytes("ee")],
            [
                .cancelled([.line], after: 1), .cancelled([.exactly(5)], after: 1), .line,
                .cancelled([.until(["x"])], after: 1),
                .read(4), .cancelled([.read(1)], after: 0), .cancelled([.exactly(6)], after: 2), .line,
            ]
        ),
        stream(
            "a reset ends whoever waits",
            118,
            [.bytes("abc"), .reset],
            [.read(1), .cancelled([.exactly(3)], after: 0), .exactly(3)]
        ),
    ]

    static let streamDifferences: [DifferentialCase] = [
        DifferentialCase(
            "what came before a reset",
            118,
            differs: KnownDifference(
                reason: "what was received can be read; only what would need more throws",
                asyncio: ["0 abc", "0 ConnectionResetError", "0 ConnectionResetError", "0 ConnectionResetError"],
                ours: ["0 abc", "0 ConnectionResetError", "0 de", "0 ConnectionResetError"]
            ),
            python: """
                async def main():
                    reader = asyncio.StreamReader()
                    reader.feed_data(b"abcde")
                    log((await reader.read(3)).decode())
                    reader.set_exception(ConnectionResetError())
                    async def read(work):
                        try:
                            return (await work).decode()
                        except ConnectionResetError as error:
                            return told(error)
                    log(await read(reader.readexactly(3)))
                    log(await read(reader.read(10)))
                    log(await read(reader.read(10)))
                """
        ) { loop, log in
            let reader = StreamReader(Pieces(["abcde"], thenThrow: SystemError(.connectionReset, call: "read")))
            func tell(_ bytes: Bytes?) { log(bytes?.text ?? "nil") }
            tell(try await reader.read(upTo: 3))
            for count in [3, 0, 0] {
                do { tell(try await count > 0 ? reader.read(exactly: count) : reader.read()) } catch is SystemError {
                    log("ConnectionResetError")
                }
            }
        },
        DifferentialCase(
            "reading to the end, cancelled",
            118,
            differs: KnownDifference(
                reason: "a read that is cancelled loses nothing",
                asyncio: ["0 CancelledError", "0 later"],
                ours: ["0 CancelledError", "0 earlier later"]
            ),
            python: """
                async def main():
                    reader = asyncio.StreamReader()
                    task = asyncio.create_task(reader.read())
                    reader.feed_data(b"earlier ")
                    await settle()
                    task.cancel()
                    await settle()
                    log(told(task))
                    reader.feed_data(b"later")
                    reader.feed_eof()
                    log((await reader.read()).decode())
                """
        ) { loop, log in
            let (sender, receiver) = MemoryByteStream.pair()
            let reader = Transfer(StreamReader(receiver))
            let task = spawn { try await reader.value.readToEnd().text }
            try await sender.write("earlier ")
            await letAllRun()
            task.cancel()
            await letAllRun()
            log(told(task))
            try await sender.write("later")
            try await sender.writeEOF()
            log(try await reader.value.readToEnd().text)
        },
    ]

    /// Scripts of chance: small limits, small pieces, and few letters, so that separators begin everywhere.
    static let randomStreams: [DifferentialCase] = (UInt64(1)...300).map { seed in
        var chance = Chance(seed: seed)
        let script = randomScript(&chance)
        return DifferentialCase("stream \(seed)", python: script.python) { try await script.run(on: $0, $1) }
    }

    private static func randomScript(_ chance: inout Chance) -> StreamScript {
        let letters = [["a", "b"], ["a", "b", "\n"], ["x", "y", "\n", "\r\n"]][chance.roll(3)]
        var pieces: [StreamScript.Piece] = []
        for _ in 0..<chance.roll(14) {
            let length = 1 + chance.roll(chance.roll(2) == 0 ? 3 : 12)
            pieces.append(.bytes((0..<length).map { _ in letters[chance.roll(letters.count)] }.joined()))
        }
        if chance.roll(4) == 0 { pieces.append(.reset) }
        let limit = [1, 2, 3, 5, 8, 16, 64][chance.roll(7)]
        let steps = (0..<4 + chance.roll(8)).map { _ in randomStep(&chance, mayBeCancelled: true) }
        return StreamScript(limit: limit, pieces: pieces, steps: steps)
    }

    private static func randomStep(_ chance: inout Chance, mayBeCancelled: Bool) -> StreamScript.Step {
        let separators = [
            ["\n"], ["a"], ["ab"], ["aab"], ["\r\n"], ["abab"], ["\n", "\r\n"], ["b", "ab"], ["ab", "ba", "aab"],
            ["aaaa", "b"], ["\nx", "y\r", "\r\n\r\n"], ["aba", "bb"],
        ]
        switch chance.roll(mayBeCancelled ? 12 : 10) {
        case 0, 1: return .read(chance.roll(12))
        case 2, 3: return .exactly(chance.roll(16))
        case 4, 5, 6: return .line
        case 7, 8: return .until(separators[chance.roll(separators.count)])
        case 9: return mayBeCancelled ? .end : .line
        default: return .cancelled([randomStep(&chance, mayBeCancelled: false)], after: chance.roll(4))
        }
    }
}
