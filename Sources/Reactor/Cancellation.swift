// How waits hear of the cancellation of their task: from the runtime itself, without the closures and the frames of
// `withTaskCancellationHandler`, which cost as much as the wait and, kept for the life of a handler, a kilobyte of it.
//
// Ground rules:
//   * What begins to listen stops listening in the same function, and holds itself until then.
//   * Between the two that function's task allocates nothing that outlives them, as its memory is a stack. Calling and
//     awaiting other functions is that.

internal import CReactor

/// The runtime's word that a task was cancelled, for the four that listen to it.
@safe
enum Cancellation {
    /// Marks, in the lowest bits of an address, a channel.
    private static let channelTag: UInt = 1
    /// The same for the scope of a task.
    private static let scopeTag: UInt = 2
    /// The same for operations that begin.
    private static let childrenTag: UInt = 3

    /// Makes the runtime's word heard; the first call does it.
    static func install() { _ = installed }

    private static let installed: Void = {
        unsafe creactor_hear_of_cancellation { context in
            // SAFETY: who listens holds itself until it stops.
            let address = unsafe UInt(bitPattern: context!)
            let listener = unsafe UnsafeRawPointer(bitPattern: address & ~childrenTag)!
            switch address & childrenTag {
            case channelTag:
                let channel = unsafe Unmanaged<StreamChannel>.fromOpaque(listener)
                unsafe channel._withUnsafeGuaranteedRef { $0.cancelFromAnywhere() }
            case scopeTag:
                let scope = unsafe Unmanaged<TaskScope>.fromOpaque(listener)
                unsafe scope._withUnsafeGuaranteedRef { $0.cancelFromAnywhere() }
            case childrenTag:
                let children = unsafe Unmanaged<SharedChildren>.fromOpaque(listener)
                unsafe children._withUnsafeGuaranteedRef { $0.cancelIfHere() }
            default:
                let park = unsafe Unmanaged<Park>.fromOpaque(listener)
                unsafe park._withUnsafeGuaranteedRef { $0.cancelFromAnywhere() }
            }
        }
    }()

    /// Begins to listen for the calling task.
    ///
    /// If it was cancelled before, this tells of it at once, and there may be nothing to stop.
    static func listen(_ park: Park) -> UnsafeMutableRawPointer? {
        unsafe creactor_add_cancellation_handler(Unmanaged.passUnretained(park).toOpaque())
    }

    /// The same for the handler of a channel.
    static func listen(_ channel: StreamChannel) -> UnsafeMutableRawPointer? {
        unsafe listen(Unmanaged.passUnretained(channel).toOpaque(), channelTag)
    }

    /// The same for all waits of the task that have no listener of their own.
    static func listen(_ scope: TaskScope) -> UnsafeMutableRawPointer? {
        unsafe listen(Unmanaged.passUnretained(scope).toOpaque(), scopeTag)
    }

    /// The same for operations, as long as they begin.
    static func listen(_ children: SharedChildren) -> UnsafeMutableRawPointer? {
        unsafe listen(Unmanaged.passUnretained(children).toOpaque(), childrenTag)
    }

    private static func listen(_ listener: UnsafeMutableRawPointer, _ tag: UInt) -> UnsafeMutableRawPointer? {
        let address = UInt(bitPattern: listener) | tag
        return unsafe creactor_add_cancellation_handler(UnsafeMutableRawPointer(bitPattern: address)!)
    }

    /// Stops; nobody is told any more when this returns.
    static func stop(_ registration: UnsafeMutableRawPointer?) {
        if let registration = unsafe registration { unsafe creactor_remove_cancellation_handler(registration) }
    }
}
