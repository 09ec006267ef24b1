// The echo figures as a picture: a panel for each load, a bar for each server, as long as its CPU time for one message
// beside libuv's in C. Drawn as SVG by hand: it is rectangles and text, readable on light and dark pages.

/// A chart of echo results.
struct Chart {
    /// The loads that are shown, of those that were measured.
    private static let scenarios = [
        "ping-1x64", "ping-50x64", "ping-50x1k", "ping-50x16k", "pipeline-50x64x16", "lines-50x64", "churn", "bulk-4",
    ]
    private static let width = 920, panelWidth = 440, rowHeight = 18, labelWidth = 190, barWidth = 190
    /// The ratio that a bar of full length stands for; longer ones are cut, and their number says how long.
    private static let longest = 4.0

    private let panels: [EchoResult]
    private let machine: Machine

    init(_ results: Results) {
        panels = Self.scenarios.compactMap { name in results.echo.first { $0.scenario == name } }
        machine = results.machine
    }

    var svg: String {
        var y = 66
        var body: [String] = []
        for row in stride(from: 0, to: panels.count, by: 2) {
            let pair = panels[row..<min(row + 2, panels.count)]
            for (column, panel) in pair.enumerated() { body += drawn(panel, x: column * (Self.panelWidth + 40), y: y) }
            y += (pair.map { height(of: $0) }.max() ?? 0) + 24
        }
        let head = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Self.width)" height="\(y)" \
            viewBox="0 0 \(Self.width) \(y)" font-family="system-ui, sans-serif" font-size="12">
            <style>
            text { fill: #24292f } .faint { fill: #6e7781 } .bar { fill: #b6bec8 } .ours { fill: #f05138 }
            .line { stroke: #6e7781; stroke-width: 1; stroke-dasharray: 3 3 }
            @media (prefers-color-scheme: dark) {
            text { fill: #e6edf3 } .faint { fill: #9198a1 } .bar { fill: #545d68 } .line { stroke: #9198a1 }
            }
            </style>
            <text x="0" y="18" font-size="16" font-weight="600">Server CPU for one message, as a multiple of libuv \
            in C</text>
            <text x="0" y="38" class="faint">Shorter is better. Best round, and the median behind the stroke. \
            \(escaped(machine.sentence))</text>
            """
        return ([head] + body + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private func height(of panel: EchoResult) -> Int { 26 + shown(panel).count * Self.rowHeight }

    /// A setting of ours that few change is in the tables.
    private func shown(_ panel: EchoResult) -> [EchoResult.ServerResult] {
        panel.servers.filter { ![.streamsPool, .twoLoops].contains($0.server) }
    }

    private func drawn(_ panel: EchoResult, x: Int, y: Int) -> [String] {
        let left = x + Self.labelWidth
        let one = left + Int(Double(Self.barWidth) / Self.longest)
        let bottom = y + height(of: panel)
        var lines = [#"<text x="\#(x)" y="\#(y + 4)" font-weight="600">\#(escaped(panel.title))</text>"#]
        let ranked = shown(panel).compactMap { server in server.ratio.map { (server.server, $0) } }
            .sorted { $0.1.least < $1.1.least }
        for (index, (server, ratio)) in ranked.enumerated() {
            let top = y + 14 + index * Self.rowHeight
            let length = max(1, Int(Double(Self.barWidth) * min(ratio.least, Self.longest) / Self.longest))
            let figures = "\(Text.decimal(ratio.least, places: 2)) | \(Text.decimal(ratio.median, places: 2))"
            let kind = server.isOurs ? "ours" : "bar"
            lines += [
                #"<text x="\#(left - 6)" y="\#(top + 12)" text-anchor="end">\#(escaped(server.title))</text>"#,
                #"<rect class="\#(kind)" x="\#(left)" y="\#(top + 2)" width="\#(length)" height="13" rx="2"/>"#,
                #"<text class="faint" x="\#(left + length + 5)" y="\#(top + 12)" font-size="11">\#(figures)</text>"#,
            ]
        }
        lines.append(#"<line class="line" x1="\#(one)" y1="\#(y + 12)" x2="\#(one)" y2="\#(bottom - 8)"/>"#)
        return lines
    }

    private func escaped(_ text: String) -> String {
        text.split(separator: "&", omittingEmptySubsequences: false).joined(separator: "&amp;")
            .split(separator: "<", omittingEmptySubsequences: false).joined(separator: "&lt;")
    }
}
