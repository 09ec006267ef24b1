// The writing end of a pipe is told nothing when the last reader goes, until it writes. libuv watches a stream for what
// can be read, which here is nothing; so a second descriptor of the same pipe is watched for errors alone.

internal import CLibUV
internal import CReactor

/// Notices that nobody reads from a pipe any more.
final class ReaderWatch: HandleBox {
    private weak var transport: StreamTransport?
    private let copy: CInt

    init(_ transport: StreamTransport, of descriptor: CInt) throws(SystemError) {
        let copy = creactor_duplicate(descriptor)
        if copy < 0 { throw SystemError(status: copy, call: "fcntl(F_DUPFD_CLOEXEC)") }
        self.copy = copy
        self.transport = transport
        let loop = unsafe transport.core.raw
        do throws(SystemError) {
            unsafe try super.init(UV_POLL, on: transport.core, "uv_poll_init") {
                unsafe uv_poll_init(loop, $0.assumingMemoryBound(to: uv_poll_t.self), copy)
            }
        } catch {
            creactor_close(copy)
            throw error
        }
        // Errors are always told of.
        let status = unsafe uv_poll_start(poll, CInt(UV_DISCONNECT.rawValue), onReaderGone)
        guard status < 0 else { return }
        stop()
        throw SystemError(status: status, call: "uv_poll_start")
    }

    private var poll: UnsafeMutablePointer<uv_poll_t> { unsafe raw.assumingMemoryBound(to: uv_poll_t.self) }

    /// Ends the watch.
    func stop() {
        guard phase == .open else { return }
        unsafe uv_poll_stop(poll)
        close()
        creactor_close(copy)
    }

    fileprivate func readerIsGone() {
        unsafe core.noteInput()
        stop()
        transport?.readerIsGone()
    }

    override var summary: String { "watch for the reader of a pipe" }
}

private func onReaderGone(_ poll: UnsafeMutablePointer<uv_poll_t>?, _: CInt, _: CInt) {
    // SAFETY: `data` is the watch until its close callback (rule 2).
    let watch = unsafe Unmanaged<ReaderWatch>.fromOpaque(poll!.pointee.data!).takeUnretainedValue()
    watch.readerIsGone()
}
