// A pipeline: a producer, workers and a consumer, with bounded queues between them. Each stage ends when the one before
// it has finished its queue.

import ArgumentParser
import AsyncIO

struct Pipeline: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A producer, three workers and a consumer with bounded queues in between. Takes 4 seconds."
    )

    func run() throws {
        try AsyncIO.run { try await Self.program(on: EventLoop.current!, Terminal.writeLine) }
    }

    /// Squares the numbers from 1 to 10.
    static func program(on loop: isolated EventLoop, _ output: @escaping Output) async throws {
        let start = loop.now
        try await Stages(on: loop, output).run()
        output("finished at \(seconds(from: start, to: loop.now))")
    }
}

/// The stages, and the queues between them.
private actor Stages: LoopActor {
    let loop: EventLoop
    private let output: Output
    private let numbers = AsyncQueue<Int>(capacity: 2)
    private let squares = AsyncQueue<(Int, Int)>(capacity: 2)

    init(on loop: EventLoop, _ output: @escaping Output) { (self.loop, self.output) = (loop, output) }

    /// Runs all stages at once; if one threw, the others would be cancelled.
    func run() async throws {
        try await AsyncIO.gather({ try await self.produce() }, { try await self.work() }, { try await self.consume() })
    }

    private func produce() async throws {
        // Waits while the workers are two behind.
        for number in 1...10 { try await numbers.put(number) }
        numbers.finish()
        output("all are produced")
    }

    /// Three workers, who end when the numbers are finished and none is left; then the squares are.
    private func work() async throws {
        try await withErrorCollectingTaskGroup { workers in
            for worker in 1...3 { workers.addTask { try await self.square(worker) } }
        }
        squares.finish()
    }

    private func square(_ worker: Int) async throws {
        var count = 0
        for try await number in numbers {
            try await AsyncIO.sleep(for: .seconds(1))
            try await squares.put((number, number * number))
            count += 1
        }
        output("worker \(worker) has done \(count)")
    }

    private func consume() async throws {
        var sum = 0
        for try await (number, square) in squares {
            output("the square of \(number) is \(square)")
            sum += square
        }
        output("their sum is \(sum)")
    }
}
