import Foundation

/// An SVG picture: elements in the order that they are drawn, a style sheet for light and dark pages, no scripts and no
/// files beside it.
///
/// Coordinates are in pixels from the upper left corner. The picture paints its own background, so that it is readable
/// whatever page it stands on.
public struct SVG {
    /// The alignment of a text.
    public enum Anchor: String { case start, middle, end }

    /// The shape of a data point: series differ in it as well as in color.
    public enum Marker: Int, CaseIterable { case circle, square, diamond, triangle, cross }

    public let width: Double
    public var height: Double
    /// The picture's description for readers who do not see it.
    public let title: String
    private var elements: [String] = []

    public init(width: Double, height: Double, title: String) {
        self.width = width
        self.height = height
        self.title = title
    }

    /// Colors by class, for both kinds of pages: ink, quiet lines, and series `s0` … (Okabe, Ito 2008, made darker or
    /// lighter to stand out from white and from black).
    private static let style: String = {
        let light = ["#005a9c", "#b84a00", "#00694d", "#9c3d78", "#7a5c00", "#3d3d8f"]
        let dark = ["#6cb6ff", "#ff9a57", "#4fd1a5", "#f09cc9", "#e3c04d", "#b3aaff"]
        func rules(paper: String, ink: String, quiet: String, grid: String, series: [String]) -> String {
            ".paper{fill:\(paper)}.ink{fill:\(ink)}.ink-line{stroke:\(ink)}.quiet{fill:\(quiet)}.axis{stroke:\(quiet)}"
                + ".grid{stroke:\(grid)}"
                + series.enumerated().map { ".f\($0){fill:\($1)}.s\($0){stroke:\($1)}" }.joined()
        }
        return "text{font-family:Helvetica,Arial,sans-serif}.mono{font-family:Menlo,Consolas,monospace}"
            + rules(paper: "#ffffff", ink: "#1f2328", quiet: "#59636e", grid: "#d8dee4", series: light)
            + "@media (prefers-color-scheme:dark){"
            + rules(paper: "#0d1117", ink: "#e6edf3", quiet: "#9198a1", grid: "#30363d", series: dark) + "}"
    }()

    /// Series after the last color begin anew, with the next kind of line.
    static let colors = 6

    /// The picture as a file.
    public var text: String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.number(width)) \(Self.number(height))" \
        width="\(Self.number(width))" height="\(Self.number(height))" role="img">
        <title>\(Self.escaped(title))</title>
        <style>\(Self.style)</style>
        <rect class="paper" width="100%" height="100%"/>
        \(elements.joined(separator: "\n"))
        </svg>

        """
    }

    // MARK: - Elements

    /// A text whose baseline stands at y.
    ///
    /// - Parameter turned: Read from below to above, about its anchor.
    public mutating func text(
        _ text: String, x: Double, y: Double, size: Double = 12, anchor: Anchor = .start, style: String = "ink",
        bold: Bool = false, turned: Bool = false
    ) {
        let place = "x=\"\(Self.number(x))\" y=\"\(Self.number(y))\""
        let turn = turned ? " transform=\"rotate(-90 \(Self.number(x)) \(Self.number(y)))\"" : ""
        elements.append(
            "<text class=\"\(style)\" \(place) font-size=\"\(Self.number(size))\""
                + (anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\"")
                + (bold ? " font-weight=\"bold\"" : "")
                + "\(turn) xml:space=\"preserve\">\(Self.escaped(text))</text>")
    }

    public mutating func rectangle(
        x: Double, y: Double, width: Double, height: Double, style: String, opacity: Double = 1
    ) {
        elements.append(
            "<rect class=\"\(style)\" x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(width))\""
                + " height=\"\(Self.number(height))\""
                + (opacity < 1 ? " opacity=\"\(Self.number(opacity))\"" : "") + "/>")
    }

    /// Straight lines from point to point.
    ///
    /// - Parameter dash: Lengths of dashes and gaps; empty draws a whole line.
    public mutating func path(
        _ points: [(x: Double, y: Double)], style: String, width: Double = 1, dash: [Double] = []
    ) {
        let places = points.map { "\(Self.number($0.x)),\(Self.number($0.y))" }.joined(separator: " ")
        let dashes = dash.map(Self.number).joined(separator: " ")
        elements.append(
            "<polyline class=\"\(style)\" points=\"\(places)\" fill=\"none\" stroke-width=\"\(Self.number(width))\""
                + (dash.isEmpty ? "" : " stroke-dasharray=\"\(dashes)\"") + " stroke-linejoin=\"round\"/>")
    }

    public mutating func marker(_ marker: Marker, x: Double, y: Double, size: Double = 3.5, style: String) {
        func polygon(_ corners: [(Double, Double)]) -> String {
            let points = corners.map { "\(Self.number(x + $0.0 * size)),\(Self.number(y + $0.1 * size))" }
            return "<polygon class=\"\(style)\" points=\"\(points.joined(separator: " "))\"/>"
        }
        switch marker {
        case .circle:
            elements.append(
                "<circle class=\"\(style)\" cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"\(Self.number(size))\"/>"
            )
        case .square: elements.append(polygon([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]))
        case .diamond: elements.append(polygon([(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)]))
        case .triangle: elements.append(polygon([(0, -1.2), (1.15, 0.9), (-1.15, 0.9)]))
        case .cross:
            let (a, b) = (0.35, 1.15)
            elements.append(
                polygon([
                    (-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a),
                    (-a, -a),
                ]))
        }
    }

    /// Pixels, each drawn as a square.
    public mutating func image(_ raster: Raster, x: Double, y: Double, width: Double, height: Double) {
        elements.append(
            "<image x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(width))\""
                + " height=\"\(Self.number(height))\" preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\""
                + " href=\"data:image/png;base64,\(Data(raster.png).base64EncodedString())\"/>")
    }

    // MARK: - Text

    /// At most two decimals and no trailing zeros: the same in every locale.
    static func number(_ value: Double) -> String {
        let text = String(format: "%.2f", value)
        var end = text.endIndex
        while text[text.index(before: end)] == "0" { end = text.index(before: end) }
        if text[text.index(before: end)] == "." { end = text.index(before: end) }
        let short = String(text[..<end])
        return short == "-0" ? "0" : short
    }

    /// Text as XML holds it; what XML cannot hold becomes a replacement character.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\t", "\n": result += " "
            case "\0"..<" ", "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// About the width of a text in pixels: no font is measured, so it errs on the wide side.
    public static func width(of text: String, size: Double = 12) -> Double { Double(text.count) * size * 0.53 }
}
