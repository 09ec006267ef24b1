// The heap of deadlines, used as the loop uses it, against a sorted array.
//
// The heap is internal to its module, which only a debug build opens.

#if DEBUG
@testable import Reactor

enum DeadlineHeapCheck {
    static func run(_ input: inout FuzzInput) throws {
        let game = DeadlineGame()
        while let step = input.step(12) {
            switch step {
            case 0...3: game.insert(deadline(&input))
            case 4: game.insertMany(input.roll(64), from: deadline(&input), step: input.roll(5) - 2)
            case 5...6: game.cancel(at: input.roll(256))
            case 7: game.cancelMany(input.roll(64), from: input.roll(256))
            case 8: game.move(at: input.roll(256), to: deadline(&input))
            case 9: game.popDue(at: deadline(&input))
            case 10: game.popFirst()
            default: if input.roll(8) == 7 { game.removeAll() }
            }
            game.check()
            try game.ledger.settle()
        }
        while !game.model.isEmpty { game.popFirst() }
        game.check()
        game.ledger.expect(game.heap.count == game.heap.stale, "more is left than was cancelled")
        try game.ledger.settle()
    }

    /// Mostly one of few, so that many are equal; now and then an extreme one.
    private static func deadline(_ input: inout FuzzInput) -> Int64 {
        let byte = input.byte()
        switch byte {
        case 255: return .max
        case 254: return .max - 1
        case 253: return .min
        default: return Int64(byte) - 64
        }
    }
}

/// A heap with its table of callbacks, and all live entries in the order in which they must come out.
private final class DeadlineGame {
    let heap = DeadlineHeap()
    let ledger = Ledger()
    private let table = CallbackTable()
    private let site = CallSite(file: #fileID, line: #line)
    private(set) var model: [(deadline: Int64, id: CallbackID)] = []

    func insert(_ deadline: Int64) {
        guard model.count < 2_000 else { return }
        let id = table.insert({}, site: site, inHeap: true)
        heap.insert(deadline: deadline, id: id)
        var (low, high) = (0, model.count)
        while low < high {
            let middle = (low + high) / 2
            if model[middle].deadline <= deadline { low = middle + 1 } else { high = middle }
        }
        model.insert((deadline, id), at: low)
    }

    func insertMany(_ count: Int, from deadline: Int64, step: Int) {
        for number in 0..<count { insert(deadline &+ Int64(number * step)) }
    }

    func cancel(at place: Int) {
        guard !model.isEmpty else { return }
        let entry = model.remove(at: place % model.count)
        let taken = table.take(entry.id)
        ledger.expect(taken?.inHeap == true, "a live entry is not in the table")
        heap.didCancel(in: table)
        ledger.expect(heap.count <= 100 || heap.stale * 2 <= heap.count, "most of \(heap.count) are cancelled")
        ledger.expect(heap.top?.id == model.first?.id, "after a cancellation the top is not the next")
        ledger.expect(table.take(entry.id) == nil, "an entry was taken twice")
    }

    func cancelMany(_ count: Int, from place: Int) {
        for number in 0..<count { cancel(at: place + number) }
    }

    func move(at place: Int, to deadline: Int64) {
        guard !model.isEmpty else { return }
        cancel(at: place)
        insert(deadline)
    }

    /// Takes out what is due, as the loop does, which runs it later.
    func popDue(at now: Int64) {
        while let top = heap.top, top.deadline <= now {
            ledger.expect(heap.removeTop().id == top.id, "another entry came out than was on top")
            if table.leaveHeap(top.id) { expectFirst(top) } else { heap.didDropStale() }
        }
        ledger.expect(model.allSatisfy { $0.deadline > now }, "something that is due did not come out")
    }

    /// Takes out the first that was not cancelled.
    func popFirst() {
        while let top = heap.top {
            guard table.contains(top.id) else {
                heap.removeStaleTop()
                continue
            }
            heap.removeTop()
            return expectFirst(top)
        }
        ledger.expect(model.isEmpty, "\(model.count) entries are lost")
        model = []
    }

    private func expectFirst(_ entry: DeadlineHeap.Entry) {
        guard !model.isEmpty else { return ledger.expect(false, "an entry came out that nobody put in") }
        let first = model.removeFirst()
        ledger.expect(entry.id == first.id && entry.deadline == first.deadline, "another entry is due first")
        ledger.expect(table.take(entry.id) != nil, "what is due is not in the table")
    }

    func removeAll() {
        heap.removeAll()
        _ = table.removeAll()
        model = []
        ledger.expect(heap.top == nil, "an empty heap has a top")
    }

    func check() {
        ledger.expect(heap.count - heap.stale == model.count, "\(heap.count - heap.stale) of \(model.count) are live")
        ledger.expect(table.count == model.count, "the table has \(table.count) of \(model.count)")
    }
}
#else
enum DeadlineHeapCheck {
    static func run(_ input: inout FuzzInput) throws { throw FuzzFailure("needs a debug build") }
}
#endif
