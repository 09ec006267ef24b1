// The value of an `Eventual`, whose type is known to those who ask for it, and inlined into their code.
//
// A value of up to two words that is nothing but bytes lies in the object itself; any other is in a box of its own. So the
// object needs no type to let its value go, which is what a generic class asks the runtime for.

extension Eventual {
    @inlinable
    @inline(__always)
    static func fits<Value>(_: Value.Type) -> Bool {
        _isPOD(Value.self) && MemoryLayout<Value>.size <= 16 && MemoryLayout<Value>.alignment <= 8
    }

    /// Sets the value, if there is no result; says whether it did.
    @discardableResult
    @inlinable
    package final func succeed<Value: Sendable>(_ value: Value) -> Bool {
        guard begin() else { return false }
        store(value)
        endsWithValue()
        return true
    }

    /// Keeps the value, by who has the right to set the result.
    @inlinable
    @inline(__always)
    final func store<Value: Sendable>(_ value: Value) {
        if Self.fits(Value.self) {
            // SAFETY: it fits, and is nothing but bytes.
            unsafe withUnsafeMutableBytes(of: &words) { unsafe $0.storeBytes(of: value, as: Value.self) }
        } else {
            unsafe box = ValueBox(value)
        }
    }

    /// The value, or nil as long as there is no result.
    ///
    /// The type must be that of the value.
    ///
    /// - Throws: The error.
    @inlinable
    package final func get<Value: Sendable>(as _: Value.Type) throws -> Value? {
        guard hasSucceeded else {
            if let failure { throw failure }
            return nil
        }
        if Self.fits(Value.self) {
            // SAFETY: what `succeed` stored, of the same type.
            return unsafe withUnsafeBytes(of: words) { unsafe $0.load(as: Value.self) }
        }
        // SAFETY: as above.
        return unsafe unsafeDowncast(box!, to: ValueBox<Value>.self).value
    }

    /// The value, when there is a result, which counts as seeing it.
    ///
    /// - Throws: The error; `CancellationError` if the waiting task was cancelled, or if the loop ends.
    @inlinable
    @inline(__always)
    package final func value<Value: Sendable>(as type: Value.Type) async throws -> Value {
        observe()
        while true {
            if let value = try get(as: type) { return value }
            switch lendStep() {
            case .ended: continue
            case .endedBeforeOthers:
                await letOthersRun()
                continue
            case .pending: break
            }
            // PERF: the wait is inlined into its caller, which saves frames. (spawn and await)
            guard Isolation.exists(#isolation), let park = beginWait() else {
                try await waitInLine()
                continue
            }
            let registration = unsafe park.registerForCancellation()
            let wasCancelled = await park.suspend()
            unsafe park.deregister(registration)
            endWait()
            if wasCancelled { throw CancellationError() }
        }
    }
}

/// A value that does not fit into the object.
@usableFromInline
final class ValueBox<Value: Sendable>: Sendable {
    @usableFromInline let value: Value

    @inlinable
    init(_ value: Value) { self.value = value }
}
