// The connections that have handlers, in no order: each knows its place, so that one that ends is found at once.

/// A server's connections of one loop.
@safe
package final class ChannelList {
    // SAFETY: a check of exclusivity at run time would find nothing: the loop's thread alone uses it, and nothing else runs
    // while it changes.
    @exclusivity(unchecked) private var channels: [StreamChannel] = []

    package init() {}

    /// All of them, as they are now.
    package var all: [StreamChannel] { unsafe channels }

    package var isEmpty: Bool { unsafe channels.isEmpty }

    package func add(_ channel: StreamChannel) {
        channel.place = unsafe channels.count
        unsafe channels.append(channel)
    }

    /// Removes a channel that is there.
    package func remove(_ channel: StreamChannel) {
        let last = unsafe channels.removeLast()
        guard last !== channel else { return }
        unsafe channels[channel.place] = last
        last.place = channel.place
    }
}
