// The Python side of the differential tests: all programs in one process, as starting Python takes longer than running
// them, each on a loop of its own whose time jumps.

import Foundation
import TestSupport
import Testing

/// What Python's asyncio tells.
enum Reference {
    /// Whether Python is here, and new enough for task groups and barriers.
    static let isAvailable: Bool = {
        guard ForeignProgram.find("python3") != nil else { return false }
        let script = "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)"
        return (try? ForeignProgram.python(script).finish().status) == 0
    }()

    /// The log of a case.
    static func log(of program: DifferentialCase) async throws -> [String] {
        try #require(try await logs.value[program.name])
    }

    /// The logs of all cases, by name; on a thread of its own, as it waits for the process.
    private static let logs = Task<[String: [String]], any Error> {
        try await withCheckedThrowingContinuation { continuation in
            onForeignThread { continuation.resume(with: Result { try runAll() }) }
        }
    }

    private static func runAll() throws -> [String: [String]] {
        let limit = "import signal; signal.alarm(120)\n"
        let cases = DifferentialCase.all + DifferentialCase.random + DifferentialCase.randomStreams
        let programs = cases.flatMap { [$0.name, $0.python] }
        let end = try ForeignProgram(["python3", "-c", limit + stage] + programs).finish()
        try #require(end.status == 0, "Python failed: \(end.errors)")
        return try JSONDecoder().decode([String: [String]].self, from: Data(end.output.utf8))
    }

    /// Runs the programs that are its arguments, a name and a text each, and prints their logs as JSON.
    ///
    /// The words are those of `told` in Swift.
    private static let stage = """
        import asyncio, contextvars, gc, heapq, json, selectors, sys
        from asyncio.staggered import staggered_race

        class Jumping(selectors.DefaultSelector):
            def select(self, timeout=None):
                events = super().select(0)
                if events or timeout is not None and timeout <= 0:
                    return events
                if timeout is None:
                    raise RuntimeError("nothing will ever happen")
                self.loop.now += timeout
                return []

        class VirtualLoop(asyncio.SelectorEventLoop):
            def __init__(self):
                self.now = 0.0
                selector = Jumping()
                selector.loop = self
                super().__init__(selector)

            def time(self):
                return self.now

        class Refusal(Exception):
            pass

        def log(text):
            lines.append(f"{round(loop.time() * 1000)} {text}")

        def advance(seconds):
            loop.now += seconds

        def told(value):
            if isinstance(value, Refusal):
                return str(value)
            if isinstance(value, BaseExceptionGroup):
                return "group of " + ", ".join(told(error) for error in value.exceptions)
            if isinstance(value, BaseException):
                return type(value).__name__
            if isinstance(value, asyncio.Future):
                if not value.done():
                    return "waits"
                if value.cancelled():
                    return "CancelledError"
                return told(value.exception() or value.result())
            if value is None:
                return "ok"
            if isinstance(value, bool):
                return "true" if value else "false"
            return str(value)

        async def attempt(awaitable):
            try:
                return told(await awaitable)
            except BaseException as error:
                return told(error)

        async def settle():
            for _ in range(10):
                await asyncio.sleep(0)

        async def late(seconds, value=None):
            await asyncio.sleep(seconds)
            if isinstance(value, BaseException):
                raise value
            return value

        \(DifferentialCase.interpreter)

        \(StreamScript.interpreter)

        helpers = dict(globals())

        async def tell(main):
            try:
                await main()
            except BaseException as error:
                log("ended by " + told(error))
            gc.collect()

        logs = {}
        for name, text in zip(sys.argv[1::2], sys.argv[2::2]):
            lines, issues = [], []
            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                loop = runner.get_loop()
                names = dict(helpers, loop=loop)
                exec(compile(text, name, "exec"), names)
                loop.set_exception_handler(lambda _, context: issues.append(context["exception"]))
                runner.run(tell(names["main"]))
            gc.collect()
            logs[name] = lines + ["reported: " + told(error) for error in issues]
        print(json.dumps(logs))
        """
}
