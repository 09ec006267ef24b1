// Whether answers could be those of one store that does one thing at a time (Wing and Gong's search): each command takes
// effect at an instant between question and answer, and one whose answer never came at any later instant, or never.

/// A command to the key-value server.
struct Question: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case set(String), get, delete
    }

    let key: String
    let kind: Kind

    var line: String {
        switch kind {
        case .set(let value): "SET \(key) \(value)"
        case .get: "GET \(key)"
        case .delete: "DEL \(key)"
        }
    }

    /// What the server answers if the key has a value or none, and the value afterwards.
    func effect(on value: String?) -> (answer: String, value: String?) {
        switch kind {
        case .set(let new): ("OK", new)
        case .get: (value.map { "VALUE \($0)" } ?? "NONE", value)
        case .delete: (value == nil ? "NONE" : "OK", nil)
        }
    }
}

/// What was asked and answered, in order.
@MainActor
final class History {
    struct Command {
        let question: Question
        /// Places in the order of all questions and answers.
        let asked: Int
        var answered: Int?
        var answer: String?
    }

    private var commands: [Command] = []
    private var instant = 0

    /// Notes a question, and returns its number.
    func ask(_ question: Question) -> Int {
        instant += 1
        commands.append(Command(question: question, asked: instant))
        return commands.count - 1
    }

    func answered(_ number: Int, _ answer: String) {
        instant += 1
        commands[number].answered = instant
        commands[number].answer = answer
    }

    /// Throws unless the answers are possible.
    func check(isComplete: Bool) throws {
        try BrokenPromise.unless(!isComplete || commands.allSatisfy { $0.answer != nil }, "A question has no answer.")
        for key in Set(commands.map(\.question.key)).sorted() {
            let all = commands.filter { $0.question.key == key }
            // What only asks and was not answered says nothing.
            var search = Search(all.filter { $0.answer != nil || $0.question.kind != .get })
            try BrokenPromise.unless(search.succeeds(), "No order of the commands explains the answers:\n\(story(all))")
        }
    }

    private func story(_ commands: [Command]) -> String {
        commands.map { command in
            "\(command.asked)...\(command.answered.map(String.init) ?? "")"
                + " \(command.question.line): \(command.answer ?? "no answer")"
        }.joined(separator: "\n")
    }
}

/// A search for an order of commands on one key.
private struct Search {
    private struct State: Hashable {
        var done: UInt64 = 0
        var value: String?
    }

    private let commands: [History.Command]
    private var seen: Set<State> = []

    init(_ commands: [History.Command]) { self.commands = commands }

    mutating func succeeds() -> Bool {
        precondition(commands.count <= 64, "The search has a bit for each command.")
        return goes(on: State())
    }

    private mutating func goes(on state: State) -> Bool {
        guard seen.insert(state).inserted else { return false }
        let open = commands.indices.filter { state.done & 1 << UInt64($0) == 0 }
        // Whoever must come next was asked before any of the others was answered.
        let answers = open.compactMap { commands[$0].answered }
        guard let first = answers.min() else { return true }
        for index in open where commands[index].asked < first {
            let command = commands[index]
            let (answer, value) = command.question.effect(on: state.value)
            if let told = command.answer, told != answer { continue }
            if goes(on: State(done: state.done | 1 << UInt64(index), value: value)) { return true }
        }
        return false
    }
}
