// The micro-benchmarks, who takes part in which, and the role that is one of them: a process of its own for each
// figure, so that no peer's threads or memory are there while another is measured.

internal import ArgumentParser
internal import CMeasure
internal import CPeers

enum MicroCase: String, CaseIterable, Codable, ExpressibleByArgument {
    case soon = "micro-soon"
    case flood = "micro-flood"
    case roundTrip = "micro-round-trip"
    case timer = "micro-timer"
    case timerAmongMany = "micro-timer-10000"
    case suspend = "task-suspend"
    case suspendCancellable = "task-suspend-cancellable"
    case spawn = "task-spawn"
    case taskYield = "task-yield"
    case ourYield = "task-our-yield"
    case asyncLet = "task-async-let"
    case groupChild = "task-group-child"
    case stream = "task-stream"
    case loopSpawn = "task-loop-spawn"
    case eagerSpawn = "task-eager-spawn"
    case gather = "task-gather"
    case lock = "task-lock"
    case queue = "task-queue"
    case queueRoundTrip = "task-queue-round-trip"
    case channel = "task-channel"
    case sleepCPU = "task-sleepers-cpu"
    case sleepLateness = "task-sleepers-lateness"

    var title: String {
        switch self {
        case .soon: "schedule soon, each from the one before"
        case .flood: "schedule from another thread, as fast as it can"
        case .roundTrip: "to a loop on another thread and back"
        case .timer: "timer: add and cancel, nothing pending"
        case .timerAmongMany: "timer: add and cancel, 10,000 pending"
        case .suspend: "suspend and resume"
        case .suspendCancellable: "suspend and resume, cancellable"
        case .spawn: "`await Task { }.value`"
        case .taskYield: "`Task.yield`"
        case .ourYield: "`AsyncIO.yield`, to the pool's `Task.yield`"
        case .asyncLet: "`async let` and its value"
        case .groupChild: "group child, 20 at a time"
        case .stream: "hand-over by `AsyncStream`"
        case .loopSpawn: "spawn and await"
        case .eagerSpawn: "spawn and await, eager"
        case .gather: "`gather` of 100, each"
        case .lock: "lock that 10 tasks want, each time"
        case .queue: "queue between two tasks, each item"
        case .queueRoundTrip: "queue there and back"
        case .channel: "`Channel` between two tasks, each item"
        case .sleepCPU: "10,000 sleepers: CPU for each"
        case .sleepLateness: "10,000 sleepers: lateness, 99th percentile"
        }
    }

    var peers: [MicroPeer] {
        switch self {
        case .soon: [.ours, .nio]
        case .flood: [.ours, .nio, .go]
        case .roundTrip, .timer, .timerAmongMany: [.ours, .nio, .libuv, .go]
        case .suspend, .suspendCancellable: [.ours, .floor]
        case .spawn, .taskYield, .asyncLet, .groupChild, .stream: [.ours, .oursPool, .pool]
        case .ourYield: [.ours, .oursPool, .pool, .uvloop, .go]
        case .loopSpawn, .gather, .queue, .queueRoundTrip: [.ours, .uvloop, .go]
        case .eagerSpawn, .channel: [.ours, .go]
        case .lock: [.ours, .uvloop]
        case .sleepCPU, .sleepLateness: [.ours, .pool, .go]
        }
    }

    /// Operations to be timed together: about a quarter of a second of the slowest.
    var count: Int {
        switch self {
        case .soon, .flood, .timer: 500_000
        case .roundTrip: 10_000
        case .timerAmongMany: 50_000
        case .suspend, .suspendCancellable: 1_000_000
        case .spawn, .taskYield, .ourYield, .asyncLet, .groupChild, .stream, .loopSpawn, .eagerSpawn, .gather, .lock:
            100_000
        case .queue, .queueRoundTrip, .channel: 100_000
        case .sleepCPU, .sleepLateness: 10_000
        }
    }

    /// Whether it is about Swift's tasks, as opposed to callbacks.
    var isAboutTasks: Bool { rawValue.hasPrefix("task-") }

    var pendingTimers: Int { self == .timerAmongMany ? 10_000 : 0 }
}

enum MicroPeer: String, CaseIterable, Codable, ExpressibleByArgument {
    case ours
    case nio
    case libuv
    case go
    case pool
    case oursPool = "ours-pool"
    case floor
    case uvloop

    var title: String {
        switch self {
        case .ours: "swift-asyncio"
        case .nio: "SwiftNIO"
        case .libuv: "libuv in C"
        case .go: "Go"
        case .pool: "Swift's default pool"
        case .oursPool: "swift-asyncio, without the hooks"
        case .uvloop: "uvloop"
        case .floor: "a continuation resumed before it suspends"
        }
    }
}

/// Milliseconds until timers expire that never do while they are looked at.
///
/// Half an hour to an hour and a half, in an order that every peer draws the same. They stand for idle timeouts; the
/// timer that is added among them is due before all, as the timeout of a request is.
struct PendingDelays: Sequence, IteratorProtocol {
    private var state: UInt32 = 1

    mutating func next() -> Int? {
        state = state &* 1_664_525 &+ 1_013_904_223
        return 1_800_000 + Int(state >> 10) % 3_600_000
    }
}

/// `bench micro-role`: takes one figure, and prints nanoseconds per operation.
struct MicroRole: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "micro-role",
        abstract: "Takes the figure of one micro-benchmark.",
        shouldDisplay: false
    )

    @Argument(help: "Which.")
    var micro: MicroCase

    @Argument(help: "Whose.")
    var peer: MicroPeer

    @Option(help: "Operations.")
    var count: Int

    @Flag(help: "End when the process that started this one ends.")
    var endWithParent = false

    func run() throws {
        if endWithParent { try check(measure_end_with_parent(), "prctl") }
        // Reads which cores there are before a thread is bound to one.
        try check(measure_core_count(), "sched_getaffinity")
        let nanoseconds =
            switch peer {
            case .ours where micro.isAboutTasks: try OurTaskMicro.run(micro, .ours, count: count)
            case .oursPool: try OurTaskMicro.run(micro, .oursPool, count: count)
            case .floor: try OurTaskMicro.run(micro, .floor, count: count)
            case .pool: try PoolTaskMicro.run(micro, count: count)
            case .ours: try OurMicro.run(micro, count: count)
            case .nio: try NIOMicro.run(micro, count: count)
            case .libuv: try libuv()
            case .go, .uvloop: throw BenchError("\(peer.title) is a program of its own")
            }
        Terminal.print("\(nanoseconds)")
    }

    private func libuv() throws -> Double {
        let nanoseconds: Double
        switch micro {
        case .soon, .flood: throw BenchError("libuv has nothing to schedule a closure with")
        case .roundTrip: nanoseconds = peer_libuv_round_trip(Int64(count))
        case .timer, .timerAmongMany:
            try check(measure_pin(MEASURE_FIRST_CORE), "sched_setaffinity")
            nanoseconds = peer_libuv_timers(Int64(micro.pendingTimers), Int64(count))
        default: throw BenchError("libuv has no tasks")
        }
        // It has said why on stderr.
        if nanoseconds < 0 { throw ExitCode.failure }
        return nanoseconds
    }
}
