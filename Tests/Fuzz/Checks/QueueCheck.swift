// Queues of all three orders: every item comes out once and where its order has it, tasks are served in the order in
// which they came, whoever is cancelled after his turn has come passes on the item or the room, and a finished queue
// lets everybody go.

import AsyncIO

enum QueueCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let game = Transfer(QueueGame(QueueGame.Kind.allCases[input.roll(3)], capacity: 1 + input.roll(4)))
        let crowd = game.value.crowd
        while let step = input.step(16) {
            switch step {
            case 0...2 where !crowd.isFull: game.value.spawnPut(input.roll(4), eager: step != 0, game, on: loop)
            case 3...5 where !crowd.isFull: game.value.spawnGet(iterates: step == 5, eager: step != 3, game, on: loop)
            case 6 where !crowd.isFull: game.value.spawnJoin(game, on: loop)
            case 7: game.value.tryPut(input.roll(4))
            case 8: game.value.tryGet()
            case 9...11: game.value.cancelOne(&input)
            case 12: game.value.taskDone()
            case 13: if input.roll(16) > 13 { game.value.finish(discarding: input.flip()) }
            case 14: await letRun(input.roll(4))
            default:
                await crowd.rest()
                game.value.checkAtRest()
            }
            game.value.check()
            try crowd.ledger.settle()
        }
        await crowd.rest()
        game.value.checkAtRest()
        game.value.finish(discarding: false)
        while game.value.tryGet() { await letRun(1) }
        while game.value.taskDone() {}
        try await crowd.end()
        game.value.check()
        game.value.checkAtRest()
        try crowd.ledger.settle()
    }
}

private final class QueueGame {
    enum Kind: CaseIterable { case firstIn, lastIn, priority }

    private struct Item: Equatable {
        var rank: Int
        var number: Int
    }

    let crowd = Crowd()
    private let kind: Kind
    private let queue: AsyncQueue<Item>
    private var made = 0
    // The queue as it should be.
    private var items: [Item] = []
    private var reservedItems = 0
    private var reservedRoom = 0
    private var unfinished = 0
    private var isFinished = false
    private var getters = ModelLine()
    private var putters = ModelLine()
    private var joiners = ModelLine()

    init(_ kind: Kind, capacity: Int) {
        self.kind = kind
        let order: AsyncQueue<Item>.Order =
            switch kind {
            case .firstIn: .firstInFirstOut
            case .lastIn: .lastInFirstOut
            case .priority: .priority { $0.rank < $1.rank }
            }
        queue = AsyncQueue(capacity: capacity, order: order)
    }

    // MARK: Putting

    private var hasRoom: Bool { !isFinished && items.count + reservedRoom < queue.capacity }

    private func newItem(_ rank: Int) -> Item {
        made += 1
        return Item(rank: rank, number: made)
    }

    func spawnPut(_ rank: Int, eager: Bool, _ game: Transfer<QueueGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let item = newItem(rank)
        let task = spawn(eager: eager) {
            _ = loop
            let atOnce = game.value.hasRoom
            let mayWait = !atOnce && !game.value.isFinished && !game.value.crowd.isCancelled(number)
            if mayWait { game.value.putters.join(number) }
            do {
                try await game.value.queue.put(item)
                if !atOnce { game.value.hasRoomNow(number) }
                game.value.wasPut(item)
            } catch {
                game.value.crowd.ledger.expect(!atOnce, "\(number) did not put, and there was room")
                game.value.putFailed(number, error)
            }
        }
        crowd.add(task)
    }

    private func hasRoomNow(_ number: Int) {
        crowd.ledger.expect(putters.run(number) && !isFinished, "\(number) put, and it was not its turn")
        crowd.ledger.expect(!crowd.isCancelled(number), "\(number) put, and was cancelled")
        reservedRoom -= 1
    }

    private func wasPut(_ item: Item) {
        items.append(item)
        unfinished += 1
        offerItem()
    }

    private func putFailed(_ number: Int, _ error: any Error) {
        let wasWoken = putters.run(number)
        if error is QueueError { return crowd.ledger.expect(isFinished, "\(number) was told of an end") }
        crowd.expectCancelled(number, error)
        guard wasWoken else { return }
        crowd.ledger.expect(!isFinished, "\(number) was not told of the end")
        reservedRoom -= 1
        offerRoom()
    }

    func tryPut(_ rank: Int) {
        let item = newItem(rank)
        let expected = hasRoom
        do {
            let isPut = try queue.tryPut(item)
            crowd.ledger.expect(isPut == expected && !isFinished, "tryPut says \(isPut)")
            if isPut { wasPut(item) }
        } catch {
            crowd.ledger.expect(isFinished, "tryPut says that it is finished")
        }
    }

    // MARK: Getting

    private var hasItem: Bool { items.count > reservedItems }

    func spawnGet(iterates: Bool, eager: Bool, _ game: Transfer<QueueGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: eager) {
            _ = loop
            let atOnce = game.value.hasItem
            let hasEnded = game.value.isFinished && game.value.items.isEmpty
            let mayWait = !atOnce && !hasEnded && !game.value.crowd.isCancelled(number)
            if mayWait { game.value.getters.join(number) }
            do {
                let item = try await game.value.get(iterates)
                if !atOnce { game.value.hasItemNow(number) }
                game.value.wasGot(item)
            } catch {
                game.value.crowd.ledger.expect(!atOnce, "\(number) did not get what was there")
                game.value.getFailed(number, error)
            }
        }
        crowd.add(task)
    }

    private func get(_ iterates: Bool) async throws -> Item {
        guard iterates else { return try await queue.get() }
        var iterator = queue.makeAsyncIterator()
        guard let item = try await iterator.next() else { throw QueueError.finished }
        return item
    }

    private func hasItemNow(_ number: Int) {
        crowd.ledger.expect(getters.run(number), "\(number) got one, and it was not its turn")
        crowd.ledger.expect(!crowd.isCancelled(number), "\(number) got one, and was cancelled")
        reservedItems -= 1
    }

    private func wasGot(_ item: Item) {
        let place: Int? =
            switch kind {
            case .firstIn: items.indices.first
            case .lastIn: items.indices.last
            case .priority: items.indices.min { (items[$0].rank, $0) < (items[$1].rank, $1) }
            }
        guard let place else { return crowd.ledger.expect(false, "got \(item), and there was none") }
        let expected = items.remove(at: place)
        crowd.ledger.expect(item == expected, "got \(item), not \(expected)")
        offerRoom()
        if isFinished && items.isEmpty { getters.wakeAll() }
    }

    private func getFailed(_ number: Int, _ error: any Error) {
        let wasWoken = getters.run(number)
        if error is QueueError {
            return crowd.ledger.expect(isFinished && items.isEmpty, "\(number) was told of an end")
        }
        crowd.expectCancelled(number, error)
        guard wasWoken else { return }
        crowd.ledger.expect(!items.isEmpty, "\(number) was not told of the end")
        reservedItems -= 1
        offerItem()
    }

    /// Whether there was one.
    @discardableResult
    func tryGet() -> Bool {
        let expected = hasItem
        do {
            let item = try queue.tryGet()
            crowd.ledger.expect((item != nil) == expected, "tryGet says \(String(describing: item))")
            if let item { wasGot(item) }
            return item != nil
        } catch {
            crowd.ledger.expect(isFinished && items.isEmpty, "tryGet says that it is finished")
            return false
        }
    }

    // MARK: Reservations

    private func offerItem() { if items.count > reservedItems, getters.wakeFirst() { reservedItems += 1 } }

    private func offerRoom() {
        if items.count + reservedRoom < queue.capacity, putters.wakeFirst() { reservedRoom += 1 }
    }

    func cancelOne(_ input: inout FuzzInput) {
        let number = crowd.cancelOne(&input)
        getters.cancel(number)
        putters.cancel(number)
        joiners.cancel(number)
    }

    // MARK: Finishing

    func spawnJoin(_ game: Transfer<QueueGame>, on loop: isolated EventLoop) {
        let number = crowd.next
        let task = spawn(eager: true) {
            _ = loop
            let atOnce = game.value.unfinished == 0
            if !atOnce { game.value.joiners.join(number) }
            do {
                try await game.value.queue.join()
                let isFine = atOnce || game.value.joiners.run(number)
                game.value.crowd.ledger.expect(isFine, "\(number) joined, and the work was not done")
            } catch {
                game.value.crowd.expectCancelled(number, error)
                game.value.crowd.ledger.expect(!atOnce && !game.value.joiners.run(number), "\(number) had joined")
            }
        }
        crowd.add(task)
    }

    /// Whether there was work to be done.
    @discardableResult
    func taskDone() -> Bool {
        guard unfinished > 0 else { return false }
        unfinished -= 1
        if unfinished == 0 { joiners.wakeAll() }
        queue.taskDone()
        return true
    }

    func finish(discarding: Bool) {
        queue.finish(discardingItems: discarding)
        isFinished = true
        putters.wakeAll()
        if discarding {
            unfinished = max(0, unfinished - items.count)
            (items, reservedItems) = ([], 0)
            if unfinished == 0 { joiners.wakeAll() }
        }
        if items.isEmpty { getters.wakeAll() }
    }

    // MARK: What is true

    func check() {
        crowd.ledger.expect(queue.count == items.count, "it holds \(queue.count), not \(items.count)")
        crowd.ledger.expect(queue.count <= queue.capacity, "it holds more than it has room for")
        crowd.ledger.expect(queue.isEmpty == items.isEmpty, "isEmpty")
        let count = queue.unfinishedCount
        crowd.ledger.expect(count == unfinished, "\(count) unfinished, not \(unfinished)")
        crowd.ledger.expect(queue.isFinished == isFinished, "isFinished")
        crowd.ledger.expect(!hasItem || getters.waiting.isEmpty, "\(getters.waiting) wait for what is there")
        crowd.ledger.expect(!hasRoom || putters.waiting.isEmpty, "\(putters.waiting) wait, and there is room")
    }

    func checkAtRest() {
        let woken = getters.woken.union(putters.woken).union(joiners.woken)
        crowd.ledger.expect(woken.isEmpty, "\(woken) have their turn and do not run")
        let expected = (getters.waiting + putters.waiting + joiners.waiting).sorted()
        crowd.ledger.expect(crowd.waiting == expected, "\(crowd.waiting) wait, not \(expected)")
    }
}
