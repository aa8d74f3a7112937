/// An HTML page in one file: text, tables and SVG pictures, for light and dark, no scripts and no files beside it.
///
/// In texts and cells `words between grave accents` are set as code, as in Markdown.
public struct HTMLPage {
    private let title: String
    private var elements: [String] = []

    /// A page with its title as the first heading.
    public init(title: String) { self.title = title }

    private static let style = """
        :root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--line:#d8dee4}
        @media (prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--line:#30363d}}
        body{background:var(--paper);color:var(--ink);font:15px/1.5 Helvetica,Arial,sans-serif;margin:2em auto;
        max-width:90em;padding:0 1em}
        .wide{overflow-x:auto}
        table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
        th,td{border-bottom:1px solid var(--line);padding:.3em .8em .3em 0;text-align:left;vertical-align:top}
        svg{display:block;height:auto;margin:1em 0;max-width:100%}
        .short{white-space:nowrap}
        td:not(.short){min-width:24em}
        code{font-family:Menlo,Consolas,monospace;font-size:.95em}
        """

    /// The whole page.
    public var text: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(Self.inline(title))</title>
        <style>
        \(Self.style)
        </style>
        </head>
        <body>
        <h1>\(Self.inline(title))</h1>
        \(elements.joined(separator: "\n"))
        </body>
        </html>

        """
    }

    /// Adds a heading of the second level.
    public mutating func heading(_ text: String) { elements.append("<h2>\(Self.inline(text))</h2>") }

    /// Adds a paragraph.
    public mutating func paragraph(_ text: String) { elements.append("<p>\(Self.inline(text))</p>") }

    /// Adds a table.
    ///
    /// - Parameter rows: Each with a cell for each of the header's.
    public mutating func table(_ header: [String], _ rows: [[String]]) {
        func line(_ cells: [String], _ tag: String) -> String {
            // Short cells stand on one line; sentences wrap.
            let cells = cells.map { cell in
                "<\(tag)\(cell.count <= 52 ? " class=\"short\"" : "")>\(Self.inline(cell))</\(tag)>"
            }
            return "<tr>\(cells.joined())</tr>"
        }
        elements.append(
            (["<div class=\"wide\"><table>", line(header, "th")] + rows.map { line($0, "td") } + ["</table></div>"])
                .joined(separator: "\n"))
    }

    /// An SVG picture of this module.
    public mutating func picture(_ svg: String) { elements.append(svg) }

    private static func inline(_ text: String) -> String {
        SVG.escaped(text).replacing(/`([^`]*)`/) { "<code>\($0.output.1)</code>" }
    }
}
