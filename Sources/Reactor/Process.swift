// What the first loop of a process sets up for all of them, once.

internal import CLibUV
internal import CReactor

enum Process {
    /// Applies what the configuration asks of the whole process.
    ///
    /// Doing it again changes nothing.
    static func prepare(_ configuration: EventLoop.Configuration) {
        if configuration.ignoresSIGPIPE { creactor_ignore_sigpipe() }
        if !configuration.allowsIOURing { _ = forbidIOURing }
    }

    /// Done once, by the first loop, as the environment must not change while other threads read it.
    private static let forbidIOURing: Void = {
        let version = uv_version()
        // SAFETY: both texts are literals.
        if version >= 0x012d00 && version < 0x013100 { unsafe creactor_setenv_default("UV_USE_IO_URING", "0") }
    }()

    /// How many connections fit under the soft limit on descriptors, with some kept for everything else: 64, or half of
    /// a limit that is not much larger.
    ///
    /// At most 100,000.
    static var connectionLimit: Int {
        let limit = Int(clamping: creactor_descriptor_limit())
        return max(1, min(limit - min(64, limit / 2), 100_000))
    }
}
