// What goes wrong where no caller is left to tell: it goes, once, to the loop's issue handler. The default handler
// writes one line to standard error, so that nothing is dropped in silence.

internal import CReactor

/// Something that the loop must report although nobody called it.
///
/// The corresponding asyncio name is the context of `loop.call_exception_handler`.
public struct LoopIssue: Sendable, CustomStringConvertible {
    /// What kind of thing happened.
    public enum Kind: Sendable {
        /// A scheduled callback threw. The loop goes on.
        case uncaughtError(any Error)
        /// A protocol's method threw. Its connection was closed, and the loop goes on.
        case protocolError(any Error)
        /// A server's handler threw. Its connection was closed, and the server goes on.
        case handlerError(any Error)
        /// One callback kept the loop's thread for at least the configured threshold.
        case slowCallback(Duration)
        /// Accepting a connection failed; the listener tries again after the given time.
        case acceptFailed(SystemError, retryAfter: Duration)
        /// A task or a future failed, and nobody has looked at the error while there was somebody who could.
        case unobservedError(any Error)
        /// A task was cancelled as its loop's run ends, which waits for it, and does not end. In debug mode.
        case doesNotEnd
        /// A task had not ended, or a callback not run, when the loop was closed. In debug mode; see ``CloseReport``.
        case leftBehind
        /// A server on several loops serves by a handler that is isolated to an actor, so that all its connections cross to
        /// that actor's thread and back. It works; `TCPServer.serve(onEachLoop:)` is what is meant for several loops.
        case handlerLeavesLoops
        /// The loop was dropped without `close()`, so its descriptors stay open until the process ends.
        case notClosed
    }

    /// What happened.
    public let kind: Kind
    /// What it happened to, such as `callback scheduled at Server/Main.swift:12` or `Echo.dataReceived on TCP …`.
    public let subject: String

    /// Kind and subject in one line.
    public var description: String {
        switch kind {
        case .uncaughtError(let error): "uncaught error in \(subject): \(error)"
        case .protocolError(let error): "error thrown by \(subject), connection closed: \(error)"
        case .handlerError(let error): "error thrown by \(subject), connection closed: \(error)"
        case .slowCallback(let time): "slow: \(subject) took \(time)"
        case .acceptFailed(let error, let delay): "accepting on \(subject) failed, next try in \(delay): \(error)"
        case .unobservedError(let error): "nobody has seen the error of \(subject): \(error)"
        case .doesNotEnd: "the run cannot end, as it waits for \(subject)"
        case .leftBehind: "left behind by the loop that closed: \(subject)"
        case .handlerLeavesLoops:
            "\(subject) is isolated to an actor, to whose thread the connections of all loops go: use serve(onEachLoop:)"
        case .notClosed: "\(subject) was dropped without close(); its descriptors stay open"
        }
    }

    /// Writes the issue to standard error as one line.
    ///
    /// This is the handler unless the configuration names another.
    public static func writeToStandardError(_ issue: LoopIssue) {
        var line = "swift-asyncio: \(issue)\n"
        // SAFETY: the bytes are read during the call only.
        line.withUTF8 { unsafe creactor_write_stderr($0.baseAddress, $0.count) }
    }
}
