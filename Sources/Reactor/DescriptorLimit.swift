// How many descriptors the process may have open. The library reads the limit and never changes it by itself; a server
// program usually wants all that it can have, and says so before it makes its first loop.

internal import CReactor

/// The limit on open descriptors.
///
/// The C name is `RLIMIT_NOFILE`.
public enum DescriptorLimit {
    /// How many descriptors the process may have open now: the soft limit.
    public static var current: Int { Int(clamping: creactor_descriptor_limit()) }

    /// Raises the soft limit to the hard one.
    ///
    /// Where the system refuses, the limit stays what it was.
    ///
    /// - Returns: The limit that is now in force.
    @discardableResult
    public static func raiseToHardLimit() -> Int { Int(clamping: creactor_raise_descriptor_limit()) }
}
