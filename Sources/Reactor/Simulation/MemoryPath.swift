// One direction of a connection on a simulated network. It is what TCP makes of a network: bytes arrive in order, in pieces,
// late, and whole or not at all.
//
// Ground rules:
//   * What is sent lines up in `items`. Each has a place in the timetable, and a place that comes up means that the oldest
//     may arrive: so the order is kept whatever the places are.
//   * While the link is closed such places are counted in `heldCount`, and get new ones when it opens. If that takes too
//     long, the sender's end fails as the kernel's does that has sent again in vain.
//   * Bytes count as on their way until the receiver has read them, and the sender has heard of it: that is the window.

/// One direction of a connection.
final class MemoryPath: HeldByLink {
    private enum Item {
        case bytes([UInt8])
        case end
        case reset
    }

    private let simulation: NetworkSimulation
    private weak var sender: MemoryStream?
    private let receiver: MemoryStream
    private let link: NetworkLink
    private let from: NetworkPlace, to: NetworkPlace

    private let window: Int
    private var onItsWay = 0
    private var items: ArraySlice<Item> = []
    private var lastArrival: Int64 = 0
    /// Nothing that is sent after this arrives.
    private var isOver = false
    /// Whether something was sent and never came to where it was sent.
    private var hasLost = false

    private var heldCount = 0
    /// What the receiver has read and cannot say.
    private var heldRoom = 0
    private var isHeld = false
    /// How often something to send was held.
    private var holds = 0

    private var model: any NetworkModel { simulation.model }

    init(_ simulation: NetworkSimulation, from sender: MemoryStream, to receiver: MemoryStream) {
        self.simulation = simulation
        (self.sender, self.receiver) = (sender, receiver)
        link = NetworkLink(sender.host, receiver.host)
        from = NetworkPlace(sender.host, sender.localAddress)
        to = NetworkPlace(receiver.host, receiver.localAddress)
        window = simulation.model.window(link)
    }

    // MARK: Sending

    /// Takes as many bytes as there is room for, and says how many.
    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        let count = min(window - onItsWay, bytes.count)
        guard count > 0 else { return bytes.count == 0 ? 0 : Int(SystemError.Code.wouldBlock.rawValue) }
        onItsWay += count
        var offset = 0
        while offset < count && !isOver {
            let size = min(model.pieceSize(link), count - offset)
            if model.breaks(link) {
                breakOff()
            } else {
                let piece = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + size])
                unsafe ship(.bytes(Array(piece)), size)
            }
            offset += size
        }
        return count
    }

    func sendEnd() { ship(.end, 0) }

    /// The sender's end is closed, or gone with its host.
    func close(reset: Bool) {
        ship(reset ? .reset : .end, 0)
        isOver = true
    }

    /// Whether the sender cannot know that everything it has sent came to the receiver's end.
    ///
    /// What has arrived is acknowledged at once, without a journey back, but not over a link that is closed.
    var hasUnacknowledged: Bool { !items.isEmpty || hasLost || !model.isOpen(link.back) }

    /// Loses all that has not arrived.
    func vanish() {
        isOver = true
        if !items.isEmpty { hasLost = true }
        items = []
        heldCount = 0
    }

    /// Both ends hear that the connection is broken: nobody knows who said so.
    func breakOff() {
        guard !isOver else { return }
        note(.broken)
        hasLost = true
        ship(.reset, 0)
        isOver = true
        tellSender(.connectionReset)
    }

    private func ship(_ item: Item, _ size: Int) {
        guard !isOver else { return }
        items.append(item)
        take(size)
    }

    /// Gives the last item, or one that was held, a place in the timetable.
    private func take(_ size: Int) {
        let earliest = lastArrival + model.spacing(size, link)
        lastArrival = max(earliest, simulation.timetable.now + model.transit(size, link))
        simulation.timetable.at(lastArrival) { [self] in placeCameUp() }
    }

    /// The sender fails, when the news has reached it.
    private func tellSender(_ code: SystemError.Code) {
        simulation.timetable.after(model.transit(0, link.back)) { [self] in
            if model.isOpen(link.back) { sender?.broke(code) }
        }
    }

    // MARK: Arriving

    private func placeCameUp() {
        guard !items.isEmpty else { return }
        guard heldCount == 0, model.isOpen(link) else {
            if heldCount == 0 { bePatient() }
            heldCount += 1
            return hold()
        }
        arrive(items.removeFirst())
    }

    private func arrive(_ item: Item) {
        if receiver.isClosed || receiver.isDead {
            if case .reset = item { return }
            // The end of a connection is in order where it is closed already.
            if case .end = item, !receiver.isDead { return }
            note(.readByNobody)
            hasLost = true
            return tellSender(.connectionReset)
        }
        switch item {
        case .bytes(let bytes):
            note(.bytes, bytes.count)
            receiver.arrived(bytes)
        case .end:
            note(.end)
            receiver.ended()
        case .reset:
            note(.reset)
            receiver.broke(.connectionReset)
        }
    }

    /// The receiver has read bytes, which the sender learns later.
    func wasRead(_ count: Int) {
        let delay = model.windowDelay(link) + model.transit(0, link.back)
        simulation.timetable.after(delay) { [self] in
            heldRoom += count
            guard model.isOpen(link.back) else { return hold() }
            openWindow()
        }
    }

    private func openWindow() {
        guard heldRoom > 0 else { return }
        onItsWay -= heldRoom
        heldRoom = 0
        sender?.roomAppeared()
    }

    // MARK: Closed links

    private func hold() {
        guard !isHeld else { return }
        isHeld = true
        note(.held)
        simulation.hold(self)
    }

    /// Gives up if what is held is still held when the sender's patience ends.
    private func bePatient() {
        holds += 1
        simulation.timetable.after(model.sendPatience) { [self, holds] in
            if holds == self.holds && heldCount > 0 { giveUp() }
        }
    }

    func linksChanged() {
        guard isHeld else { return }
        let (isOpen, isOpenBack) = (model.isOpen(link), model.isOpen(link.back))
        if isOpenBack { openWindow() }
        if isOpen {
            let count = heldCount
            heldCount = 0
            for _ in 0..<count { take(0) }
        }
        // What is held already keeps its patience.
        if heldCount > 0 || heldRoom > 0 { simulation.hold(self) } else { isHeld = false }
    }

    private func giveUp() {
        note(.gaveUp)
        vanish()
        sender?.broke(.timedOut)
    }

    private func note(_ kind: NetworkEvent.Kind, _ count: Int? = nil) {
        model.note(NetworkEvent(kind: kind, source: from, target: to, count: count))
    }
}
