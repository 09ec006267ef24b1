// Where a simulation's decisions come from. What one part draws must not shift what another gets: so each has a generator of
// its own, made from the seed and a number.

/// A generator of random numbers that a seed decides.
///
///     var generator = simulation.makeGenerator()
///     let key = Int.random(in: 0..<10, using: &generator)
///
/// For workloads: what is drawn from it is the same in each run with the seed. The algorithm is SplitMix64.
public struct SimulationGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Creates a generator whose numbers `seed` decides.
    public init(seed: UInt64) { state = seed }

    /// Another generator for the same seed.
    init(seed: UInt64, stream: UInt64) {
        self.init(seed: seed)
        state = next() ^ (stream &* 0xD1B5_4A32_D192_ED03)
        state = next()
    }

    /// The next number.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    // Not the standard library's ways, which may draw otherwise in its next version.

    /// A number in a range.
    mutating func draw(_ range: ClosedRange<Int64>) -> Int64 {
        let span = UInt64(range.upperBound - range.lowerBound)
        return span == 0 ? range.lowerBound : range.lowerBound + Int64(next() % (span + 1))
    }

    mutating func draw(_ range: ClosedRange<Int>) -> Int {
        Int(draw(Int64(range.lowerBound)...Int64(range.upperBound)))
    }

    /// A time in a range.
    mutating func draw(_ range: ClosedRange<Duration>) -> Duration {
        .nanoseconds(draw(range.lowerBound.nanosecondCount...range.upperBound.nanosecondCount))
    }

    /// Whether something of this probability happens; draws nothing where that is certain.
    mutating func happens(_ probability: Double) -> Bool {
        if probability <= 0 { return false }
        return probability >= 1 || Double(next() >> 11) * 0x1p-53 < probability
    }
}

extension Duration {
    /// The whole nanoseconds, as far as they can be counted.
    var nanosecondCount: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflows ? (seconds < 0 ? .min : .max) / 4 : product + attoseconds / 1_000_000_000
    }
}
