// State that threads share, for the modules that may contain no unsafe code: they see it only under its lock.

/// A value that any thread may use, one thread at a time.
///
/// Keep what `body` does short, and let it call no foreign code: neither closures of users nor the `deinit` of their objects.
// SAFETY: `value` is used under the lock only.
@usableFromInline
package final class Guarded<Value>: @unchecked Sendable {
    @usableFromInline let lock = Lock()
    @usableFromInline
    var value: Value

    /// Guards a value, which nobody else may use from here on.
    @inlinable
    package init(_ value: Value) { self.value = value }

    /// Lets `body` use the value, while all others wait.
    @inlinable
    package func locked<Result>(_ body: (inout Value) -> Result) -> Result {
        // PERF: inlined, so that neither the closure nor its result is one whose type is only known at run time.
        acquire()
        defer { release() }
        return body(&value)
    }

    @usableFromInline
    func acquire() { lock.acquire() }

    @usableFromInline
    func release() { lock.release() }
}
