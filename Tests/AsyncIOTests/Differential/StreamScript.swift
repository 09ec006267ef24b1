// A stream as a script: pieces that come one by one, whenever a reader waits for more, and what is asked of the reader.
// An interpreter in each language says after each step what came of it, and what the reader still has.

import AsyncIO
import AsyncIOTesting

/// What comes to a reader, and what it is asked for.
struct StreamScript: Sendable {
    /// What comes next; after the last comes the end.
    enum Piece: Sendable {
        case bytes(String)
        case reset

        var python: String {
            switch self {
            case .bytes(let text): "'\(escaped(text))'"
            case .reset: "None"
            }
        }
    }

    enum Step: Sendable {
        case read(Int)
        case exactly(Int)
        case line
        case until([String])
        case end
        /// One step that is cancelled when so many pieces have come and it still waits.
        // In an array, with the number last: the array's address then holds no bits of the case, and the leak sanitizer
        // knows it for one.
        case cancelled([Step], after: Int)

        var python: String {
            switch self {
            case .read(let count): "('read', \(count))"
            case .exactly(let count): "('exactly', \(count))"
            case .line: "('line', 0)"
            case .until(let separators):
                "('until', [" + separators.map { "b'\(escaped($0))'" }.joined(separator: ", ") + "])"
            case .end: "('end', 0)"
            case .cancelled(let step, let pieces): "('cancelled', (\(step[0].python), \(pieces)))"
            }
        }
    }

    var limit = 65_536
    var pieces: [Piece]
    var steps: [Step]

    /// The script for the interpreter in Python.
    var python: String {
        let pieces = pieces.map(\.python).joined(separator: ", ")
        let steps = steps.map(\.python).joined(separator: ", ")
        return "async def main():\n    await read_script(\(limit), [\(pieces)], [\(steps)])"
    }

    /// Performs it, and tells of each step; a reset ends it.
    func run(on loop: isolated EventLoop, _ log: CaseLog) async throws {
        let source = ScriptedSource(pieces)
        let reader = StreamReader(source, limit: limit)
        for (number, step) in steps.enumerated() {
            var told = await Self.attempt(step, Transfer(reader), Transfer(source), on: loop)
            let isReset = told == "reset"
            if case .end = step, isReset {} else { told += ", \(escaped(reader.buffered.text)), \(reader.isAtEnd)" }
            log("\(number): \(told)")
            if isReset { return }
        }
    }

    private static func attempt(
        _ step: Step,
        _ reader: Transfer<StreamReader>,
        _ source: Transfer<ScriptedSource>,
        on loop: isolated EventLoop
    ) async -> String {
        guard case .cancelled(let steps, let pieces) = step else { return await perform(step, reader.value) }
        let step = steps[0]
        source.value.budget = pieces
        defer { source.value.budget = .max }
        let task = spawn { await perform(step, reader.value) }
        await letAllRun()
        task.cancel()
        await letAllRun()
        return (try? await task.value) ?? "failed"
    }

    private static func perform(_ step: Step, _ reader: StreamReader) async -> String {
        do {
            let bytes: Bytes? =
                switch step {
                case .read(let count): try await reader.read(upTo: count)
                case .exactly(let count): try await reader.read(exactly: count)
                case .line: try await reader.readLine()
                case .until(let separators):
                    try await reader.readUntil(anyOf: separators.map { Bytes($0.utf8) })
                case .end: try await reader.readToEnd(limit: .max)
                case .cancelled: nil
                }
            return escaped(bytes?.text ?? "")
        } catch {
            return words(for: error)
        }
    }

    private static func words(for error: any Error) -> String {
        switch error {
        case StreamError.limitExceeded(let consumed): "limit after \(consumed)"
        case StreamError.lineTooLong: "too long"
        case StreamError.incompleteRead(let partial, let expected):
            "incomplete \(escaped(partial.text)) of \(expected.map { "\($0)" } ?? "None")"
        case is SystemError: "reset"
        default: told(error)
        }
    }

    /// The interpreter in Python; a tuple of separators is done as 3.13 does it where Python is older.
    static let interpreter = """
        def escaped(data):
            return data.decode().replace("\\r", "\\\\r").replace("\\n", "\\\\n")

        async def until(reader, separators):
            if sys.version_info >= (3, 13) or len(separators) == 1:
                return await reader.readuntil(tuple(separators) if len(separators) > 1 else separators[0])
            if reader._exception:
                raise reader._exception
            separators, offset = sorted(separators, key=len), 0
            while True:
                count = len(reader._buffer)
                if count - offset >= len(separators[0]):
                    places = [(reader._buffer.find(sep, offset), len(sep)) for sep in separators]
                    ends = [(place + length, length) for place, length in places if place >= 0]
                    if ends:
                        end, length = min(ends)
                        break
                    offset = max(0, count + 1 - len(separators[-1]))
                    if offset > reader._limit:
                        raise asyncio.LimitOverrunError("", offset)
                if reader._eof:
                    rest = bytes(reader._buffer)
                    reader._buffer.clear()
                    raise asyncio.IncompleteReadError(rest, None)
                await reader._wait_for_data("readuntil")
            if end - length > reader._limit:
                raise asyncio.LimitOverrunError("", end - length)
            found = bytes(reader._buffer[:end])
            del reader._buffer[:end]
            return found

        async def read_script(limit, pieces, steps):
            reader = asyncio.StreamReader(limit, loop)

            async def perform(step, argument):
                try:
                    if step == "read":
                        return escaped(await reader.read(argument))
                    if step == "exactly":
                        return escaped(await reader.readexactly(argument))
                    if step == "line":
                        return escaped(await reader.readline())
                    if step == "until":
                        return escaped(await until(reader, argument))
                    return escaped(await reader.read())
                except asyncio.IncompleteReadError as error:
                    return f"incomplete {escaped(error.partial)} of {error.expected}"
                except asyncio.LimitOverrunError as error:
                    return f"limit after {error.consumed}"
                except ValueError:
                    return "too long"
                except ConnectionResetError:
                    return "reset"

            for number, (step, argument) in enumerate(steps):
                budget = 1000000
                if step == "cancelled":
                    (step, argument), budget = argument
                task = asyncio.create_task(perform(step, argument))
                await settle()
                while not task.done() and budget > 0:
                    budget -= 1
                    if not pieces:
                        reader.feed_eof()
                    elif pieces[0] is None:
                        reader.set_exception(ConnectionResetError())
                    else:
                        reader.feed_data(pieces.pop(0).encode())
                    await settle()
                task.cancel()
                await settle()
                words = "CancelledError" if task.cancelled() else task.result()
                if not (step == "end" and words == "reset"):
                    words += f", {escaped(reader._buffer)}, {told(reader.at_eof())}"
                log(f"{number}: {words}")
                if words.startswith("reset"):
                    return
        """
}

/// Delivers the pieces of a script, one whenever it is asked, as long as it may.
private final class ScriptedSource: ByteSource {
    private var pieces: [StreamScript.Piece]
    private let forever = AsyncEvent()
    /// How many may still be delivered.
    var budget = Int.max

    init(_ pieces: [StreamScript.Piece]) { self.pieces = pieces }

    func read() async throws -> Bytes? {
        guard budget > 0 else {
            try await forever.wait()
            return nil
        }
        budget -= 1
        guard let piece = pieces.first else { return nil }
        guard case .bytes(let text) = piece else { throw SystemError(.connectionReset, call: "read") }
        pieces.removeFirst()
        return Bytes(text.utf8)
    }
}

extension Bytes {
    /// The bytes as text.
    var text: String { String(decoding: self, as: UTF8.self) }
}

/// A text with the ends of its lines spelt out.
private func escaped(_ text: String) -> String {
    // By scalars, as CR and LF together are one character.
    text.unicodeScalars.map { $0 == "\r" ? "\\r" : $0 == "\n" ? "\\n" : String($0) }.joined()
}
