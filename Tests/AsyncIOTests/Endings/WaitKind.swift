// What a wait is to the tests that end it: how it begins, what completes it, and what closes what it waits for. The kinds
// are in LocalWaits.swift and NetworkWaits.swift, what is done with them in EndingOrderTests.swift.

import AsyncIO
import Testing

/// What can end a wait.
enum WaitEvent: String, CaseIterable {
    case complete, cancel, close, shutdown

    /// All orders of some events.
    static func orders(of events: [WaitEvent]) -> [[WaitEvent]] {
        guard events.count > 1 else { return [events] }
        return events.indices.flatMap { index in
            var rest = events
            let first = rest.remove(at: index)
            return orders(of: rest).map { [first] + $0 }
        }
    }
}

/// One way to wait.
struct WaitKind: Sendable, CustomTestStringConvertible {
    let name: String
    var drivers: [Driver] = [.memory]
    /// How the wait ends when it is completed; nil if nothing completes it in a test.
    var completed: String? = "ok"
    /// Whether that takes effect within the call, and not when the network or a thread gets to it, or when the task goes on
    /// and looks.
    var completesAtOnce = true
    /// How it ends when what is waited for is closed; nil if there is nothing to close.
    var closed: String?
    /// Whether that takes effect within the call, in the same sense.
    var closesAtOnce = true
    /// Whether the task, once it is woken or cancelled, looks how things are when it goes on, so that what has happened in
    /// the same step decides as well.
    var looksAgain = false
    /// Whether work that goes on elsewhere may tell the loop of its end when that has begun to close.
    var tellsLate = false
    /// Prepares the wait, on its loop.
    let parts: @Sendable (isolated EventLoop, Driver) async throws -> WaitParts

    var testDescription: String { name }

    var events: [WaitEvent] {
        WaitEvent.allCases.filter { ($0 != .complete || completed != nil) && ($0 != .close || closed != nil) }
    }

    /// How the wait ends by an event that takes effect.
    func ending(by event: WaitEvent) -> String {
        switch event {
        case .complete: completed ?? ""
        case .close: closed ?? ""
        case .cancel, .shutdown: "CancellationError"
        }
    }

    /// How it may end if nothing but these events happens, and time for their effects only after all of them.
    ///
    /// The first that takes effect decides, and all that come later change nothing. Some may take until everything else
    /// has happened.
    func endings(by order: [WaitEvent], inOneStep: Bool) -> Set<String> {
        var endings: Set<String> = []
        for event in order {
            endings.insert(ending(by: event))
            // The loop's end comes after the step.
            let isLast = inOneStep && looksAgain ? event == .shutdown : takesEffectAtOnce(event)
            if isLast { break }
        }
        return endings
    }

    private func takesEffectAtOnce(_ event: WaitEvent) -> Bool {
        switch event {
        case .complete: completesAtOnce
        case .close: closesAtOnce
        case .cancel, .shutdown: true
        }
    }
}

/// A wait that is about to begin.
struct WaitParts: Sendable {
    typealias Action = @Sendable (isolated EventLoop) -> Void

    /// Waits, and returns "ok", or what else it got.
    let wait: @Sendable (isolated EventLoop) async throws -> String
    var complete: Action = { _ in }
    var close: Action = { _ in }
    /// Lets go of all that the wait needed.
    var tidy: Action = { _ in }
}
