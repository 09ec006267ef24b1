// What belongs to a loop and is used elsewhere. The compiler refuses it; here it is smuggled, as unchecked code does, and
// the process ends with a sentence instead of a race. Behaviour 10 of asyncio, which finds it in debug mode only.

import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

extension AsyncIOTests {
    @Suite(.timeLimit(.minutes(Seeds.minutes(2)))) struct ConfinementTests {
        @Test(.testsProcess, arguments: Thing.allCases.map(\.rawValue))
        func `used on another loop or thread it traps, behaviour 10`(name: String) async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { [name] in
                exitIfStuck()
                try await withEventLoop(.named("its own")) { loop in
                    guard let thing = Thing(rawValue: name) else { return }
                    let use = try await thing.make(on: loop)
                    // Used here nothing is wrong with it.
                    use.value()
                    if thing.isForThreads {
                        await withCheckedContinuation { continuation in
                            onForeignThread {
                                use.value()
                                continuation.resume()
                            }
                        }
                    } else {
                        try await withEventLoop(.virtual()) { _ in use.value() }
                    }
                }
            }
            // A queue says which of its lines; of a transport there are three uses here.
            let what = name.hasPrefix("StreamTransport") ? "StreamTransport" : name
            #expect(says(result, "\(what) was used outside of the EventLoop 'its own' that it belongs to."))
        }

        @Test func `what was used on a loop that is closed may be used on the next`() async throws {
            let things = Transfer((AsyncLock(), AsyncQueue<Int>(capacity: 1), AsyncEvent()))
            for _ in 0..<3 {
                try await onLoop { loop in
                    let (lock, queue, event) = things.value
                    let waiting = [
                        spawn {
                            _ = loop
                            try await things.value.0.withLock { await AsyncIO.yield() }
                        },
                        spawn {
                            _ = loop
                            try await things.value.0.withLock {}
                            _ = try await things.value.1.get()
                        },
                        spawn {
                            _ = loop
                            try await things.value.2.wait()
                            things.value.2.clear()
                        },
                    ]
                    await letAllRun()
                    try await queue.put(1)
                    event.set()
                    for task in waiting { try await task.value }
                    #expect(!lock.isLocked && queue.isEmpty && !event.isSet)
                }
            }
        }

        @Test func `what is left of a closed loop does nothing, wherever it is used`() async throws {
            let left = try await onLoop { loop in
                let timer = loop.schedule(after: .seconds(1)) {}
                try await AsyncIO.sleep(for: .seconds(2))
                return Transfer((timer, Park(on: loop)))
            }
            #expect(!left.value.0.cancel())
            #expect(!left.value.1.wake())
        }
    }
}

/// Something that belongs to a loop.
private enum Thing: String, CaseIterable {
    case park = "Park"
    case timer = "Scheduled"
    case transportWrite = "StreamTransport.write"
    case transportClose = "StreamTransport.close"
    case transportPause = "StreamTransport.pauseReading"
    case listener = "Listener"
    case attempt = "ConnectAttempt"
    case signal = "SignalWatcher"
    case lock = "AsyncLock"
    case event = "AsyncEvent"
    case semaphore = "AsyncSemaphore"
    case queue = "AsyncQueue.get"
    case watch = "Watch"
    case reader = "StreamReader"
    case writer = "StreamWriter"
    case connectionReader = "TCPConnection.reader"
    case connectionWriter = "TCPConnection.writer"

    /// Whether a thread of nobody's is to use it, and not another loop.
    var isForThreads: Bool { self == .park || self == .lock || self == .transportClose || self == .writer }

    /// A use of it that is right on its loop: again and again, and also when nobody waits.
    func make(on loop: isolated EventLoop) async throws -> Transfer<() -> Void> {
        switch self {
        case .park:
            let park = Park(on: loop)
            return Transfer { park.wake() }
        case .timer:
            let timer = loop.schedule(after: .seconds(1)) {}
            return Transfer { timer.cancel() }
        case .transportWrite:
            let transport = try await connection(on: loop).value
            return Transfer { transport.write(Bytes("x".utf8)) }
        case .transportClose:
            let transport = try await connection(on: loop).value
            return Transfer { transport.close() }
        case .transportPause:
            let transport = try await connection(on: loop).value
            return Transfer { transport.pauseReading() }
        case .listener:
            let listener = try loop.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) { Silent { _ in } }
            return Transfer { listener.close() }
        case .attempt:
            let address = try SocketAddress(host: "127.0.0.1", port: 1)
            let attempt = try loop.connect(to: address, { Silent { _ in } }, onFailure: { _ in })
            return Transfer { attempt.cancel() }
        case .signal:
            let watcher = try loop.onSignal(.user1) {}
            return Transfer { watcher.cancel() }
        case .lock:
            let lock = AsyncLock()
            try await lock.acquire()
            try await afterWaiting(on: loop, { try await lock.acquire() }, { lock.release() })
            lock.release()
            return Transfer { if lock.tryAcquire() { lock.release() } }
        case .event:
            let event = AsyncEvent()
            try await afterWaiting(on: loop, { try await event.wait() }, { event.set() })
            return Transfer { event.set() }
        case .semaphore:
            let semaphore = AsyncSemaphore(permits: 0)
            try await afterWaiting(on: loop, { try await semaphore.acquire() }, { semaphore.release() })
            return Transfer { semaphore.release() }
        case .queue:
            let queue = AsyncQueue<Int>()
            try await afterWaiting(on: loop, { _ = try await queue.get() }, { _ = try? queue.tryPut(1) })
            return Transfer { _ = try? queue.tryPut(1) }
        case .watch:
            let watch = Watch(0)
            try await afterWaiting(on: loop, { try await watch.wait { $0 > 0 } }, { watch.value += 1 })
            return Transfer { watch.value += 1 }
        case .reader:
            let reader = StreamReader(MemoryByteStream.pair().0)
            return Transfer { _ = reader.buffered }
        case .writer:
            let writer = StreamWriter(MemoryByteStream.pair().0)
            return Transfer { _ = writer.isClosing }
        case .connectionReader:
            let connection = try await tasksConnection()
            return Transfer { _ = connection.reader.isAtEnd }
        case .connectionWriter:
            let connection = try await tasksConnection()
            return Transfer { connection.writer.write("x") }
        }
    }
}

/// Lets a task wait for something, and ends the wait.
private func afterWaiting(
    on loop: isolated EventLoop,
    _ wait: () async throws -> Void,
    _ end: @escaping () -> Void
) async throws {
    let waker = loop.schedule(after: .seconds(1)) { end() }
    try await wait()
    waker.cancel()
}

private func connection(on loop: isolated EventLoop) async throws -> Transfer<StreamTransport> {
    let made = Promise<LoopBound<StreamTransport>>()
    let listener = try loop.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) { Silent { _ in } }
    try loop.connect(
        to: listener.localAddress,
        { Silent { transport in made.succeed(LoopBound(transport, on: loop)) } },
        onFailure: { made.fail($0) }
    )
    return Transfer(try await made.future.value.value(on: loop))
}

private func tasksConnection() async throws -> TCPConnection {
    let server = try await TCPServer.listen(host: "127.0.0.1", port: 0)
    return try await server.client()
}

private final class Silent: StreamProtocol {
    private let made: (StreamTransport) -> Void
    init(_ made: @escaping (StreamTransport) -> Void) { self.made = made }
    func connectionMade(_ transport: StreamTransport, on loop: isolated EventLoop) { made(transport) }
    func dataReceived(_: Bytes, from _: StreamTransport, on loop: isolated EventLoop) {}
}

extension EventLoop.Configuration {
    /// A virtual loop with a name.
    fileprivate static func named(_ name: String) -> EventLoop.Configuration {
        var configuration = EventLoop.Configuration.virtual()
        configuration.name = name
        return configuration
    }
}
