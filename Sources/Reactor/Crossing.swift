// The step from nonisolated code that is known to be on the loop's thread into functions that are isolated to the loop.
//
// A function with an isolated parameter is called like one with an ordinary parameter: the isolation is the compiler's
// knowledge and not the calling convention's. The casts are of structures that hold the functions, and not of the
// functions themselves: a function that is cast alone is wrapped twice, in two allocations.

enum Crossing {
    /// What was submitted, as a function that the loop calls.
    @inline(__always)
    static func submitted(
        _ body: consuming @escaping @Sendable (isolated EventLoop) throws -> Void
    ) -> (EventLoop) throws -> Void {
        // SAFETY: one field, of types that differ in isolation alone; only the loop's own thread calls it.
        unsafe unsafeBitCast(IsolatedBody(call: body), to: PlainBody.self).call
    }

    /// Calls `body`, which does not outlive the call.
    ///
    /// The caller is on the loop's thread.
    static func call(_ body: (isolated EventLoop) throws -> Void, _ loop: EventLoop) throws {
        try withoutActuallyEscaping(body) { body in
            // SAFETY: as above.
            try unsafe unsafeBitCast(IsolatedCall(call: body), to: PlainBody.self).call(loop)
        }
    }

    /// Calls `body`, which does not outlive the call, with an argument of its own.
    static func call<Argument>(
        _ body: (isolated EventLoop, Argument) throws -> Void,
        _ loop: EventLoop,
        _ argument: Argument
    ) throws {
        try withoutActuallyEscaping(body) { body in
            // SAFETY: as above; both types are generic over the same argument.
            try unsafe unsafeBitCast(IsolatedPair(call: body), to: PlainPair<Argument>.self).call(loop, argument)
        }
    }

    private struct IsolatedBody {
        let call: @Sendable (isolated EventLoop) throws -> Void
    }

    private struct IsolatedCall {
        let call: (isolated EventLoop) throws -> Void
    }

    private struct PlainBody {
        let call: (EventLoop) throws -> Void
    }

    private struct IsolatedPair<Argument> {
        let call: (isolated EventLoop, Argument) throws -> Void
    }

    private struct PlainPair<Argument> {
        let call: (EventLoop, Argument) throws -> Void
    }
}
