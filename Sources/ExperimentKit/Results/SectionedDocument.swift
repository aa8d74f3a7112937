import Foundation

/// A generated document: a preamble and sections between markers, so that each experiment's program can replace its own
/// and leaves the others as they are.
public struct SectionedDocument: Equatable, Sendable {
    /// What stands between a program's markers.
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
    /// - Throws: `UnendedSection`: what follows its beginning could belong to others.
    public init(preamble: String, _ text: String = "") throws(UnendedSection) {
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
        if let id { throw UnendedSection(end: Self.end(id)) }
    }

    /// A section whose end is missing.
    public struct UnendedSection: Error, Equatable, CustomStringConvertible {
        let end: String
        public var description: String { "expected the line '\(end)' after the section's beginning, found none" }
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
