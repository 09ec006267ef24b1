// What a reader puts together: every byte once and in order, as few as can be copied, and separators wherever they lie.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct StreamBufferTests {
        private func buffer(_ pieces: Bytes...) -> StreamBuffer {
            let buffer = StreamBuffer()
            for (number, piece) in pieces.enumerated() {
                if number > 0 { buffer.settle() }
                buffer.receive(piece)
            }
            return buffer
        }

        @Test func `what lies in one piece is a slice of it`() {
            let buffer = buffer("one two")
            let (one, rest) = (buffer.take(4), buffer.takeAll())
            #expect(one == "one " && rest == "two")
            #expect(one.retainedCapacity == 7 && rest.retainedCapacity == 7)
            #expect(buffer.count == 0 && buffer.capacity == 0, "nothing was copied")
        }

        @Test func `what lies in two is joined, and only as much as is taken`() {
            let buffer = buffer("one ", "two three")
            #expect(buffer.count == 13 && buffer.frontCount == 4)
            #expect(buffer.take(7) == "one two")
            #expect(buffer.frontCount == 0)
            #expect(buffer.takeAll() == " three")
        }

        @Test func `memory that nobody holds is used again, and what somebody holds is not touched`() {
            let buffer = StreamBuffer()
            var held: [Bytes] = []
            for round in 0..<200 {
                for part in 0..<3 {
                    buffer.receive(Bytes("\(round) \(part);".utf8))
                    buffer.settle()
                }
                let taken = buffer.takeAll()
                if round % 3 == 0 { held.append(taken) }
            }
            for (index, bytes) in held.enumerated() {
                let round = index * 3
                #expect(bytes == Bytes("\(round) 0;\(round) 1;\(round) 2;".utf8))
            }
            held = []
            buffer.receive("last")
            buffer.settle()
            #expect(buffer.capacity == 512)
        }

        @Test func `what was handed out and came back unread is gone on with where it is`() {
            let buffer = buffer("be", "gin")
            buffer.settle()
            let all = buffer.takeAll()
            buffer.receive(all)
            #expect(buffer.frontCount == 5, "it is still at the end of the buffer's own memory")
            buffer.receive("ning")
            #expect(buffer.take(9) == "beginning")
            #expect(all == "begin")
        }

        @Test func `much that was announced is not believed before it has come`() {
            let buffer = buffer("x")
            buffer.settle(expecting: 1 << 40)
            #expect(buffer.capacity == StreamBuffer.keptCapacity)
            buffer.receive(Bytes(repeatElement(1, count: 100_000)))
            buffer.settle()
            #expect(buffer.count == 100_001 && buffer.capacity >= 100_001)
            buffer.removeAll()
            buffer.letGo()
            #expect(buffer.capacity == 0, "so much is not kept")
        }

        @Test func `separators are found wherever the pieces are cut, and nobody looks twice, behaviour 117`() {
            let text = "aab|ab|aaab|x||aab|"
            let separators = Separators(["aab|", "||"])
            for cut in 1..<text.utf8.count {
                let bytes = Bytes(text.utf8)
                let buffer = StreamBuffer()
                buffer.receive(bytes[..<cut])
                var ends: [Int] = []
                var taken = 0
                var searched = 0
                while true {
                    if let found = buffer.find(separators, from: searched) {
                        taken += buffer.take(found.upperBound).count
                        ends.append(taken)
                        searched = 0
                    } else if taken + buffer.count < bytes.count {
                        searched = max(0, buffer.count + 1 - separators.longest)
                        buffer.settle()
                        buffer.receive(bytes[(taken + buffer.count)...])
                    } else {
                        break
                    }
                }
                #expect(ends == [4, 12, 15, 19], "cut at \(cut)")
            }
        }

        @Test func `random records are found as a plain search finds them, under 300 seeds`() {
            for seed in 1...300 {
                var chance = Chance(seed: seed)
                let all = (0..<1 + chance.roll(3)).map { _ in
                    (0..<1 + chance.roll(4)).map { _ in UInt8(97 + chance.roll(2)) }
                }
                let text = (0..<1 + chance.roll(40)).map { _ in UInt8(97 + chance.roll(3)) }
                let separators = Separators(all.map { Bytes($0) })
                var cuts = (0..<chance.roll(5)).map { _ in chance.roll(text.count + 1) }.sorted()
                cuts.append(text.count)
                let buffer = StreamBuffer()
                var (from, searched) = (0, 0)
                var found: Range<Int>?
                for cut in cuts where cut > from {
                    buffer.settle()
                    buffer.receive(Bytes(text[from..<cut]))
                    from = cut
                    found = buffer.find(separators, from: searched)
                    if found != nil { break }
                    searched = max(0, buffer.count + 1 - separators.longest)
                }
                #expect(found == plainly(all, in: Array(text[..<from])), "seed \(seed)")
            }
        }

        /// The first separator to end, the shortest of those that end there.
        private func plainly(_ separators: [[UInt8]], in text: [UInt8]) -> Range<Int>? {
            for end in 0...text.count {
                let matches = separators.filter { end >= $0.count && Array(text[(end - $0.count)..<end]) == $0 }
                if let length = matches.map(\.count).min() { return end - length..<end }
            }
            return nil
        }
    }
}
