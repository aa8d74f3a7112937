import Foundation

/// A generated document: a preamble and sections between markers, so that each experiment's program can replace its own
/// and leaves the others as they are.
public struct SectionedDocument: Equatable, Sendable {
    public struct Section: Equatable, Sendable {
        public let id: String
        public let body: String
    }

    private let preamble: String
    /// In the alphabetical order of their names.
    public private(set) var sections: [Section] = []

    private static func begin(_ id: String) -> String { "<!-- \(id): begin -->" }
    private static func end(_ id: String) -> String { "<!-- \(id): end -->" }

    /// - Parameters:
    ///   - preamble: What stands above the sections.
    ///   - text: The document as it is; what stands outside its markers is not kept.
    public init(preamble: String, _ text: String = "") {
        self.preamble = preamble
        var id: String?
        var lines: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if let open = id {
                if line == Self.end(open) {
                    sections.append(Section(id: open, body: lines.joined(separator: "\n")))
                    id = nil
                } else {
                    lines.append(line)
                }
            } else if line.hasPrefix("<!-- "), line.hasSuffix(": begin -->") {
                id = String(line.dropFirst("<!-- ".count).dropLast(": begin -->".count))
                lines = []
            }
        }
    }

    /// Puts a section in its place, new or instead of the one that was there.
    public mutating func replace(id: String, body: String) {
        sections.removeAll { $0.id == id }
        sections.append(Section(id: id, body: body))
        sections.sort { $0.id < $1.id }
    }

    public var text: String {
        ([preamble] + sections.map { "\(Self.begin($0.id))\n\($0.body)\n\(Self.end($0.id))\n" })
            .joined(separator: "\n")
    }

    /// A document written by hand with one generated section put anew between its markers.
    ///
    /// - Returns: nil where the document has no such markers.
    public static func replacing(id: String, body: String, in text: String) -> String? {
        guard let begin = text.range(of: begin(id)), let end = text.range(of: end(id)),
            begin.upperBound <= end.lowerBound
        else { return nil }
        return text[..<begin.upperBound] + "\n" + body + "\n" + text[end.lowerBound...]
    }
}

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

/// Mean and sample standard deviation of a figure over seeds.
public struct SeedStatistics: Equatable, Sendable {
    public let mean: Double
    /// With n − 1 in the denominator; nil for a single seed.
    public let standardDeviation: Double?
    public let count: Int

    /// - Returns: nil for no values.
    public init?(_ values: [Double]) {
        guard !values.isEmpty else { return nil }
        count = values.count
        let mean = values.reduce(0, +) / Double(values.count)
        self.mean = mean
        standardDeviation =
            values.count < 2
            ? nil : (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
    }

    /// `1.2503`, or `1.2503 ± 0.0021 (n = 3)`.
    public var text: String { text(decimals: 4) }

    public func text(decimals: Int) -> String {
        guard let standardDeviation else { return fixed(mean, decimals) }
        return "\(fixed(mean, decimals)) ± \(fixed(standardDeviation, decimals)) (n = \(count))"
    }
}

/// Whether our figure reproduces the paper's; computed, never chosen.
public enum ReproductionStatus: Equatable, Sendable {
    case notRun
    /// Some run of the row is under way or was stopped: at `step` of `steps`.
    case incomplete(step: Int, steps: Int)
    /// Run on other data than the paper's.
    case otherData(name: String)
    /// Fewer steps than the paper's, or a smaller model: no verdict.
    case reducedBudget
    /// The paper has no number for the row.
    case noPaperNumber
    case reproduced(difference: Double, tolerance: Double)
    case notReproduced(difference: Double, tolerance: Double)

    /// Holds a mean test figure to the paper's: reproduced when it is within `tolerance`, on either side.
    public init(mean: Double, paper: Double, tolerance: Double) {
        let difference = mean - paper
        // A NaN lies within no tolerance.
        self =
            abs(difference) <= tolerance
            ? .reproduced(difference: difference, tolerance: tolerance)
            : .notReproduced(difference: difference, tolerance: tolerance)
    }

    public var text: String {
        switch self {
        case .notRun: return "not run"
        case .incomplete(let step, let steps): return "incomplete (step \(grouped(step)) of \(grouped(steps)))"
        case .otherData(let name): return "other data: \(name)"
        case .reducedBudget: return "reduced budget"
        case .noPaperNumber: return "run; no number in the paper"
        case .reproduced(let difference, let tolerance):
            return "reproduced (\(signed(difference)), within ±\(fixed(tolerance, 2)))"
        case .notReproduced(let difference, let tolerance):
            return "not reproduced (\(signed(difference)), tolerance ±\(fixed(tolerance, 2)))"
        }
    }
}

/// A difference with its sign: `+0.012`, `−0.003`.
public func signed(_ value: Double, _ decimals: Int = 3) -> String {
    (value < 0 ? "−" : "+") + fixed(abs(value), decimals)
}
