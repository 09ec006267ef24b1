// Numbers for tests with random operations: what fails under a seed fails under it again.

/// A generator of the same numbers for the same seed: SplitMix64.
public struct Chance: RandomNumberGenerator {
    private var state: UInt64

    /// Creates a generator whose numbers `seed` decides.
    public init(seed: some BinaryInteger) { state = UInt64(truncatingIfNeeded: seed) }

    /// The next number.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// One of so many, counted from zero.
    public mutating func roll(_ sides: Int) -> Int { Int(next() % UInt64(sides)) }
}
