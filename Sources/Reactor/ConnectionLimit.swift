// One limit for several listeners, on whatever loops they are: of a server that has many addresses, or many loops.
//
// Ground rules:
//   * A place is taken before a connection is accepted, and given back when it has closed, or if nobody was there.
//   * Who finds no place is woken when one is given back, the longest waiting first, and then tries again like everybody;
//     if it has no use for the place any more it wakes the next, so that no place is free while somebody waits.

/// How many connections several listeners may have open together.
@safe
package final class ConnectionLimit: Sendable {
    /// How many there may be.
    package let most: Int

    private let lock = Lock()
    // SAFETY: under the lock, both.
    private nonisolated(unsafe) var taken = 0
    private nonisolated(unsafe) var waiting: [@Sendable () -> Void] = []

    /// A limit; nil is what descriptors allow.
    package init(_ most: Int?) {
        self.most = most ?? Process.connectionLimit
        require(self.most > 0, "A server needs room for at least one connection.")
    }

    /// Takes a place, or has `retry` called on any thread, once, when there is one.
    func take(orLater retry: @escaping @Sendable () -> Void) -> Bool {
        lock.locked {
            if unsafe taken < most {
                unsafe taken += 1
                return true
            }
            unsafe waiting.append(retry)
            return false
        }
    }

    /// Gives a place back.
    func giveBack() {
        // PERF: one lock, as a server does this for each connection. (a connection of streams)
        let next = lock.locked {
            unsafe taken -= 1
            return unsafe waiting.isEmpty || taken >= most ? nil : unsafe waiting.removeFirst()
        }
        next?()
    }

    /// Wakes who has waited longest, if there is a place.
    func wakeNext() {
        let next = lock.locked {
            unsafe waiting.isEmpty || taken >= most ? nil : unsafe waiting.removeFirst()
        }
        next?()
    }
}
