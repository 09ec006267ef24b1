// The end of a listener in memory: clients that have connected wait in its backlog until the listener may accept them.

/// Accepts for a `Listener` in memory.
final class MemoryListener: LiveHandle {
    private let network: MemoryNetwork
    private var listener: Listener?
    private var backlog: [MemoryStream] = []
    /// Where it listens.
    let place: MemoryNetwork.Place

    init(_ listener: Listener, _ network: MemoryNetwork, _ place: MemoryNetwork.Place) {
        self.listener = listener
        self.network = network
        self.place = place
    }

    /// A client has connected; its end of the connection is there, ours waits to be accepted.
    func arrived(_ stream: MemoryStream) {
        guard listener != nil else { return stream.close(reset: true) }
        backlog.append(stream)
        resumeAccepting()
    }

    func resumeAccepting() {
        while let listener, !backlog.isEmpty, listener.mayAccept() {
            let stream = backlog.removeFirst()
            listener.didAccept(.memory(stream)) { stream.transport = $0 }
        }
    }

    func stop() {
        guard listener != nil else { return }
        listener = nil
        network.stopListening(self)
        for stream in backlog { stream.close(reset: true) }
        backlog = []
    }

    var summary: String { "memory \(listener?.summary ?? "listener")" }
    var closingOrder: Int { 0 }
    func closeWithLoop() { listener?.close() }
}
