// The hook of the global executor, which keeps the jobs of a loop's thread on that loop.

internal import CReactor

/// Keeps what a loop's thread enqueues for the global executor.
enum GlobalJobs {
    /// Installs the hook; the first call does it.
    static func install() { _ = installed }

    private static let installed: Void = {
        unsafe creactor_keep_jobs(keepJob)
    }()
}

/// Called by the runtime, on a thread with a keeping loop.
private func keepJob(_ loop: UnsafeMutableRawPointer?, _ job: UnsafeMutableRawPointer?) {
    // SAFETY: the thread's keeping loop is its running loop, which is alive; a job is one pointer, and the reference
    // that it stands for goes to the loop.
    unsafe Unmanaged<LoopCore>.fromOpaque(loop!)._withUnsafeGuaranteedRef {
        $0.keep(unsafe unsafeBitCast(job!, to: UnownedJob.self))
    }
}
