// Actors for ExecutorTests: one of the usual kind, one that lives on a loop, and what else there is to be on.

import AsyncIO

actor Ordinary {
    func isOn(_ loop: EventLoop) -> Bool { loop.isCurrent }
}

actor Placed {
    private let loop: EventLoop
    init(on loop: EventLoop) { self.loop = loop }
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.unownedExecutor }
    func isOnLoop() -> Bool { loop.isCurrent }
}

func spawnWithoutIsolation(_ loop: EventLoop) -> LoopTask<Bool> {
    spawn {
        await resumedByForeigner(loop)
        return loop.isCurrent
    }
}

@MainActor func mainActorIsOn(_ loop: EventLoop) -> Bool { loop.isCurrent }
