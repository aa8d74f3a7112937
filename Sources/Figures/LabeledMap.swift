/// Points in a plane, in groups that differ in color and shape: small faint ones, and large ones with a word beside them.
public struct LabeledMap {
    public struct Group {
        public let name: String
        public let points: [(x: Double, y: Double)]
        /// The large points and their words.
        public let labels: [(text: String, x: Double, y: Double)]

        public init(
            name: String, points: [(x: Double, y: Double)], labels: [(text: String, x: Double, y: Double)]
        ) {
            self.name = name
            self.points = points
            self.labels = labels
        }
    }

    public let title: String
    public let caption: String
    public let xLabel: String
    public let yLabel: String
    public let groups: [Group]

    public init(title: String, caption: String, xLabel: String, yLabel: String, groups: [Group]) {
        self.title = title
        self.caption = caption
        self.xLabel = xLabel
        self.yLabel = yLabel
        self.groups = groups
    }

    public var svg: String {
        let x = groups.flatMap { $0.points.map(\.x) + $0.labels.map(\.x) }
        let y = groups.flatMap { $0.points.map(\.y) + $0.labels.map(\.y) }
        let frame = ChartFrame(
            x: Axis(x, scale: .linear), y: Axis(y, scale: .linear), left: 70, top: 84, width: 680, height: 500)
        var svg = SVG(width: max(780, 90 + SVG.width(of: caption)), height: 642, title: title)
        svg.text(title, x: frame.left, y: 24, size: 15, bold: true)
        svg.text(caption, x: frame.left, y: 43, style: "quiet")
        frame.draw(into: &svg, xLabel: xLabel, yLabel: yLabel)
        var legend = frame.left + 6
        for (index, group) in groups.enumerated() {
            let marker = Self.marker(index), style = "f\(index % SVG.colors)"
            svg.marker(marker, x: legend, y: 62, size: 5, style: style)
            svg.text(group.name, x: legend + 11, y: 66)
            legend += SVG.width(of: group.name) + 36
            for point in group.points {
                guard let place = frame.point(point.x, point.y) else { continue }
                svg.marker(marker, x: place.x, y: place.y, size: 1.8, style: style)
            }
        }
        // Large points and words last, above all small ones.
        for (index, group) in groups.enumerated() {
            for label in group.labels {
                guard let place = frame.point(label.x, label.y) else { continue }
                svg.marker(Self.marker(index), x: place.x, y: place.y, size: 5, style: "f\(index % SVG.colors)")
                svg.text(label.text, x: place.x + 7, y: place.y + 4, size: 11)
            }
        }
        return svg.text
    }

    private static func marker(_ group: Int) -> SVG.Marker { SVG.Marker.allCases[group % SVG.Marker.allCases.count] }
}
