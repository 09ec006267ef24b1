// Every wait ends once, whatever ends it and in whatever order: completion, cancellation, closing what is waited for, and
// the end of the loop, at all distances from each other.
//
// The rule is one for all of them. The first event that takes effect ends the wait, with its own outcome; what comes later
// finds nobody who waits and changes nothing. Cancelling, closing and the loop's end take effect at once. So does what
// completes a wait on the same loop; what completes it from outside (bytes, a thread) does when the loop hears of it. Who
// waits for a queue, a lock or the like looks again when it goes on, and takes things as they are then.

import AsyncIO
import AsyncIOTesting
import Testing

extension AsyncIOTests {
    @Suite struct EndingOrderTests {
        @Test(.testsOrder, arguments: WaitKind.local + WaitKind.network, Pace.allCases)
        func `a wait ends once, by the first event that takes effect`(kind: WaitKind, pace: Pace) async throws {
            for driver in kind.drivers {
                for order in WaitEvent.orders(of: kind.events) {
                    let endings = try await endings(of: kind, by: order, pace, driver)
                    let allowed =
                        pace == .apart
                        ? [kind.ending(by: order[0])] : kind.endings(by: order, inOneStep: pace == .together)
                    let what = "\(kind.name) on \(driver), \(pace): \(order.map(\.rawValue))"
                    #expect(endings.count == 1, "\(what): \(endings)")
                    #expect(endings.allSatisfy(allowed.contains), "\(what): \(endings), and not one of \(allowed)")
                }
            }
        }

        @Test func `the orders are all there are`() {
            #expect(Set(WaitEvent.orders(of: WaitEvent.allCases)).count == 24)
            #expect(WaitEvent.orders(of: [.cancel, .shutdown]) == [[.cancel, .shutdown], [.shutdown, .cancel]])
        }
    }

    /// How far events are apart.
    enum Pace: CaseIterable {
        /// In one step of one task.
        case together
        /// Each in a callback that the one before has scheduled: in one turn, but not in one batch.
        case inCallbacks
        /// Turns apart, until nothing more happens.
        case apart
    }
}

/// Begins a wait on a loop of its own and lets the events come; returns how it ended, as often as it did.
private func endings(
    of kind: WaitKind,
    by order: [WaitEvent],
    _ pace: AsyncIOTests.Pace,
    _ driver: Driver
) async throws -> [String] {
    let endings = Recorder<String>()
    // On the real clock, as a virtual one may have passed the time limit of a close before anything else happens.
    try await onNetwork(driver, leaving: kind.tellsLate ? Recorder() : nil, configure: { $0.clock = nil }) { loop in
        let parts = try await kind.parts(loop, driver)
        let waiter = spawn(eager: true) { endings.append(await outcome { try await parts.wait(loop) }) }
        await turns(3, on: loop)
        #expect(endings.count == 0, "\(kind.name) does not even wait")
        let events = EventsOfAWait(parts: parts, waiter: waiter)
        let before = order.prefix { $0 != .shutdown }
        let after = order.dropFirst(before.count + 1)
        // What comes after the end of the loop is done by a task that the end cancels.
        spawn(eager: true) {
            await Latch(on: loop).waitUntilCancelled()
            for event in after {
                events.perform(event, on: loop)
                if pace != .together { await yield() }
            }
            if pace == .apart { await turns(3, on: loop) }
            parts.tidy(loop)
        }
        switch pace {
        case .together: for event in before { events.perform(event, on: loop) }
        case .inCallbacks: await events.performInCallbacks(Array(before), on: loop)
        case .apart:
            for event in before {
                events.perform(event, on: loop)
                await settle(until: { endings.count > 0 }, on: loop)
            }
        }
    }
    return endings.all
}

/// How a wait ends, in one word.
private func outcome(_ body: () async throws -> String) async -> String {
    do { return try await body() } catch { return brief(error) }
}

/// Lets the loop turn until something has happened, and then some more, so that it could happen again.
private func settle(until isOver: () -> Bool, on loop: isolated EventLoop) async {
    var patience = 100_000
    while !isOver() && patience > 0 {
        patience -= 1
        await turns(1, on: loop)
    }
    await turns(3, on: loop)
}

/// What happens to a wait.
private struct EventsOfAWait: Sendable {
    let parts: WaitParts
    let waiter: LoopTask<Void>

    func perform(_ event: WaitEvent, on loop: isolated EventLoop) {
        switch event {
        case .complete: parts.complete(loop)
        case .cancel: waiter.cancel()
        case .close: parts.close(loop)
        case .shutdown: Issue.record("the loop's end comes from returning")
        }
    }

    func performInCallbacks(_ events: [WaitEvent], on loop: isolated EventLoop) async {
        let over = Latch(on: loop)
        schedule(events[...], over, on: loop)
        await over.waitUncancellable()
    }

    private func schedule(_ events: ArraySlice<WaitEvent>, _ over: Latch, on loop: isolated EventLoop) {
        guard let event = events.first else { return over.open() }
        loop.schedule {
            perform(event, on: loop)
            schedule(events.dropFirst(), over, on: loop)
        }
    }
}
