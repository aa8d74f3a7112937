/// Histograms side by side, one a panel, all with the same axes.
public struct Histograms {
    /// One histogram: its heading, and what is counted.
    public struct Panel {
        public let name: String
        public let values: [Float]

        public init(name: String, values: [Float]) {
            self.name = name
            self.values = values
        }
    }

    public let title: String
    public let xLabel: String
    /// Of the horizontal axis; what lies outside is in no bin.
    public let range: ClosedRange<Double>
    /// Equal parts of the range.
    public let bins: Int
    public let panels: [Panel]

    public init(title: String, xLabel: String, range: ClosedRange<Double>, bins: Int, panels: [Panel]) {
        self.title = title
        self.xLabel = xLabel
        self.range = range
        self.bins = bins
        self.panels = panels
    }

    /// The share of the values in each bin; both ends of the range belong to it, values outside to no bin.
    public static func shares(of values: [Float], range: ClosedRange<Double>, bins: Int) -> [Double] {
        var counts = [Int](repeating: 0, count: bins)
        let extent = range.upperBound - range.lowerBound
        for value in values where range.contains(Double(value)) {
            counts[min(bins - 1, Int((Double(value) - range.lowerBound) / extent * Double(bins)))] += 1
        }
        return counts.map { Double($0) / Double(max(values.count, 1)) }
    }

    /// The picture, two panels a row.
    public var svg: String {
        let shares = panels.map { Self.shares(of: $0.values, range: range, bins: bins) }
        let columns = min(panels.count, 2), rows = (panels.count + 1) / 2
        let (height, gapX, gapY) = (170.0, 80.0, 78.0)
        let width = max(360, panels.map { SVG.width(of: $0.name, size: 13) }.max() ?? 0)
        let x = Axis([range.lowerBound, range.upperBound], scale: .linear, ticks: 4)
        let y = Axis(shares.flatMap { $0 }, scale: .linear, includesZero: true, ticks: 4)
        var svg = SVG(
            width: 66 + Double(columns) * (width + gapX) - 50, height: 70 + Double(rows) * (height + gapY) - 10,
            title: title)
        svg.text(title, x: 66, y: 24, size: 15, bold: true)
        for (index, panel) in panels.enumerated() {
            let frame = ChartFrame(
                x: x, y: y, left: 66 + Double(index % 2) * (width + gapX),
                top: 66 + Double(index / 2) * (height + gapY),
                width: width, height: height)
            svg.text(panel.name, x: frame.left, y: frame.top - 10, size: 13)
            frame.draw(into: &svg, xLabel: index / 2 == rows - 1 ? xLabel : "", yLabel: index % 2 == 0 ? "share" : "")
            let bar = (range.upperBound - range.lowerBound) / Double(bins)
            for (bin, share) in shares[index].enumerated() where share > 0 {
                let left = range.lowerBound + Double(bin) * bar
                guard let corner = frame.point(left, share), let opposite = frame.point(left + bar, 0) else { continue }
                svg.rectangle(
                    x: corner.x, y: corner.y, width: opposite.x - corner.x - 0.5, height: opposite.y - corner.y,
                    style: "f0")
            }
        }
        return svg.text
    }
}
