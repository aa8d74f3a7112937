import Foundation

/// One axis of a chart: numbers to pixels, and the numbers that are written beside it.
public struct Axis {
    public enum Scale: Sendable { case linear, logarithmic }

    let scale: Scale
    /// The numbers at the ends of the axis: both are ticks.
    let range: ClosedRange<Double>
    let ticks: [Double]
    /// Decimals of all ticks; nil where each has as many as it needs.
    private let decimals: Int?

    /// An axis for numbers: from the tick at or below the least to the tick at or above the greatest.
    ///
    /// - Parameters:
    ///   - values: Finite numbers; above zero for a logarithmic axis, which leaves out others.
    ///   - includesZero: Whether a linear axis begins at zero.
    init(_ values: [Double], scale: Scale, includesZero: Bool = false, ticks wanted: Int = 6) {
        self.scale = scale
        let usable = values.filter { $0.isFinite && (scale == .linear || $0 > 0) }
        var low = usable.min() ?? 0.1, high = usable.max() ?? 1
        if scale == .linear && includesZero { (low, high) = (min(low, 0), max(high, 0)) }
        // Of large numbers a billionth on either side: a half would be lost in rounding.
        let half = max(0.5, abs(low) / 1e9)
        if low == high { (low, high) = scale == .linear ? (low - half, high + half) : (low / 1.5, high * 1.5) }

        if scale == .logarithmic && high / low >= 1.6 {
            // A few numbers of every decade, about as far from each other on the axis.
            let perDecade = high / low >= 20 ? [1.0, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]
            let decades = Int(floor(log10(low)))...Int(ceil(log10(high)))
            let all = decades.flatMap { decade in perDecade.map { $0 * pow(10, Double(decade)) } }
            let first = all.lastIndex { $0 <= low * 1.0000001 } ?? 0
            let last = all.firstIndex { $0 >= high * 0.9999999 } ?? all.count - 1
            ticks = Array(all[first...max(last, first + 1)])
            decimals = nil
        } else {
            // A short stretch of a logarithmic axis is nearly linear. Its ticks are farther apart where it begins, so
            // it takes more of them.
            let count = scale == .logarithmic ? wanted + 2 : wanted
            let rough = (high - low) / Double(count), power = pow(10, floor(log10(rough)))
            let step = ([1, 2, 2.5, 5, 10].first { $0 * power >= rough * 0.999 } ?? 10) * power
            let first = Int(floor(low / step + 1e-6)), last = Int(ceil(high / step - 1e-6))
            ticks = (first...max(last, first + 1)).map { Double($0) * step }
            let places = max(0, -Int(floor(log10(step) + 1e-9)))
            decimals = step / power == 2.5 ? places + 1 : places
        }
        range = min(ticks[0], ticks[ticks.count - 1])...ticks[ticks.count - 1]
    }

    /// The place of a number, 0 at the beginning of the axis and 1 at its end; nil for one that has no place on it.
    func place(_ value: Double) -> Double? {
        guard value.isFinite, scale == .linear || value > 0 else { return nil }
        func position(_ value: Double) -> Double { scale == .linear ? value : log(value) }
        let (low, high) = (position(range.lowerBound), position(range.upperBound))
        return (position(value) - low) / (high - low)
    }

    /// The text of a tick, thousands apart.
    func label(_ tick: Double) -> String {
        func isWhole(_ number: Double) -> Bool { abs(number - number.rounded()) < 1e-6 * abs(number) }
        let places = decimals ?? (0...15).first { isWhole(tick * pow(10, Double($0))) } ?? 15
        let sign = tick < 0 ? "−" : "", text = String(format: "%.\(places)f", abs(tick))
        guard ticks.contains(where: { abs($0) >= 10_000 }), let whole = Int(text) else { return sign + text }
        return sign + whole.formatted(.number.locale(Locale(identifier: "en_US")))
    }
}

/// The frame of a chart: two axes around a field of pixels.
struct ChartFrame {
    let x: Axis
    let y: Axis
    let left: Double
    let top: Double
    let width: Double
    let height: Double

    /// The pixel of a pair of numbers; nil where an axis has no place for it.
    func point(_ x: Double, _ y: Double) -> (x: Double, y: Double)? {
        guard let across = self.x.place(x), let up = self.y.place(y) else { return nil }
        return (left + across * width, top + (1 - up) * height)
    }

    /// Grid, ticks and their numbers, and the names of both axes.
    func draw(into svg: inout SVG, xLabel: String, yLabel: String) {
        for tick in y.ticks {
            guard let place = y.place(tick) else { continue }
            let height = top + (1 - place) * self.height
            svg.path([(left, height), (left + width, height)], style: "grid")
            svg.text(y.label(tick), x: left - 7, y: height + 4, anchor: .end, style: "quiet")
        }
        for tick in x.ticks {
            guard let place = x.place(tick) else { continue }
            let across = left + place * width
            svg.path([(across, top + height), (across, top + height + 5)], style: "axis")
            svg.text(x.label(tick), x: across, y: top + height + 19, anchor: .middle, style: "quiet")
        }
        svg.path([(left, top), (left, top + height), (left + width, top + height)], style: "axis")
        if !xLabel.isEmpty { svg.text(xLabel, x: left + width / 2, y: top + height + 38, anchor: .middle) }
        if !yLabel.isEmpty { svg.text(yLabel, x: left - 48, y: top + height / 2, anchor: .middle, turned: true) }
    }
}
