// Posting, sleeping, waking and closing in every order in which threads and memory can bring them: nothing is lost or
// doubled, a loop never sleeps on an entry, and nobody touches what was closed. And the search finds what breaks that.

import Testing

extension ReactorTests {
    @Suite struct InboxInterleavingTests {
        @Test(arguments: [(1, 3), (2, 1), (3, 1)])
        func `a loop never sleeps while something is in its inbox, and runs each entry once`(
            posters: Int,
            posts: Int
        ) throws {
            let report = try InboxModel().search(posters: posters, posts: posts, closes: false)
            #expect(report.fault == nil)
            #expect(report.endings > 0)
        }

        @Test(arguments: [(1, 2), (2, 1)])
        func `whatever races with closing is run, handed back or refused, once, and no wake-up comes too late`(
            posters: Int,
            posts: Int
        ) throws {
            let report = try InboxModel().search(posters: posters, posts: posts, closes: true)
            #expect(report.fault == nil)
            #expect(report.endings > 0)
        }

        @Test(arguments: InboxModel.Mistake.allCases)
        func `the search finds each mistake`(mistake: InboxModel.Mistake) throws {
            var model = try InboxModel()
            model.mistake = mistake
            let asleep = try model.search(posters: 2, closes: false).fault
            let closing = asleep == nil ? try model.search(posters: 2, closes: true).fault : nil
            #expect(asleep != nil || closing != nil)
        }

        @Test func `every ordering that is stronger than relaxed is needed, but for those that save a lock`() throws {
            let turn = ["willPoll", "didPoll", "drainInboxIfNeeded"]
            let inbox = ["unlockAndWake", "drain", "close"]
            var notNeeded: [String] = []
            var tried = 0
            for (place, was, ordering) in try InboxModel().inbox.weakenings(of: inbox) {
                var model = try InboxModel()
                model.inbox.weakened = [place: ordering]
                tried += 1
                if try !model.fails { notNeeded.append("\(place.function) \(was.name) \(ordering)") }
            }
            for (place, was, ordering) in try InboxModel().turn.weakenings(of: turn) {
                var model = try InboxModel()
                model.turn.weakened = [place: ordering]
                tried += 1
                if try !model.fails { notNeeded.append("\(place.function) \(was.name) \(ordering)") }
            }
            // What it guards is read under the mutex.
            #expect(notNeeded == ["drainInboxIfNeeded hasEntries.load relaxed"])
            #expect(tried == 7)
        }
    }
}

extension InboxModel {
    /// Whether the search finds something wrong.
    fileprivate var fails: Bool {
        get throws {
            if try search(posters: 2, closes: false).fault != nil { return true }
            return try search(posters: 1, closes: true).fault != nil
        }
    }
}
