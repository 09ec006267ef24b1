// Programs that nobody has thought of: a few tasks with random steps over the same lock, semaphore, queue, event and
// barrier, with limits of time and cancellation, read out by an interpreter in each language.
//
// Mostly no two sleeps have the same length, and a step that concerns others is followed by one: what happens at the very
// same instant is where the two languages differ on purpose. Where they do not, tasks come close: they mostly yield.

import AsyncIO
import AsyncIOTesting
import TestSupport

/// What a task does next.
private enum Step: Sendable {
    case sleep(milliseconds: Int)
    case locked([Step])
    case permitted([Step])
    // The number last: the array's address then holds no bits of the case, and the leak sanitizer knows it for one.
    case limited([Step], milliseconds: Int)
    case put(Int)
    case get
    case set
    case clear
    case wait
    case meet
    case cancel(task: Int)

    /// The same for the interpreter in Python.
    var python: String {
        switch self {
        case .sleep(let milliseconds): "('sleep', \(milliseconds))"
        case .locked(let steps): "('locked', \(Self.python(steps)))"
        case .permitted(let steps): "('permitted', \(Self.python(steps)))"
        case .limited(let steps, let milliseconds): "('limited', \(milliseconds), \(Self.python(steps)))"
        case .put(let item): "('put', \(item))"
        case .get: "('get',)"
        case .set: "('set',)"
        case .clear: "('clear',)"
        case .wait: "('wait',)"
        case .meet: "('meet',)"
        case .cancel(let task): "('cancel', \(task))"
        }
    }

    static func python(_ steps: [Step]) -> String { "[" + steps.map(\.python).joined(separator: ", ") + "]" }
}

/// What programs have in them.
private enum Genre {
    /// Everything but limits of time.
    case plain
    /// Everything.
    case limits
    /// Only what goes on in the same order in both languages, also within one instant.
    case close
}

/// Makes programs.
private struct Author {
    private var chance: Chance
    private let genre: Genre
    private var lengths: Set<Int> = []
    private var items = 0

    init(seed: UInt64, _ genre: Genre) {
        chance = Chance(seed: seed)
        self.genre = genre
    }

    mutating func program() -> [[Step]] {
        (0..<3 + chance.roll(4)).map { _ in steps(4 + chance.roll(6), depth: 0) }
    }

    private mutating func steps(_ count: Int, depth: Int) -> [Step] {
        var steps = [sleep(up: 1_000)]
        for _ in 0..<count { steps += [step(depth), sleep(up: 2_000)] }
        return steps
    }

    private mutating func step(_ depth: Int) -> Step {
        if genre == .close { return closeStep(depth) }
        switch chance.roll(depth < 3 ? 14 : 9) {
        case 0, 1:
            items += 1
            return .put(items)
        case 2, 3: return .get
        case 4: return .set
        case 5: return .clear
        case 6: return .wait
        case 7: return .meet
        case 8: return .cancel(task: chance.roll(6))
        case 9, 10: return .locked(steps(1 + chance.roll(3), depth: depth + 1))
        case 11, 12: return .permitted(steps(1 + chance.roll(3), depth: depth + 1))
        default:
            guard genre == .limits else { return sleep(up: 5_000) }
            let milliseconds = length(up: 5_000)
            return .limited(steps(1 + chance.roll(3), depth: depth + 1), milliseconds: milliseconds)
        }
    }

    private mutating func closeStep(_ depth: Int) -> Step {
        switch chance.roll(depth < 3 ? 10 : 6) {
        case 0, 1, 2: .set
        case 3: .clear
        case 4: .wait
        case 5: .meet
        default: .locked(steps(1 + chance.roll(3), depth: depth + 1))
        }
    }

    private mutating func sleep(up limit: Int) -> Step {
        let yields = genre == .close && chance.roll(10) < 8
        return .sleep(milliseconds: yields ? 0 : length(up: limit))
    }

    private mutating func length(up limit: Int) -> Int {
        while true {
            let length = 1 + chance.roll(limit)
            if lengths.insert(length).inserted { return length }
        }
    }
}

/// What the tasks of a program share.
private final class World {
    let lock = AsyncLock()
    let semaphore = AsyncSemaphore(permits: 2)
    let queue = AsyncQueue<Int>(capacity: 2)
    let event = AsyncEvent()
    let barrier = AsyncBarrier(parties: 2)
    var tasks: [LoopTask<Void>] = []
}

/// The interpreter in Swift.
private func perform(
    _ steps: [Step],
    _ name: Int,
    _ world: Transfer<World>,
    _ log: CaseLog,
    on loop: isolated EventLoop
) async throws {
    for step in steps {
        switch step {
        case .sleep(let milliseconds): try await AsyncIO.sleep(for: .milliseconds(milliseconds))
        case .locked(let steps):
            try await world.value.lock.withLock {
                log("\(name) has the lock")
                try await perform(steps, name, world, log, on: loop)
            }
        case .permitted(let steps):
            try await world.value.semaphore.withPermit {
                log("\(name) has a permit")
                try await perform(steps, name, world, log, on: loop)
            }
        case .limited(let steps, let milliseconds):
            do {
                try await withTimeout(.milliseconds(milliseconds)) {
                    try await perform(steps, name, world, log, on: loop)
                }
            } catch let error as TimeoutError {
                // Who was let go by its end may go on before.
                try await AsyncIO.sleep(for: .milliseconds(1))
                log("\(name) \(told(error))")
            }
        case .put(let item):
            try await world.value.queue.put(item)
            log("\(name) put \(item)")
        case .get: log("\(name) got \(try await world.value.queue.get())")
        case .set:
            world.value.event.set()
            log("\(name) sets")
        case .clear:
            world.value.event.clear()
            log("\(name) clears")
        case .wait:
            try await world.value.event.wait()
            log("\(name) waited")
        case .meet:
            let number = try await world.value.barrier.wait()
            log("\(name) met, \(number)")
        case .cancel(let task):
            log("\(name) cancels \(task)")
            if task < world.value.tasks.count { world.value.tasks[task].cancel() }
        }
    }
}

extension DifferentialCase {
    /// The interpreter in Python.
    static let interpreter = """
        async def interpret(program):
            lock, semaphore, queue = asyncio.Lock(), asyncio.Semaphore(2), asyncio.Queue(2)
            event, barrier = asyncio.Event(), asyncio.Barrier(2)
            tasks = []

            async def perform(steps, name):
                for step, *rest in steps:
                    if step == "sleep":
                        await asyncio.sleep(rest[0] / 1000)
                    elif step == "locked":
                        async with lock:
                            log(f"{name} has the lock")
                            await perform(rest[0], name)
                    elif step == "permitted":
                        async with semaphore:
                            log(f"{name} has a permit")
                            await perform(rest[0], name)
                    elif step == "limited":
                        try:
                            async with asyncio.timeout(rest[0] / 1000):
                                await perform(rest[1], name)
                        except TimeoutError as error:
                            await asyncio.sleep(0.001)
                            log(f"{name} {told(error)}")
                    elif step == "put":
                        await queue.put(rest[0])
                        log(f"{name} put {rest[0]}")
                    elif step == "get":
                        log(f"{name} got {await queue.get()}")
                    elif step == "set":
                        event.set()
                        log(f"{name} sets")
                    elif step == "clear":
                        event.clear()
                        log(f"{name} clears")
                    elif step == "wait":
                        await event.wait()
                        log(f"{name} waited")
                    elif step == "meet":
                        log(f"{name} met, {await barrier.wait()}")
                    elif step == "cancel":
                        log(f"{name} cancels {rest[0]}")
                        if rest[0] < len(tasks):
                            tasks[rest[0]].cancel()

            tasks += [asyncio.create_task(perform(steps, name)) for name, steps in enumerate(program)]
            await asyncio.wait(tasks, timeout=1000)
            log(" ".join(told(task) for task in tasks))
            for task in tasks:
                task.cancel()
            await settle()
            ends = " ".join(told(task) for task in tasks)
            log(f"{ends}, {told(lock.locked())} {queue.qsize()} {barrier.n_waiting}")
        """

    static let random: [DifferentialCase] = (UInt64(1)...150).map { seed in
        let genre = [Genre.plain, .limits, .close][Int(seed % 3)]
        var author = Author(seed: seed, genre)
        let program = author.program()
        return DifferentialCase(
            "seed \(seed)",
            throughPool: genre == .limits,
            python: "async def main():\n    await interpret([" + program.map(Step.python).joined(separator: ", ") + "])"
        ) { loop, log in
            let world = Transfer(World())
            let tasks = spawnEach(program.count, on: loop) { name in
                try await perform(program[name], name, world, log, on: loop)
            }
            world.value.tasks = tasks
            _ = try await wait(for: tasks, timeout: .seconds(1_000))
            log(tasks.map { told($0) }.joined(separator: " "))
            for task in tasks { task.cancel() }
            await letAllRun()
            let (lock, queue, barrier) = (world.value.lock, world.value.queue, world.value.barrier)
            let ends = tasks.map { told($0) }.joined(separator: " ")
            log("\(ends), \(lock.isLocked) \(queue.count) \(barrier.waitingCount)")
            // They name the world.
            world.value.tasks = []
        }
    }
}
