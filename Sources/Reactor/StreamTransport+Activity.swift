// Whether anything happens on a connection, and how much: found out without a step on the way of a message.
//
// To look, a sweep takes the connection off the short ways of reading and writing. The next message goes the long way,
// which notes it and puts the connection back. So what is looked at once in a while pays for one message in that while, and
// what nobody looks at pays nothing. Counting bytes keeps a connection on the long ways.

/// What is known of a connection's activity.
package struct StreamActivity {
    /// When it was first looked at.
    package let openedAt: LoopInstant
    /// When something was last found to have been received or sent; no later than the time of finding it.
    package fileprivate(set) var lastActivity: LoopInstant
    /// Whether anything was received yet.
    package fileprivate(set) var hasReceived = false
    package fileprivate(set) var bytesReceived: UInt64 = 0
    package fileprivate(set) var bytesSent: UInt64 = 0
    /// Whether the bytes are counted.
    package let countsBytes: Bool
    fileprivate var wasActive = false

    init(at now: LoopInstant, countsBytes: Bool) {
        openedAt = now
        lastActivity = now
        self.countsBytes = countsBytes
    }

    fileprivate mutating func note(received count: Int) {
        wasActive = true
        hasReceived = true
        bytesReceived &+= UInt64(count)
    }

    fileprivate mutating func note(sent count: Int) {
        wasActive = true
        bytesSent &+= UInt64(count)
    }
}

extension StreamTransport {
    /// Begins to look at what happens here.
    func watchActivity(countingBytes: Bool) {
        activity = StreamActivity(at: core.now, countsBytes: countingBytes)
        leaveShortWays()
    }

    /// What was found since the last look, from which the next begins.
    func lookForActivity() -> StreamActivity? {
        guard var found = activity else { return nil }
        if found.wasActive {
            found.lastActivity = core.now
            found.wasActive = false
            activity = found
        }
        if phase == .open { leaveShortWays() }
        return found
    }

    /// Something has arrived, by the long way.
    func noteReceived(_ count: Int) {
        guard activity != nil else { return }
        activity?.note(received: count)
        if activity?.countsBytes == false { resumeShortReading() }
    }

    /// The system has taken something, by the long way.
    func noteSent(_ count: Int) {
        guard activity != nil, count > 0 else { return }
        activity?.note(sent: count)
        if activity?.countsBytes == false { resumeShortWriting() }
    }

    /// Closes the connection because of an error, which is what its tasks are told: in order if nothing waits to be sent.
    func expire(_ error: any Error) {
        guard phase == .open else { return }
        if writeBufferSize > 0 { return fail(error) }
        noteFailure(error)
        close()
    }
}
