import Foundation

/// A Markdown table; a bar in a cell is escaped.
public func markdownTable(_ header: [String], _ rows: [[String]]) -> String {
    func line(_ cells: [String]) -> String {
        "| " + cells.map { $0.replacingOccurrences(of: "|", with: "\\|") }.joined(separator: " | ") + " |"
    }
    return ([line(header), "|" + String(repeating: "---|", count: header.count)] + rows.map(line))
        .joined(separator: "\n")
}

/// Rows as text in aligned columns; the first row is the header.
///
/// - Parameter width: Of the terminal. Where a line would be wider, each row becomes a block: its first cell, and below
///   it a line for each of the others that is not empty, behind the column's header.
public func alignedColumns(_ rows: [[String]], width: Int? = nil) -> String {
    guard let header = rows.first else { return "" }
    let widths = columnWidths(rows)
    if let width, widths.reduce(-2, { $0 + $1 + 2 }) > width {
        return rows.dropFirst().map { row in
            let cells = zip(header, row).dropFirst().filter { !$1.isEmpty }.map { ["", $0, $1] }
            return ([row[0]] + alignedLines(cells)).joined(separator: "\n")
        }.joined(separator: "\n\n")
    }
    let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")
    let lines = alignedLines(rows)
    return ([lines[0], rule] + lines.dropFirst()).joined(separator: "\n")
}

private func columnWidths(_ rows: [[String]]) -> [Int] {
    let columns = rows.map(\.count).max() ?? 0
    return (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
}

private func alignedLines(_ rows: [[String]]) -> [String] {
    let widths = columnWidths(rows)
    return rows.map { row in
        let cells = row.enumerated().map { $1 + String(repeating: " ", count: widths[$0] - $1.count) }
        return cells.joined(separator: "  ").replacing(#/ +$/#, with: "")
    }
}
