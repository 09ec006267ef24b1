// Tasks as a tree of who awaits whom, as text and as JSON. Children stand under their parents, each once; what else is
// awaited may stand under several.

/// The tasks of a loop, to be written down.
struct TaskTree {
    private let tasks: [TaskInfo]
    private let byNumber: [UInt64: TaskInfo]

    init(_ tasks: [TaskInfo]) {
        self.tasks = tasks
        byNumber = Dictionary(tasks.compactMap { task in task.number.map { ($0, task) } }, uniquingKeysWith: { $1 })
    }

    func text(_ loop: String) -> String {
        var lines = ["\(loop): \(tasks.count) task\(tasks.count == 1 ? "" : "s")"]
        var written: Set<UInt64> = []
        let awaited = Set(tasks.flatMap(\.awaited))
        let children = Set(tasks.flatMap(\.children))
        let roots = tasks.indices.filter { index in
            !children.contains(index) && tasks[index].number.map { !awaited.contains($0) } ?? true
        }
        var path: Set<UInt64> = []
        for root in roots { write(tasks[root], 1, &path, &lines, &written) }
        // Who is left is awaited, and by nobody who is not: a ring.
        for task in tasks {
            guard let number = task.number, !written.contains(number) else { continue }
            write(task, 1, &path, &lines, &written)
        }
        return lines.joined(separator: "\n")
    }

    /// Writes a task and, below it, those that it awaits: all that once, or else what several await would double the text
    /// at each level.

    private func write(
        _ task: TaskInfo,
        _ depth: Int,
        _ path: inout Set<UInt64>,
        _ lines: inout [String],
        _ written: inout Set<UInt64>
    ) {
        let indent = String(repeating: "  ", count: depth)
        if let number = task.number {
            if path.contains(number) {
                return lines.append("\(indent)#\(number) again: these tasks await one another")
            }
            guard written.insert(number).inserted else { return lines.append("\(indent)\(task.title): see above") }
            path.insert(number)
        }
        lines.append(indent + task.line)
        for child in task.children { write(tasks[child], depth + 1, &path, &lines, &written) }
        for number in task.awaited {
            guard let next = byNumber[number] else { continue }
            write(next, depth + 1, &path, &lines, &written)
        }
        if let number = task.number { path.remove(number) }
    }

    var json: String { "[" + tasks.map(Self.json).joined(separator: ",\n ") + "]" }

    private static func json(_ task: TaskInfo) -> String {
        var fields: [String] = []
        if let number = task.number { fields.append("\"number\": \(number)") }
        fields.append("\"name\": \(quoted(task.name))")
        if let site = task.site { fields.append("\"site\": \(quoted(site))") }
        switch task.state {
        case .running: fields.append("\"state\": \"running\"")
        case .waiting(let reason): fields += ["\"state\": \"waiting\"", "\"waitsFor\": \(quoted(reason))"]
        case .other: fields.append("\"state\": \"other\"")
        }
        fields.append("\"awaited\": [\(task.awaited.map { "\($0)" }.joined(separator: ", "))]")
        fields.append("\"children\": [\(task.children.map { "\($0)" }.joined(separator: ", "))]")
        return "{" + fields.joined(separator: ", ") + "}"
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
