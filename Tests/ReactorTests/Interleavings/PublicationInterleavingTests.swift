// What threads hand to each other apart from the inbox, in every order: an entry is run or cancelled, a future has one
// result that all see, nobody posts to a loop that is gone, and who waits for a thread is told. And the search finds
// what breaks that.

import Testing

extension ReactorTests {
    @Suite struct PublicationInterleavingTests {
        @Test func `an entry is run or cancelled, who waits for that finds it, and its place is used again`() throws {
            let report = try EntryModel().search()
            #expect(report.fault == nil)
            #expect(report.endings > 0)
        }

        @Test(arguments: EntryModel.Mistake.allCases)
        func `the search finds each mistake with an entry`(mistake: EntryModel.Mistake) throws {
            var model = try EntryModel()
            model.mistake = mistake
            #expect(try model.search().fault != nil)
        }

        private static let entryFunctions = ["step", "state", "wakeWaiters", "reset", "cancel"]

        @Test func `the orderings of an entry's state are needed, but where a lock or another step does it`() throws {
            let model = try EntryModel()
            var needed: [String] = []
            var notNeeded: [String] = []
            for (place, was, ordering) in try model.chunk.weakenings(of: Self.entryFunctions) {
                var weaker = model
                weaker.chunk.weakened = [place: ordering]
                let text = "\(place.function) \(was.name) \(ordering)"
                if try weaker.search().fault == nil { notNeeded.append(text) } else { needed.append(text) }
            }
            #expect(needed == ["step state.compareExchange acquiring"])
            // The first two: each stands in for the other, as who is late does both. The third is under the lock. The last
            // two say what the count of references says.
            let doubled = [
                "step state.compareExchange releasing", "state state.load relaxed", "wakeWaiters state.store relaxed",
                "reset state.load relaxed", "cancel state.store relaxed",
            ]
            #expect(notNeeded == doubled)
        }

        @Test func `a future has one result, and whoever sees that it is done sees it`() throws {
            let report = try EventualModel().search()
            #expect(report.fault == nil)
            #expect(report.endings > 0)
        }

        @Test func `every ordering of a future's state that is stronger than relaxed is needed`() throws {
            let model = try EventualModel()
            var tried = 0
            for (place, was, ordering) in try model.eventual.weakenings(of: ["begin", "end", "isDone"]) {
                var weaker = model
                weaker.eventual.weakened = [place: ordering]
                tried += 1
                #expect(try weaker.search().fault != nil, "\(place.function) \(was.name) \(ordering)")
            }
            #expect(tried == 3)
        }

        @Test func `nobody posts to the main actor's loop once it is closed, and it knows itself`() throws {
            let report = try MainLoopModel().search()
            #expect(report.fault == nil)
            #expect(report.endings > 0)
        }

        @Test(arguments: MainLoopModel.Mistake.allCases)
        func `the search finds each mistake with the main actor's loop`(mistake: MainLoopModel.Mistake) throws {
            var model = try MainLoopModel()
            model.mistake = mistake
            #expect(try model.search().fault != nil)
        }

        @Test(arguments: [true, false])
        func `a thread that waits for another is told, if that signals`(doesSignal: Bool) throws {
            let report = try RendezvousModel(doesSignal: doesSignal).search()
            #expect((report.fault == nil) == doesSignal)
            #expect(doesSignal || report.fault?.hasPrefix("waiter waits for ever") == true)
        }

        @Test(arguments: [true, false])
        func `a task that goes on with another body is not cancelled for the first, if it asks`(asks: Bool) throws {
            let report = try SharedTaskModel(asks: asks).search()
            #expect((report.fault == nil) == asks)
            #expect(!asks || report.endings > 0)
        }

        @Test(arguments: [true, false])
        func `the first value stays and is told once, if the second asks`(asksFirst: Bool) throws {
            #expect(try (KeptModel(asksFirst: asksFirst).searchOnce().fault == nil) == asksFirst)
            #expect(try (KeptModel(asksFirst: asksFirst).searchOneShot().fault == nil) == asksFirst)
        }
    }
}
