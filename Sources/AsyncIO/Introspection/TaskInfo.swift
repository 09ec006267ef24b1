// What a loop is busy with, for people: which tasks there are, what each waits for, and who awaits whom. Made when somebody
// asks; a task that nobody asks about pays for a place in a list.

internal import Reactor

/// A task of a loop, as it was when it was asked for.
///
/// The corresponding asyncio names are `asyncio.all_tasks` and, for the waits, `asyncio.capture_call_graph`.
public struct TaskInfo: Sendable, Hashable {
    /// What a task is doing.
    public enum State: Sendable, Hashable {
        /// It is the one that asks.
        case running
        /// It is in a wait of this library, or awaits children that are, for what is said here.
        ///
        /// Of those that gather the operations are counted that were begun together; where more than a hundred tasks of a
        /// loop gather at a time, some are only said to wait for the children that are seen.
        case waiting(String)
        /// It is ready to run, or waits for something that the loop does not know, such as a continuation of the program's
        /// own, or children that wait for such.
        case other
    }

    /// The place in the order of spawning; nil for tasks that were not spawned with ``spawn(name:eager:fileID:line:_:)``.
    public let number: UInt64?

    /// The name that it was given, or what it is.
    public let name: String

    /// Where it was spawned, as in `App/Main.swift:12`; nil for tasks that were not.
    public let site: String?

    /// What it is doing.
    public let state: State

    /// The numbers of the spawned tasks whose end it waits for.
    public let awaited: [UInt64]

    /// Its children, as places in the list that this came in: those that are in a wait of this library, and those who
    /// await such.
    ///
    /// They are children as Swift has them: of ``gather(_:)`` and its like, of ``withTimeout(_:_:)``, of task groups and
    /// `async let`.
    public let children: [Int]

    /// The number, if there is one, and the name.
    var title: String { number.map { name == "#\($0)" ? name : "#\($0) \(name)" } ?? name }

    /// The task in a line.
    public var line: String {
        var text = title
        if let site { text += " (\(site))" }
        switch state {
        case .running: text += ": running"
        case .waiting(let reason): text += ": waits for \(reason)"
        case .other: break
        }
        return text
    }
}

extension EventLoop {
    /// The tasks of the loop that it knows of: those that were spawned and have not ended, oldest first, the handlers of
    /// connections, and others that are in a wait of this library.
    ///
    /// Bare `Task { }`s and children of task groups are seen only while they, or children of theirs, wait so. From elsewhere
    /// it is awaited.
    ///
    /// The corresponding asyncio name is `asyncio.all_tasks`.
    public var tasks: [TaskInfo] { sightings().map { TaskInfo($0) } }

    /// The task that runs, if the loop knows it: one that was spawned, the handler of a connection, or the main
    /// task of ``run(_:signals:_:)`` or ``withEventLoop(_:_:)``.
    ///
    /// Nil in callbacks, and for bare `Task { }`s and children of task groups. From elsewhere it is awaited, and nil.
    ///
    /// The corresponding asyncio name is `asyncio.current_task`.
    public var currentTask: TaskInfo? {
        if let running = sightings().first(where: \.isCurrent) { return TaskInfo(running) }
        return isInMainTask ? .main : nil
    }

    /// The tasks as a text: under each its children, and the tasks whose end it waits for.
    ///
    /// A task that several await stands under each of them: under the first with all that it awaits, under the others by a
    /// line that says "see above". A ring of tasks that await one another is said to be one.
    ///
    /// The corresponding asyncio command is `python -m asyncio pstree`.
    public func taskTree() -> String { TaskTree(tasks).text(configuration.name) }

    /// The tasks as JSON: an array of objects with `number`, `name`, `site`, `state`, `waitsFor`, `awaited` and
    /// `children`, which are places in the array, from 0.
    public func tasksAsJSON() -> String { TaskTree(tasks).json }
}

extension TaskInfo {
    /// The main task, while it runs.
    fileprivate static var main: TaskInfo {
        TaskInfo(TaskSighting(title: "the main task", isCurrent: true))
    }

    fileprivate init(_ sighting: TaskSighting) {
        number = sighting.record?.number
        name = sighting.title
        site = sighting.record.map { "\($0.file):\($0.line)" }
        awaited = sighting.reason?.tasks.map(\.number) ?? []
        children = sighting.children
        state = sighting.isCurrent ? .running : sighting.reason.map { .waiting($0.text) } ?? .other
    }
}
