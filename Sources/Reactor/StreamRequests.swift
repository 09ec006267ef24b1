// The requests of a stream: each holds one reference to itself from submit to callback (rule 4), and the bytes that
// libuv reads belong to the request (rule 5).

internal import CLibUV

/// A write.
///
/// A stream has one at a time and uses it again and again.
@safe
final class WriteRequest {
    // SAFETY: lives as long as this object, which is at least until the callback.
    private let raw: UnsafeMutablePointer<uv_write_t>
    private var buffers: [Bytes] = []
    private var stream: SystemStream?

    init() {
        unsafe raw = UnsafeMutableRawPointer.allocate(byteCount: uv_req_size(UV_WRITE), alignment: 16)
            .bindMemory(to: uv_write_t.self, capacity: 1)
    }

    deinit {
        unsafe raw.deallocate()
    }

    func submit(_ buffers: [Bytes], to stream: SystemStream) throws(SystemError) {
        assert(self.stream == nil, "a write request is submitted while it is under way")
        self.buffers = buffers
        self.stream = stream
        unsafe raw.pointee.data = unsafe Unmanaged.passRetained(self).toOpaque()
        // libuv copies the list of buffers, not what is in them.
        let status = unsafe UVBuffers.with(buffers[...]) { unsafe uv_write(raw, stream.stream, $0, $1, onWritten) }
        guard status < 0 else { return }
        _ = unsafe WriteRequest.reclaim(raw)
        throw SystemError(status: status, call: "uv_write")
    }

    fileprivate static func reclaim(_ raw: UnsafeMutablePointer<uv_write_t>) -> SystemStream? {
        // SAFETY: this takes back the reference that `submit` gave, once: in the callback, or if there is none.
        let request = unsafe Unmanaged<WriteRequest>.fromOpaque(raw.pointee.data!).takeRetainedValue()
        request.buffers = []
        return request.stream.take()
    }
}

/// A half-close.
@safe
final class ShutdownRequest {
    private let raw: UnsafeMutablePointer<uv_shutdown_t>
    private var stream: SystemStream?

    init() {
        unsafe raw = UnsafeMutableRawPointer.allocate(byteCount: uv_req_size(UV_SHUTDOWN), alignment: 16)
            .bindMemory(to: uv_shutdown_t.self, capacity: 1)
    }

    deinit {
        unsafe raw.deallocate()
    }

    func submit(to stream: SystemStream) throws(SystemError) {
        self.stream = stream
        unsafe raw.pointee.data = unsafe Unmanaged.passRetained(self).toOpaque()
        let status = unsafe uv_shutdown(raw, stream.stream, onShutDown)
        guard status < 0 else { return }
        _ = unsafe ShutdownRequest.reclaim(raw)
        throw SystemError(status: status, call: "uv_shutdown")
    }

    fileprivate static func reclaim(_ raw: UnsafeMutablePointer<uv_shutdown_t>) -> SystemStream? {
        // SAFETY: as for a write.
        unsafe Unmanaged<ShutdownRequest>.fromOpaque(raw.pointee.data!).takeRetainedValue().stream.take()
    }
}

/// Lists of buffers as libuv takes them.
enum UVBuffers {
    /// Calls `body` with the buffers of `bytes`, which the caller keeps alive.
    static func with<R>(
        _ bytes: ArraySlice<Bytes>,
        _ body: (UnsafeMutablePointer<uv_buf_t>?, UInt32) -> R
    ) -> R {
        unsafe withUnsafeTemporaryAllocation(of: uv_buf_t.self, capacity: max(bytes.count, 1)) { list in
            for (place, piece) in bytes.enumerated() {
                // SAFETY: libuv only reads what it writes to the network; the type has no `const`. The address stays
                // valid after the inner call, as the storage of `piece` does not move.
                unsafe piece.withUnsafeBytes {
                    let base = unsafe UnsafeMutableRawPointer(mutating: $0.baseAddress!)
                    unsafe list.initializeElement(
                        at: place,
                        to: uv_buf_t(base: base.assumingMemoryBound(to: CChar.self), len: $0.count)
                    )
                }
            }
            return unsafe body(list.baseAddress, UInt32(bytes.count))
        }
    }
}

private func onWritten(_ request: UnsafeMutablePointer<uv_write_t>?, _ status: CInt) {
    let stream = unsafe WriteRequest.reclaim(request!)
    stream?.transport?.didWrite(status)
}

private func onShutDown(_ request: UnsafeMutablePointer<uv_shutdown_t>?, _ status: CInt) {
    let stream = unsafe ShutdownRequest.reclaim(request!)
    stream?.transport?.didShutDown(status)
}
