// What the first loop of a process sets up for all of them, once.

internal import CLibUV
internal import CReactor

enum Process {
    /// Applies what the configuration asks of the whole process.
    ///
    /// Doing it again changes nothing.
    static func prepare(_ configuration: EventLoop.Configuration) {
        if configuration.ignoresSIGPIPE { creactor_ignore_sigpipe() }
        if !configuration.allowsIOURing { _ = forbidIOURingOnce }
    }

    /// Done once, by the first loop, as the environment must not change while other threads read it.
    private static let forbidIOURingOnce: Void = forbidIOURing(of: uv_version())

    /// Has libuv 1.45 to 1.48 do without io_uring, unless the environment says something about it already.
    static func forbidIOURing(of version: UInt32) {
        // SAFETY: both texts are literals.
        if version >= 0x012d00 && version < 0x013100 { unsafe creactor_setenv_default("UV_USE_IO_URING", "0") }
    }

    /// Which libuv this is: its major, minor and patch number, a byte each.
    static var libuvVersion: UInt32 { uv_version() }

    /// How many connections fit under the soft limit on descriptors, with some kept for everything else: 64, or half of
    /// a limit that is not much larger.
    ///
    /// At most 100,000.
    static var connectionLimit: Int {
        let limit = Int(clamping: creactor_descriptor_limit())
        return max(1, min(limit - min(64, limit / 2), 100_000))
    }
}
