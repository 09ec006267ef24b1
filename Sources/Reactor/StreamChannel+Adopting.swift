// Descriptors that the program brings along, as connections for tasks. From the moment that one is taken over until the
// connection exists nothing waits: so whoever gets an error, be it that of a cancelled task, still owns the descriptor.

internal import CReactor

extension TCPConnection {
    /// Makes a connection of a descriptor, which is the caller's again if this throws.
    package static func adopting(
        _ descriptor: CInt,
        _ options: StreamOptions,
        on loop: isolated EventLoop
    ) throws -> TCPConnection {
        let stream = unsafe try loop.core.adopt(descriptor, options)
        return connection(stream, options, on: loop)
    }

    /// Makes a connection of a terminal, whose descriptor stays the caller's.
    package static func terminal(
        _ descriptor: CInt,
        _ options: StreamOptions,
        on loop: isolated EventLoop
    ) throws -> TCPConnection {
        unsafe try loop.core.requireOpen()
        guard creactor_is_terminal(descriptor) != 0 else { throw DescriptorError.notATerminal }
        let state = try DescriptorState(of: descriptor)
        let copy = creactor_duplicate(descriptor)
        try check(copy, "fcntl(F_DUPFD_CLOEXEC)")
        let stream: SystemStream
        do {
            stream = unsafe try SystemStream(.terminal, on: loop.core, terminal: copy)
        } catch {
            creactor_close(copy)
            throw error
        }
        // libuv has opened the terminal once more, for itself; where it could not, it uses what it was given, and
        // others share how that behaves.
        if stream.descriptor != copy { creactor_close(copy) }
        let connection = connection(stream, options, on: loop)
        if stream.descriptor == copy { connection.restoreFlags(of: descriptor, state, on: loop) }
        return connection
    }

    /// Makes a connection of a descriptor that other processes may share, and which stays the caller's; nil if it is
    /// something that nothing can wait for.
    package static func sharing(
        _ descriptor: CInt,
        writing: Bool,
        _ options: StreamOptions,
        on loop: isolated EventLoop
    ) throws -> TCPConnection? {
        let state = try DescriptorState(of: descriptor)
        switch state.kind {
        case creactor_kind_file, creactor_kind_directory: return nil
        case creactor_kind_character_device: if try !AdoptedStream.isPollable(descriptor) { return nil }
        default: break
        }
        // Not to block is a property of the open file, which all who have inherited it share. So it is opened once
        // more.
        let opened = creactor_reopen(descriptor, writing ? 1 : 0)
        if opened >= 0 { return try owning(opened, options, on: loop) }
        // Which a socket cannot be.
        let copy = creactor_duplicate(descriptor)
        try check(copy, "fcntl(F_DUPFD_CLOEXEC)")
        let connection = try owning(copy, options, on: loop)
        connection.restoreFlags(of: descriptor, state, on: loop)
        return connection
    }

    private static func owning(
        _ descriptor: CInt,
        _ options: StreamOptions,
        on loop: isolated EventLoop
    ) throws -> TCPConnection {
        do {
            return try adopting(descriptor, options, on: loop)
        } catch {
            creactor_close(descriptor)
            throw error
        }
    }

    private static func connection(
        _ stream: SystemStream,
        _ options: StreamOptions,
        on loop: isolated EventLoop
    ) -> TCPConnection {
        let channel = StreamChannel(on: loop) { _ in }
        let transport = unsafe loop.core.begin(stream, options, channel)
        return TCPConnection(channel, transport, here: loop)
    }

    /// When the connection has closed, the descriptor blocks again if it did.
    private func restoreFlags(of descriptor: CInt, _ state: DescriptorState, on loop: isolated EventLoop) {
        guard !state.isNonBlocking else { return }
        channel(on: loop).transport?.withExtras { $0.afterClose = { _ = creactor_set_nonblocking(descriptor, 0) } }
    }
}
