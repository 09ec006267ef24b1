// What futures and tasks keep, and for how long: values of every kind come out as they went in, and what nobody can ask
// for any more is let go, whoever has waited.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(1)))) struct KeepingTests {
        // MARK: Values

        @Test func `values of every kind come out as they went in, of futures and of tasks`() async throws {
            try await onLoop { _ in
                try await passes(true)
                try await passes(UInt8.max)
                try await passes(Int.min)
                try await passes(Optional<Int>.none)
                try await passes(Optional<Int>.some(-1))
                try await passes(Optional<Optional<Void>>.some(.none)) { $0 != nil && $0! == nil }
                try await passes(()) { _ in true }
                try await passes((Int8(-1), Int64.min)) { $0 == (-1, .min) }
                try await passes((Int64.min, Int64.max, true)) { $0 == (.min, .max, true) }
                try await passes(Kind.empty)
                try await passes(Kind.number(.max))
                try await passes(Kind.pair(1, 2))
                try await passes(Name.known("a name that is too long to lie in the string itself"))
                try await passes(Name.unknown)
                try await passes(UInt128.max - 1)
                try await passes(SIMD2<Double>(1, 2))
                try await passes(SIMD4<Float>(1, 2, 3, 4))
                try await passes(SIMD8<Int32>(repeating: -7))
                try await passes("short")
                try await passes("a string that is too long to lie in the string itself")
                try await passes([1, 2, 3])
                try await passes(Duration.seconds(5))
                try await passes(Refusal(name: "a structure of one word that is counted"))
                try await passes(Refusal(name: "any") as any Error) { ($0 as? Refusal)?.name == "any" }
                try await passes(Int.self as any Sendable.Type) { $0 == Int.self }
                let witness = Witness("")
                try await passes(witness) { $0 === witness }
                try await passes(Optional(witness)) { $0 === witness }
                try await passes({ @Sendable in witness.name }) { $0() == "" }
            }
        }

        @Test func `a task that never returns a value throws what it throws`() async throws {
            try await onLoop { _ in
                let task: LoopTask<Never> = spawn { throw Refusal(name: "never") }
                #expect(await error(of: task) as? Refusal == Refusal(name: "never"))
                let promise = Promise<Never>()
                #expect(promise.future.result == nil)
                promise.fail(Refusal(name: "never"))
                #expect(await error(of: promise.future) is Refusal)
            }
        }

        // MARK: Letting go

        enum Waiting: CaseIterable { case here, elsewhere, cancelled, several, inAnActor, none }

        @Test(arguments: Waiting.allCases)
        func `of a task that has ended nothing is left, whoever has waited`(_ waiting: Waiting) async throws {
            let log = Recorder<String>()
            try await onLoop { _ in
                do {
                    let task = spawn {
                        await someTurns()
                        return Witness("value", log)
                    }
                    switch waiting {
                    case .here: _ = try await task.value
                    case .elsewhere: _ = try await onPool { _ = try await task.value }
                    case .cancelled:
                        let waiter = spawn { try await task.value }
                        await AsyncIO.yield()
                        waiter.cancel()
                        #expect(await isCancelled { try await waiter.value })
                        #expect(!task.isDone)
                    case .several:
                        let waiters = [spawn { _ = try await task.value }, spawn { _ = try await task.value }]
                        _ = try await task.value
                        for waiter in waiters { try await waiter.value }
                    case .inAnActor: _ = try await Stranger().value(of: task)
                    case .none: break
                    }
                    while !task.isDone { await AsyncIO.yield() }
                }
                // What has ended is let go by the step that ends, perhaps on another thread.
                for _ in 0..<1_000 where log.all.isEmpty {
                    await AsyncIO.yield()
                    if log.all.isEmpty { _ = try await AsyncIO.offload {} }
                }
                #expect(log.all == ["value"])
            }
        }

        @Test func `of a future whose loop has closed nothing is left, nor of its callbacks`() async throws {
            let log = Recorder<String>()
            do {
                let promise = try await onLoop { _ in
                    let promise = Promise<Int>()
                    let witness = Witness("callback", log)
                    promise.future.onComplete { _, _ in log.append("called \(witness.name)") }
                    return promise
                }
                promise.succeed(1)
                let value = try await promise.future.value
                #expect(value == 1)
            }
            #expect(log.all == ["callback"])
        }

        @Test(arguments: [false, true])
        func `of a loop that closes before its tasks nothing is left when they have ended`(isDebug: Bool) async throws {
            let log = Recorder<String>()
            let ended = Gate()
            onForeignThread {
                do {
                    let ofLoop = Witness("loop", log)
                    var configuration = EventLoop.Configuration.virtual()
                    configuration.isDebug = isDebug
                    configuration.onIssue = { _ in withExtendedLifetime(ofLoop) {} }
                    let loop = try EventLoop(configuration)
                    try loop.runForever { loop in
                        let witness = Witness("body", log)
                        spawn {
                            try? await AsyncIO.sleep(for: .seconds(3_600))
                            log.append("ends \(witness.name)")
                        }
                        spawn {}
                        loop.schedule(after: .seconds(1)) { loop.stop() }
                    }
                    loop.close()
                } catch {
                    Issue.record(error)
                }
                ended.open()
            }
            let hasEnded = try await onLoop(.real) { _ in try await AsyncIO.offload { ended.pass(within: 10) } }
            #expect(hasEnded)
            for _ in 0..<100_000 where log.count < 3 { await Task.yield() }
            #expect(log.all.first == "ends body")
            #expect(log.all.sorted() == ["body", "ends body", "loop"])
        }

        // MARK: Ends that use what they belonged to

        @Test func `a callback that is let go may register callbacks as it goes`() async throws {
            let calls = Recorder<Int>()
            try await onLoop { _ in
                let promise = Promise<Int>()
                for number in 0..<64 {
                    let parting = Parting {
                        for next in 0..<20 { promise.future.onComplete { _, _ in calls.append(number * 100 + next) } }
                    }
                    promise.future.onComplete { _, _ in withExtendedLifetime(parting) {} }.cancel()
                }
                promise.succeed(1)
                await someTurns()
                promise.future.onComplete { _, _ in calls.append(-1) }
                await someTurns()
            }
            #expect(Set(calls.all).count == calls.count)
            #expect(calls.count > 20)
        }

        @Test func `a result that is let go in debug mode may start tasks`() async throws {
            var configuration = EventLoop.Configuration.virtual()
            configuration.isDebug = true
            configuration.slowCallbackThreshold = .seconds(100)
            let log = Recorder<String>()
            try await onLoop(configuration) { _ in
                for _ in 0..<3 {
                    spawn { Parting { spawn(eager: true) { log.append("started") } } }
                }
                await someTurns(20)
            }
            #expect(log.all == ["started", "started", "started"])
        }
    }
}

/// Has a value pass through a future and through tasks.
private func passes<Value: Sendable>(_ value: Value, _ isSame: @Sendable (Value) -> Bool) async throws {
    let promise = Promise<Value>()
    let waiter = spawn { try await promise.future.value }
    await AsyncIO.yield()
    promise.succeed(value)
    let abroad = try await onPool { try await promise.future.value }
    let values = [
        try await waiter.value, try await promise.future.value, try #require(try promise.future.result?.get()), abroad,
        try await spawn { value }.value, try await spawn(eager: true) { value }.value,
    ]
    let areSame = values.allSatisfy(isSame)
    #expect(areSame, "\(Value.self)")
}

private func passes<Value: Sendable & Equatable>(_ value: Value) async throws {
    try await passes(value) { $0 == value }
}

private enum Kind: Hashable {
    case empty
    case number(Int)
    case pair(Int32, Int32)
}

private enum Name: Hashable {
    case unknown
    case known(String)
}

// Generic, as the compiler knows of a call that never returns.

private func error<Value: Sendable>(of task: LoopTask<Value>) async -> (any Error)? {
    await failure { try await task.value }
}

private func error<Value: Sendable>(of future: Future<Value>) async -> (any Error)? {
    await failure { try await future.value }
}

/// Says when it goes.
private final class Witness: Sendable {
    let name: String
    private let log: Recorder<String>?
    init(_ name: String, _ log: Recorder<String>? = nil) { (self.name, self.log) = (name, log) }
    deinit { log?.append(name) }
}

/// Does something when it goes.
private final class Parting: Sendable {
    private let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    deinit { body() }
}
