// Sources/Reactor/SpawnedTasks.swift: `change`, by which a cancellation and the end of a body decide whose the task is that
// runs bodies one after the other.

/// Threads cancel a body while its task ends it and would go on with the next.
struct SharedTaskModel {
    /// Whether the task looks before it goes on.
    var asks = true

    func search() throws -> Model.Report {
        let tasks = try SourceSteps("Sources/Reactor/SpawnedTasks.swift")
        var model = Model()
        let (hold, task) = (model.atomic("hold"), model.plain("the task"))
        let (cancelled, wentOn) = (model.ghost(), model.ghost())
        try model.thread("canceller", copies: 2) { code in
            var source = try tasks.function("change")
            let isTaken = code.register()
            try code.compareExchange(hold, 0, 1, into: isTaken, from: &source)
            try source.finish()
            code.when(isTaken, is: 1) { code in
                code.add(.write(task, offset: nil, 1))
                code.add(.count(cancelled, offset: nil))
            }
        }
        try model.thread("task") { code in
            var source = try tasks.function("change")
            let isLeft = code.register()
            try code.compareExchange(hold, 0, 2, into: isLeft, from: &source)
            try source.finish()
            if !asks { code.add(.set(isLeft, 1)) }
            code.when(isLeft, is: 1) { code in
                code.add(.write(task, offset: nil, 2))
                code.add(.count(wentOn, offset: nil))
            }
        }
        return model.search { ghost in
            if ghost(cancelled) > 1 { return "the task is cancelled twice" }
            if ghost(cancelled) + ghost(wentOn) == 0 { return "the task neither goes on nor is cancelled" }
            return ghost(cancelled) == 0 || ghost(wentOn) == 0 ? nil : "another body is cancelled"
        }
    }
}
