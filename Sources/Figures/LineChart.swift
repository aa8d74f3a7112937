/// A chart of curves: each has a color, dashes and a marker, its own unless it is given others, and its name stands at
/// its end.
public struct LineChart: Sendable {
    public struct Series: Sendable {
        public enum Kind: Sendable {
            /// A curve of measurements.
            case measured
            /// One to compare with, such as the paper's: dashed and without color.
            case reference
        }

        /// A color and a kind of line, each by its number: curves that belong together have one of them in common.
        public struct Look: Sendable {
            public let color: Int
            public let dash: Int

            public init(color: Int, dash: Int) {
                self.color = color
                self.dash = dash
            }
        }

        public let name: String
        public let kind: Kind
        /// nil for a color and a kind of line of its own.
        public let look: Look?
        /// In ascending order of x.
        public let points: [(x: Double, y: Double)]

        public init(name: String, kind: Kind = .measured, look: Look? = nil, points: [(x: Double, y: Double)]) {
            self.name = name
            self.kind = kind
            self.look = look
            self.points = points
        }
    }

    public let title: String
    public let xLabel: String
    public let yLabel: String
    public let xScale: Axis.Scale
    public let yScale: Axis.Scale
    public let series: [Series]

    public init(
        title: String, xLabel: String, yLabel: String, xScale: Axis.Scale = .linear, yScale: Axis.Scale = .linear,
        series: [Series]
    ) {
        self.title = title
        self.xLabel = xLabel
        self.yLabel = yLabel
        self.xScale = xScale
        self.yScale = yScale
        self.series = series
    }

    private static let dashes: [[Double]] = [[], [8, 3], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4]]
    /// Markers of a curve are left out where it has more points.
    private static let mostMarkers = 60
    private static let lineHeight = 15.0

    public var svg: String {
        let drawn = series.filter { !$0.points.isEmpty }
        let height = max(330, Self.lineHeight * Double(drawn.count))
        let labelWidth = (drawn.map { SVG.width(of: $0.name) }.max() ?? 0) + 50
        let frame = ChartFrame(
            x: Axis(drawn.flatMap { $0.points.map(\.x) }, scale: xScale, includesZero: true),
            y: Axis(drawn.flatMap { $0.points.map(\.y) }, scale: yScale), left: 66, top: 44, width: 520, height: height)
        var svg = SVG(width: frame.left + frame.width + labelWidth, height: height + 100, title: title)
        svg.text(title, x: frame.left, y: 24, size: 15, bold: true)
        func label(_ text: String, _ scale: Axis.Scale) -> String {
            scale == .logarithmic ? "\(text) (logarithmic)" : text
        }
        frame.draw(into: &svg, xLabel: label(xLabel, xScale), yLabel: label(yLabel, yScale))

        var ends: [(name: String, y: Double, style: Style)] = [], measured = 0
        for series in drawn {
            var style: Style
            if series.kind == .reference {
                style = Style(line: "ink-line", fill: "ink", dash: [3, 4], marker: nil)
            } else {
                let color = series.look?.color ?? measured
                // One further for each round of the colors, so that no two curves are alike in both.
                let dash = series.look?.dash ?? measured + measured / SVG.colors
                style = Style(
                    line: "s\(color % SVG.colors)", fill: "f\(color % SVG.colors)",
                    dash: Self.dashes[dash % Self.dashes.count],
                    marker: SVG.Marker.allCases[color % SVG.Marker.allCases.count])
                measured += 1
            }
            let points = series.points.compactMap { frame.point($0.x, $0.y) }
            if points.count > Self.mostMarkers { style.marker = nil }
            svg.path(points, style: style.line, width: 2, dash: style.dash)
            if let marker = style.marker {
                for point in points { svg.marker(marker, x: point.x, y: point.y, style: style.fill) }
            }
            if let last = points.last { ends.append((series.name, last.y, style)) }
        }
        drawNames(ends, at: frame.left + frame.width + 10, frame: frame, into: &svg)
        return svg.text
    }

    private struct Style {
        let line: String
        let fill: String
        let dash: [Double]
        var marker: SVG.Marker?
    }

    /// The names in the order of the curves' ends, as near to them as their lines of text leave room.
    private func drawNames(
        _ ends: [(name: String, y: Double, style: Style)], at x: Double, frame: ChartFrame, into svg: inout SVG
    ) {
        let sorted = ends.sorted { $0.y < $1.y }
        var places = sorted.map(\.y)
        for index in places.indices.dropFirst() {
            places[index] = max(places[index], places[index - 1] + Self.lineHeight)
        }
        // From below: what stands too low moves up, and what is in its way with it.
        var lowest = frame.top + frame.height
        for index in places.indices.reversed() {
            places[index] = min(places[index], lowest)
            lowest = places[index] - Self.lineHeight
        }
        for (end, y) in zip(sorted, places) {
            svg.path([(x, y), (x + 26, y)], style: end.style.line, width: 2, dash: end.style.dash)
            if let marker = end.style.marker { svg.marker(marker, x: x + 13, y: y, style: end.style.fill) }
            svg.text(end.name, x: x + 32, y: y + 4)
        }
    }
}
