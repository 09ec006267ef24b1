// Markdown tables with columns that line up as plain text too, and numbers as they are read.

struct MarkdownTable: CustomStringConvertible {
    private let textColumns: Int
    private var rows: [[String]]

    /// A table whose first columns are text, the others numbers.
    init(_ header: [String], textColumns: Int) {
        self.textColumns = textColumns
        rows = [header]
    }

    mutating func append(_ row: [String]) {
        rows.append(row)
    }

    var description: String {
        let widths = rows[0].indices.map { column in
            max(3, rows.map { $0[column].count }.max() ?? 0)
        }
        var lines = rows.map { line(of: $0, widths) }
        lines.insert(rule(widths), at: 1)
        return lines.joined(separator: "\n")
    }

    private func line(of row: [String], _ widths: [Int]) -> String {
        let cells = zip(row, widths).enumerated().map { column, cell in
            let padding = String(repeating: " ", count: cell.1 - cell.0.count)
            return column < textColumns ? cell.0 + padding : padding + cell.0
        }
        return "| " + cells.joined(separator: " | ") + " |"
    }

    private func rule(_ widths: [Int]) -> String {
        let cells = widths.enumerated().map { column, width in
            column < textColumns ? String(repeating: "-", count: width) : String(repeating: "-", count: width - 1) + ":"
        }
        return "| " + cells.joined(separator: " | ") + " |"
    }
}

enum Text {
    /// A whole number with its thousands apart: `12,345`.
    static func grouped(_ number: Double) -> String {
        let digits = String(Int(number.rounded().magnitude))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index).isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return number.rounded() < 0 ? "-" + text : text
    }

    /// A number with so many digits behind the point.
    static func decimal(_ number: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = Int((number.magnitude * scale).rounded())
        let whole = grouped(Double(scaled / Int(scale)))
        let sign = number < 0 && scaled > 0 ? "-" : ""
        if places == 0 { return sign + whole }
        let fraction = String(scaled % Int(scale))
        return sign + whole + "." + String(repeating: "0", count: places - fraction.count) + fraction
    }
}
