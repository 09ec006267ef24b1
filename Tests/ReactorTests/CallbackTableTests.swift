// The table of closures: a name is good for one closure and never for the next one in its place.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct CallbackTableTests {
        private let site = CallSite(file: #fileID, line: 7)

        @Test func `a closure is taken once, with where it came from`() throws {
            let table = CallbackTable()
            let id = table.insert({}, site: site, inHeap: true)
            #expect(table.contains(id))
            let taken = try #require(table.take(id))
            #expect(taken.inHeap)
            #expect(taken.site.description == "ReactorTests/CallbackTableTests.swift:7")
            #expect(table.take(id) == nil)
            #expect(!table.contains(id))
            #expect(table.count == 0)
        }

        @Test func `a place is used again under a new name`() {
            let table = CallbackTable()
            let old = table.insert({}, site: site, inHeap: false)
            _ = table.take(old)
            let new = table.insert({}, site: site, inHeap: false)
            #expect(new.index == old.index)
            #expect(new != old)
            #expect(!table.contains(old))
            #expect(table.take(old) == nil)
            #expect(table.contains(new))
        }

        @Test func `what leaves the heap is no longer in it, and what was cancelled says so`() throws {
            let table = CallbackTable()
            let (due, cancelled) = (
                table.insert({}, site: site, inHeap: true), table.insert({}, site: site, inHeap: true)
            )
            _ = table.take(cancelled)
            #expect(table.leaveHeap(due))
            #expect(!table.leaveHeap(cancelled))
            #expect(try #require(table.take(due)).inHeap == false)
        }

        @Test func `a closure is released with the table, or when it is taken and dropped`() {
            let released = Recorder<String>()
            var table: CallbackTable? = CallbackTable()
            let id = holding("taken", released) { probe in table?.insert({ probe.touch() }, site: site, inHeap: false) }
            _ = holding("left", released) { probe in table?.insert({ probe.touch() }, site: site, inHeap: false) }
            if let id { _ = table?.take(id) }
            #expect(released.all == ["taken"])
            table = nil
            #expect(released.all == ["taken", "left"])
        }

        @Test func `removing all hands out what is there and leaves an empty, usable table`() {
            let table = CallbackTable()
            let ids = (0..<100).map { _ in table.insert({}, site: site, inHeap: false) }
            for id in ids.prefix(40) { _ = table.take(id) }
            #expect(table.removeAll().count == 60)
            #expect(table.count == 0)
            for id in ids { #expect(!table.contains(id)) }
            let id = table.insert({}, site: site, inHeap: false)
            #expect(table.contains(id))
        }

        @Test(arguments: [1, 2, 3] as [UInt64])
        func `it agrees with a dictionary`(seed: UInt64) throws {
            var random = Chance(seed: seed)
            let table = CallbackTable()
            let ran = Recorder<Int>()
            var live: [(id: CallbackID, number: Int)] = []
            var dead: [CallbackID] = []
            for number in 0..<3_000 {
                if Int.random(in: 0..<5, using: &random) < 3 {
                    live.append((table.insert({ ran.append(number) }, site: site, inHeap: false), number))
                } else if let index = live.indices.randomElement(using: &random) {
                    let (id, expected) = live.remove(at: index)
                    try table.take(id)?.body()
                    #expect(ran.all.last == expected)
                    dead.append(id)
                }
                #expect(table.count == live.count)
                if let id = dead.randomElement(using: &random) { #expect(!table.contains(id)) }
                if let id = live.randomElement(using: &random)?.id { #expect(table.contains(id)) }
            }
        }
    }
}
