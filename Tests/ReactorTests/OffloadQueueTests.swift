// The two lines of a pool, against a model that is plain arrays.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct OffloadQueueTests {
        @Test(arguments: [(1, 0), (1, 1), (2, 3), (4, .max)])
        func `work goes in and out as in two arrays, whoever takes it back`(threads: Int, limit: Int) {
            var random = Shuffler(seed: UInt64(threads))
            var queue = OffloadQueue(threadLimit: threads, queueLimit: limit)
            var (queued, waiting, running, completed) = ([OffloadWork](), [OffloadWork](), 0, UInt64(0))
            let most = limit == .max ? Int.max : threads + limit
            func admit() {
                while queue.admitNext() { queued.append(waiting.removeFirst()) }
            }
            for _ in 0..<20_000 {
                switch UInt8.random(in: 0..<8, using: &random) {
                case 0..<3:
                    let work = OffloadWork { _ in }
                    #expect(queue.hasRoom == (waiting.isEmpty && running + queued.count < most))
                    if queue.hasRoom {
                        queue.enqueue(work)
                        queued.append(work)
                    } else {
                        queue.wait(work)
                        waiting.append(work)
                    }
                case 3..<5 where running < threads:
                    let work = queue.next()
                    #expect(work === queued.first)
                    if let work {
                        queued.removeFirst()
                        running += 1
                        let wasTaken = queue.takeBack(work)
                        #expect(!wasTaken, "it has begun")
                    }
                case 5 where running > 0:
                    queue.didRun()
                    running -= 1
                    completed += 1
                    admit()
                case 6:
                    guard let work = (queued + waiting).randomElement(using: &random) else { continue }
                    let taken = [queue.takeBack(work), queue.takeBack(work)]
                    #expect(taken == [true, false])
                    queued.removeAll { $0 === work }
                    waiting.removeAll { $0 === work }
                    admit()
                default: continue
                }
                let figures = queue.statistics
                #expect(figures.queued == queued.count && figures.waiting == waiting.count)
                #expect(figures.running == running && figures.completed == completed)
                if queued.count + waiting.count > 200 {
                    let dropped = queue.dropAll(andQueued: true)
                    #expect(dropped.map(ObjectIdentifier.init) == (queued + waiting).map(ObjectIdentifier.init))
                    let wasTaken = dropped.contains { queue.takeBack($0) }
                    #expect(!wasTaken)
                    (queued, waiting) = ([], [])
                }
            }
            #expect(completed > 0)
            queue.isShutDown = true
            _ = queue.dropAll(andQueued: true)
            #expect(queue.isDrained == (running == 0))
        }
    }
}
