/// Points in a plane, in groups that differ in color and shape: small faint ones, and large ones with a word beside
/// them.
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
        var places: [Place] = [], words: [Word] = []
        for (index, group) in groups.enumerated() {
            let first = words.count
            for label in group.labels {
                guard let place = frame.point(label.x, label.y) else { continue }
                svg.marker(Self.marker(index), x: place.x, y: place.y, size: 5, style: "f\(index % SVG.colors)")
                places.append(place)
                // Words of points of a group that lie on each other share a line.
                if let near = words[first...].firstIndex(where: { $0.isNear(place) }) {
                    words[near].texts.append(label.text)
                } else {
                    words.append(Word(texts: [label.text], point: place))
                }
            }
        }
        var taken = places.map { Box(x: $0.x - 6...$0.x + 6, y: $0.y - 6...$0.y + 6) }
        for word in words {
            // Where it hides nothing: right of its point, left, below, above, at a corner; else where it hides least.
            let boxes = word.boxes.filter { $0.x.lowerBound > frame.left }
            let hidden = boxes.map { box in taken.reduce(0) { $0 + $1.sharedArea(with: box) } }
            let box = zip(boxes, hidden).min { $0.1 < $1.1 }?.0 ?? word.boxes[0]
            taken.append(box)
            svg.text(word.text, x: box.x.lowerBound, y: box.y.upperBound - 2, size: Word.size)
        }
        return svg.text
    }

    private typealias Place = (x: Double, y: Double)

    private struct Box {
        let x: ClosedRange<Double>
        let y: ClosedRange<Double>

        func sharedArea(with other: Box) -> Double {
            let (x, y) = (x.clamped(to: other.x), y.clamped(to: other.y))
            return (x.upperBound - x.lowerBound) * (y.upperBound - y.lowerBound)
        }
    }

    private struct Word {
        static let size = 11.0
        var texts: [String]
        let point: Place

        /// Three or more whole numbers that follow on each other are written as a range.
        var text: String {
            let numbers = texts.compactMap { Int($0) }
            let isRange = texts.count > 2 && numbers == (0..<texts.count).map { (numbers.first ?? 0) + $0 }
            return isRange ? "\(texts[0])–\(texts[texts.count - 1])" : texts.joined(separator: ", ")
        }

        func isNear(_ place: Place) -> Bool { abs(point.x - place.x) < 12 && abs(point.y - place.y) < 10 }

        /// The places for it, beside its point's marker.
        var boxes: [Box] {
            let width = SVG.width(of: text, size: Self.size)
            let (left, right, above, below) = (-7 - width, 7.0, -19.0, 7.0)
            return [
                (right, -6), (left, -6), (-width / 2, below), (-width / 2, above),
                (right, below), (right, above), (left, below), (left, above),
            ].map { x, y in
                Box(x: point.x + x...point.x + x + width, y: point.y + y...point.y + y + 12)
            }
        }
    }

    private static func marker(_ group: Int) -> SVG.Marker { SVG.Marker.allCases[group % SVG.Marker.allCases.count] }
}
