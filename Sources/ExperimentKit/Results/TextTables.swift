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
public func alignedColumns(_ rows: [[String]]) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    func line(_ row: [String]) -> String {
        let cells = row.enumerated().map { $1 + String(repeating: " ", count: widths[$0] - $1.count) }
        return cells.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }
    guard let header = rows.first else { return "" }
    let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")
    return ([line(header), rule] + rows.dropFirst().map(line)).joined(separator: "\n")
}
