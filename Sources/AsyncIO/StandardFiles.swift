// Standard input and output where they are files, which are always ready and may take their time all the same: threads
// of the pool read and write them. Whoever waits may give up; the work goes on, and what it read stays for the next. So it has
// no deadline of whoever began it.

internal import Reactor

/// A file that is read from its position on, on its loop.
final class FileInput {
    static let largestRead = 65_536

    private let descriptor: BlockingDescriptor
    /// The read that is under way, or whose bytes nobody was given.
    private var pending: LoopTask<Bytes?>?
    private var isBusy = false
    var isClosed = false

    init(_ descriptor: BlockingDescriptor) { self.descriptor = descriptor }

    func read(on loop: isolated EventLoop) async throws -> Bytes? {
        try Task.checkCancellation()
        if isClosed { throw StreamError.closed }
        if isBusy { throw StreamError.busyReader }
        isBusy = true
        defer { isBusy = false }
        let task =
            pending
            ?? Deadline.hidden {
                spawn(name: "standard input") { [descriptor] in
                    try await offload { try descriptor.read(atMost: FileInput.largestRead) }
                }
            }
        pending = task
        do {
            let bytes = try await task.value
            pending = nil
            if isClosed { throw StreamError.closed }
            return bytes
        } catch {
            // Whoever gives up leaves the read to the next.
            if !Task.isCancelled { pending = nil }
            throw error
        }
    }
}

/// A file that is written to at its position, on its loop.
final class FileOutput {
    private let descriptor: BlockingDescriptor
    /// The write that was queued last.
    private var last: LoopTask<Void>?
    private var isClosed = false

    init(_ descriptor: BlockingDescriptor) { self.descriptor = descriptor }

    func write(_ bytes: Bytes, on loop: isolated EventLoop) async throws {
        try Task.checkCancellation()
        if isClosed { throw StreamError.closed }
        guard !bytes.isEmpty else { return }
        let task = Deadline.hidden {
            spawn(name: "standard output") { [descriptor, last] in
                // How that one ends is its own caller's.
                try? await last?.value
                try await offload { try descriptor.write(bytes) }
            }
        }
        last = task
        try await task.value
    }

    /// Waits for what is queued.
    func close(on loop: isolated EventLoop) async throws {
        isClosed = true
        // How it ends was told to who wrote.
        try? await last?.value
        try Task.checkCancellation()
    }
}
