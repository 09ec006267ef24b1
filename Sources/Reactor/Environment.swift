// What the reactor reads from the process's environment, in one place.

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

enum Environment {
    /// Whether `ASYNCIO_DEBUG` is set to something other than nothing and `0`.
    static let isDebug: Bool = {
        // SAFETY: read once, before any thread of ours could change the environment; the text is copied at once.
        guard let value = unsafe getenv("ASYNCIO_DEBUG") else { return false }
        let text = unsafe String(cString: value)
        return !text.isEmpty && text != "0"
    }()
}
