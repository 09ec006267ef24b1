// What happens to what goes from one simulated host to another. All of it is drawn from the seed, for each piece anew.

/// How good the way between two hosts is.
///
///     var bad = LinkConditions()
///     bad.latency = .milliseconds(20)...(.milliseconds(200))
///     bad.loss = 0.1
///     bad.resets = 0.001
///     simulation.setConditions(bad, between: client, and: server)
///
/// The defaults are a network without faults that hands out bytes as it likes: pieces of any size, windows that may be small,
/// and latencies by which what is sent to two hosts arrives in either order. Probabilities are from 0 to 1.
public struct LinkConditions: Sendable, Hashable {
    /// How long a piece of a connection, or a datagram, is on its way.
    ///
    /// A connection keeps its order whatever is drawn; datagrams do not.
    public var latency: ClosedRange<Duration> = .microseconds(100)...(.milliseconds(10))

    /// How many bytes a connection carries in a second in each direction; nil is any number.
    public var bandwidth: Int?

    /// How many bytes a piece of a connection has, at most: what is written at once arrives in such pieces.
    public var pieceSize: ClosedRange<Int> = 1...1_460

    /// How many bytes a connection holds in one direction, from write to read: what does not fit is written in parts.
    public var window: ClosedRange<Int> = 1_024...65_536

    /// How long a receiver takes to say that it has read: a slow one keeps its sender waiting.
    public var windowDelay: ClosedRange<Duration> = .zero...(.zero)

    /// How probable it is, for each piece, that the connection is reset there.
    public var resets = 0.0

    /// How probable it is that connecting is refused though somebody listens.
    public var refusals = 0.0

    /// How probable it is that connecting is never answered.
    public var silence = 0.0

    /// How probable it is that a datagram is lost.
    public var loss = 0.0

    /// How probable it is that a datagram arrives twice.
    public var duplication = 0.0

    /// The defaults.
    public init() {}

    /// What a host has with itself: hardly any latency, and no faults.
    static var loopback: LinkConditions {
        var conditions = LinkConditions()
        conditions.latency = .microseconds(1)...(.microseconds(50))
        return conditions
    }

    /// Traps with a sentence where no draw would be possible.
    func validate() {
        if latency.lowerBound < .zero || windowDelay.lowerBound < .zero {
            fatalError("LinkConditions.latency and .windowDelay cannot be negative.")
        }
        if pieceSize.lowerBound < 1 || window.lowerBound < 1 || bandwidth ?? 1 < 1 {
            fatalError("LinkConditions.pieceSize, .window and .bandwidth must be at least one byte.")
        }
        for probability in [resets, refusals, silence, loss, duplication] where !(0...1).contains(probability) {
            fatalError("A probability of LinkConditions is \(probability); it must be from 0 to 1.")
        }
    }
}
