// Arithmetic on the loop's time: exact where it fits, saturated where it does not, and never a nanosecond early.

import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct LoopInstantTests {
        @Test(
            arguments: [
                (Duration.zero, Int64(0)),
                (.nanoseconds(1), 1),
                (.seconds(3), 3_000_000_000),
                (.milliseconds(-5), -5_000_000),
                (Duration(secondsComponent: 0, attosecondsComponent: 1), 1),
                (Duration(secondsComponent: 0, attosecondsComponent: 999_999_999), 1),
                (Duration(secondsComponent: 0, attosecondsComponent: 1_000_000_001), 2),
                (Duration(secondsComponent: 0, attosecondsComponent: -999_999_999), 0),
                (Duration(secondsComponent: 0, attosecondsComponent: -1_000_000_001), -1),
                (.nanoseconds(Int64.max), .max),
                (.nanoseconds(Int64.min), .min),
                (.seconds(Int64.max), .max),
                (.seconds(Int64.min), .min),
                (.seconds(9_223_372_037), .max),
                (.seconds(-9_223_372_037), .min),
            ] as [(Duration, Int64)]
        )
        func `a duration is rounded up to nanoseconds and saturated`(duration: Duration, nanoseconds: Int64) {
            #expect(duration.saturatedNanoseconds == nanoseconds)
        }

        @Test func `advancing saturates at both ends`() {
            let late = LoopInstant(nanoseconds: .max - 5)
            let early = LoopInstant(nanoseconds: .min + 5)
            #expect(late.advanced(by: .nanoseconds(5)) == .distantFuture)
            #expect(late.advanced(by: .nanoseconds(6)) == .distantFuture)
            #expect(late.advanced(by: .seconds(Int64.max)) == .distantFuture)
            #expect(late.advanced(by: .nanoseconds(-6)).nanoseconds == .max - 11)
            #expect(early.advanced(by: .nanoseconds(-6)).nanoseconds == .min)
            #expect(early.advanced(by: .seconds(Int64.min)).nanoseconds == .min)
        }

        @Test func `the duration between instants is the way from one to the other`() {
            let (one, other) = (LoopInstant(nanoseconds: 10), LoopInstant(nanoseconds: 25))
            #expect(one.duration(to: other) == .nanoseconds(15))
            #expect(other.duration(to: one) == .nanoseconds(-15))
            #expect(LoopInstant(nanoseconds: .min).duration(to: .distantFuture) == .nanoseconds(Int64.max))
            #expect(LoopInstant.distantFuture.duration(to: LoopInstant(nanoseconds: .min)) == .nanoseconds(Int64.min))
        }

        @Test func `instants are ordered, equal and hashed by their nanoseconds`() {
            let (one, other) = (LoopInstant(nanoseconds: 1), LoopInstant(nanoseconds: 2))
            #expect(one < other)
            #expect(!(other < one))
            #expect(one != other)
            #expect(Set([one, other, LoopInstant(nanoseconds: 1)]).count == 2)
        }

        @Test func `an instant describes itself in seconds`() {
            #expect(LoopInstant(nanoseconds: 1_500_000_000).description == "1.5 seconds")
        }

        @Test(arguments: [1, 2, 3] as [UInt64])
        func `advancing by the duration between two instants arrives, where nothing saturates`(seed: UInt64) {
            var random = Chance(seed: seed)
            for _ in 0..<1_000 {
                let limit = Int64.max / 4
                let from = LoopInstant(nanoseconds: Int64.random(in: -limit...limit, using: &random))
                let to = LoopInstant(nanoseconds: Int64.random(in: -limit...limit, using: &random))
                #expect(from.advanced(by: from.duration(to: to)) == to)
            }
        }
    }
}
