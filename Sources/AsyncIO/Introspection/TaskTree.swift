// Tasks as a tree of who awaits whom, as text and as JSON.

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
        let roots = tasks.filter { task in task.number.map { !awaited.contains($0) } ?? true }
        for root in roots { write(root, 1, [], &lines, &written) }
        // Who is left is awaited, and by nobody who is not: a ring.
        for task in tasks {
            guard let number = task.number, !written.contains(number) else { continue }
            write(task, 1, [], &lines, &written)
        }
        return lines.joined(separator: "\n")
    }

    private func write(
        _ task: TaskInfo,
        _ depth: Int,
        _ above: [UInt64],
        _ lines: inout [String],
        _ written: inout Set<UInt64>
    ) {
        let indent = String(repeating: "  ", count: depth)
        if let number = task.number, above.contains(number) {
            return lines.append("\(indent)#\(number) again: these tasks await one another")
        }
        lines.append(indent + task.line)
        if let number = task.number { written.insert(number) }
        for number in task.awaited {
            guard let next = byNumber[number] else { continue }
            write(next, depth + 1, above + (task.number.map { [$0] } ?? []), &lines, &written)
        }
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
