import Foundation

/// A generated document: a preamble and sections between markers, so that each experiment's program can replace its own
/// and leaves the others as they are.
public struct SectionedDocument: Equatable, Sendable {
    /// What stands between a program's markers.
    struct Section: Equatable, Sendable {
        let id: String
        let body: String
    }

    private let preamble: String
    /// In the alphabetical order of their names.
    private(set) var sections: [Section] = []

    private static func begin(_ id: String) -> String { "<!-- \(id): begin -->" }
    private static func end(_ id: String) -> String { "<!-- \(id): end -->" }

    /// - Parameters:
    ///   - preamble: What stands above the sections.
    ///   - text: The document as it is; what stands outside its markers is not kept.
    /// - Throws: `UnpairedMarkers` for a section without its end, whose beginning others could follow, and for an end
    ///   alone.
    public init(preamble: String, _ text: String = "") throws(UnpairedMarkers) {
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
            } else if line.hasPrefix("<!-- "), line.hasSuffix(": end -->") {
                throw UnpairedMarkers(id: String(line.dropFirst("<!-- ".count).dropLast(": end -->".count)))
            }
        }
        if let id { throw UnpairedMarkers(id: id) }
    }

    /// A section that has one of its markers, or its end above its beginning.
    public struct UnpairedMarkers: Error, Equatable, CustomStringConvertible {
        let id: String
        public var description: String {
            "expected the line '\(SectionedDocument.begin(id))' and below it '\(SectionedDocument.end(id))',"
                + " found one of them alone or in the wrong order"
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
    /// - Returns: Nil where the document has neither of the markers.
    /// - Throws: `UnpairedMarkers`.
    public static func replacing(id: String, body: String, in text: String) throws(UnpairedMarkers) -> String? {
        let begin = text.range(of: Self.begin(id)), end = text.range(of: Self.end(id))
        if begin == nil, end == nil { return nil }
        guard let first = begin, let last = end, first.upperBound <= last.lowerBound else {
            throw UnpairedMarkers(id: id)
        }
        return text[..<first.upperBound] + "\n" + body + "\n" + text[last.lowerBound...]
    }
}
