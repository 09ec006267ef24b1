// The heap of deadlines against a sorted array that does the same slowly.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct DeadlineHeapTests {
        private let site = CallSite(file: #fileID, line: #line)

        @Test func `equal deadlines come out in the order of insertion`() {
            let (heap, table) = (DeadlineHeap(), CallbackTable())
            let ids = (0..<300).map { _ in table.insert({}, site: site, inHeap: true) }
            for id in ids { heap.insert(deadline: 7, id: id) }
            #expect(ids.map { _ in heap.removeTop().id } == ids)
            #expect(heap.count == 0)
            #expect(heap.top == nil)
        }

        @Test func `the extremes of time are deadlines like any other`() {
            let (heap, table) = (DeadlineHeap(), CallbackTable())
            for deadline in [0, .max, .min, 1, -1] as [Int64] {
                heap.insert(deadline: deadline, id: table.insert({}, site: site, inHeap: true))
            }
            #expect((0..<5).map { _ in heap.removeTop().deadline } == [.min, -1, 0, 1, .max])
        }

        @Test func `a hundred entries are never compacted, one more is when most are cancelled, behaviour 12`() {
            for (total, expected) in [(100, 100), (101, 50)] {
                let (heap, table) = (DeadlineHeap(), CallbackTable())
                let ids = (0..<total).map { number in
                    let id = table.insert({}, site: site, inHeap: true)
                    heap.insert(deadline: Int64(number), id: id)
                    return id
                }
                for id in ids.suffix(51) { heap.cancel(id, in: table) }
                #expect(heap.count == expected)
                #expect(heap.stale == (expected == total ? 51 : 0))
            }
        }

        @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
        func `it agrees with a sorted array`(seed: UInt64) {
            var random = Chance(seed: seed)
            let (heap, table) = (DeadlineHeap(), CallbackTable())
            var model: [(deadline: Int64, order: Int, id: CallbackID)] = []
            for order in 0..<3_000 {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<5:
                    let deadline = Int64.random(in: 0..<50, using: &random)
                    let id = table.insert({}, site: site, inHeap: true)
                    heap.insert(deadline: deadline, id: id)
                    let place = model.firstIndex { $0.deadline > deadline } ?? model.endIndex
                    model.insert((deadline, order, id), at: place)
                case 5..<8:
                    guard let index = model.indices.randomElement(using: &random) else { continue }
                    heap.cancel(model.remove(at: index).id, in: table)
                    #expect(heap.count <= 100 || heap.stale * 2 <= heap.count)
                default:
                    let top = heap.popLive(from: table)
                    let expected = model.isEmpty ? nil : model.removeFirst()
                    #expect(top?.id == expected?.id)
                    #expect(top?.deadline == expected?.deadline)
                }
                #expect(heap.count - heap.stale == model.count)
            }
            while !model.isEmpty { #expect(heap.popLive(from: table)?.id == model.removeFirst().id) }
            #expect(heap.popLive(from: table) == nil)
            #expect(table.count == 0)
        }

        @Test func `emptying it forgets everything`() {
            let (heap, table) = (DeadlineHeap(), CallbackTable())
            for number in 0..<10 {
                heap.insert(deadline: Int64(number), id: table.insert({}, site: site, inHeap: true))
            }
            heap.removeAll()
            #expect(heap.count == 0)
            #expect(heap.top == nil)
            #expect(heap.stale == 0)
        }
    }
}

extension DeadlineHeap {
    /// Cancels as the loop does it.
    fileprivate func cancel(_ id: CallbackID, in table: CallbackTable) {
        if let taken = table.take(id), taken.inHeap { didCancel(in: table) }
    }

    /// Takes the earliest that was not cancelled, as the loop does it.
    fileprivate func popLive(from table: CallbackTable) -> Entry? {
        while let top {
            guard table.contains(top.id) else {
                removeStaleTop()
                continue
            }
            removeTop()
            _ = table.take(top.id)
            return top
        }
        return nil
    }
}
