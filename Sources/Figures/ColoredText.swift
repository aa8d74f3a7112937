import Foundation

/// A text with rows of measurements under its characters, one cell a character and row: darker means more.
public struct ColoredText {
    public let title: String
    public let caption: String
    public let characters: [String]
    /// The name of each row of measurements.
    public let rowNames: [String]
    /// Measurements of each row, one a character, 0 and more.
    public let rows: [[Float]]
    /// The measurement that has the full color; greater ones have it too.
    public let greatest: Float

    /// - Precondition: Every row has one measurement a character.
    public init(title: String, caption: String, characters: [String], rowNames: [String], rows: [[Float]]) {
        precondition(rows.allSatisfy { $0.count == characters.count }, "one measurement a character")
        self.title = title
        self.caption = caption
        self.characters = characters
        self.rowNames = rowNames
        self.rows = rows
        // A few outliers would make all others pale: one in fifty may lie above.
        let sorted = rows.flatMap { $0 }.filter(\.isFinite).sorted()
        greatest =
            sorted.isEmpty ? 1 : max(sorted[min(sorted.count - 1, sorted.count * 49 / 50)], .leastNormalMagnitude)
    }

    /// Two digits, without an exponent where the number is of everyday size.
    private var greatestText: String {
        guard greatest >= 1, greatest < 1e6 else { return String(format: "%.2g", greatest) }
        let unit = pow(10, floor(log10(Double(greatest))) - 1)
        return String(format: greatest < 10 ? "%.1f" : "%.0f", (Double(greatest) / unit).rounded() * unit)
    }

    private func share(_ value: Float) -> Double { value.isFinite ? Double(min(max(value / greatest, 0), 1)) : 0 }

    /// The text drawn for a character: a mark for a line's end, so that every cell shows something.
    private static func shown(_ character: String) -> String { character == "\n" ? "↵" : character }

    public var svg: String {
        let (cell, row, perLine, left) = (11.0, 9.0, 80, 44.0)
        let lines = stride(from: 0, to: characters.count, by: perLine).map { $0..<min($0 + perLine, characters.count) }
        let block = 20 + Double(rows.count) * row + 14
        var svg = SVG(
            width: left + Double(perLine) * cell + 20, height: 84 + Double(lines.count) * block + 8, title: title)
        svg.text(title, x: left, y: 24, size: 15, bold: true)
        svg.text(caption, x: left, y: 43, style: "quiet")
        drawLegend(into: &svg, x: left, y: 54)
        for (line, range) in lines.enumerated() {
            let top = 84 + Double(line) * block
            for (name, index) in zip(rowNames, rows.indices) {
                svg.text(
                    name, x: left - 6, y: top + 27.5 + Double(index) * row, size: 9, anchor: .end, style: "quiet")
            }
            for (column, place) in range.enumerated() {
                let x = left + Double(column) * cell
                svg.text(
                    Self.shown(characters[place]), x: x + cell / 2, y: top + 15, size: 13, anchor: .middle,
                    style: "ink mono")
                for (index, values) in rows.enumerated() where share(values[place]) > 0.01 {
                    svg.rectangle(
                        x: x, y: top + 20 + Double(index) * row, width: cell - 0.5, height: row - 0.5, style: "f1",
                        opacity: share(values[place]))
                }
            }
        }
        return svg.text
    }

    private func drawLegend(into svg: inout SVG, x: Double, y: Double) {
        svg.text("0", x: x, y: y + 10, size: 11, style: "quiet")
        for step in 0..<12 {
            svg.rectangle(
                x: x + 12 + Double(step) * 12, y: y + 1, width: 11.5, height: 10, style: "f1",
                opacity: max(0.02, Double(step) / 11))
        }
        svg.text("\(greatestText) and more", x: x + 162, y: y + 10, size: 11, style: "quiet")
    }

    /// The same for a terminal: a line of text, and under it for each row a line of blocks, higher and more strongly
    /// colored where the measurement is greater.
    ///
    /// - Parameters:
    ///   - columns: The width of the terminal.
    ///   - colored: Whether to use ANSI colors (256 of them); without, the blocks' heights tell it.
    public func terminal(columns: Int, colored: Bool) -> String {
        let names = (rowNames.map(\.count).max() ?? 0) + 1, perLine = max(8, columns - names - 1)
        // 256-color codes from gray over orange to red: from pale to strong on a light as on a dark background.
        let ramp = [245, 180, 179, 215, 214, 208, 202, 196], blocks = Array("▁▂▃▄▅▆▇█")
        func block(_ value: Float) -> String {
            let level = min(blocks.count - 1, Int(share(value) * Double(blocks.count)))
            return colored ? "\u{1B}[38;5;\(ramp[level])m\(blocks[level])" : String(blocks[level])
        }
        let reset = colored ? "\u{1B}[0m" : ""
        var lines = ["\(title): \(caption)", "▁ is 0, █ is \(greatestText) and more", ""]
        for start in stride(from: 0, to: characters.count, by: perLine) {
            let range = start..<min(start + perLine, characters.count)
            lines.append(String(repeating: " ", count: names) + range.map { Self.shown(characters[$0]) }.joined())
            for (name, values) in zip(rowNames, rows) {
                let pad = String(repeating: " ", count: names - name.count)
                lines.append(name + pad + range.map { block(values[$0]) }.joined() + reset)
            }
            lines.append("")
        }
        return lines.joined(separator: "\n")
    }
}
