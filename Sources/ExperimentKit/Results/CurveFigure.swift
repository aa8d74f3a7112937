import Figures
import Foundation

/// A chart of runs for RESULTS.md, as SVG. It depends on the records alone, so `results --check` compares it.
public struct CurveFigure {
    /// The table that its runs belong to.
    let table: String
    /// Relative to the checkout.
    let path: String
    let chart: LineChart

    var markdown: String { "![\(chart.title)](\(path))" }
}

/// The log of a run under the name that a chart gives it.
struct NamedLog {
    let name: String
    let log: [StepRecord]
}

extension Experiment {
    /// The curves of runs on the same data: validation and the training loss, each against steps and against hours.
    ///
    /// - Parameter paper: The paper's curves, of the same figure against steps.
    /// - Returns: The charts, each with the word that sets it apart.
    static func charts(
        of runs: [NamedLog], title: String, paper: [LineChart.Series]
    ) -> [(kind: String, chart: LineChart)] {
        func chart(
            _ what: String, x: String, y: String, isNoisy: Bool = false, others: [LineChart.Series] = [],
            point: (StepRecord) -> (x: Double, y: Double)?
        ) -> LineChart {
            let series = runs.map { LineChart.Series(name: $0.name, points: $0.log.compactMap(point)) }
            return LineChart(
                title: "\(title): \(what)", xLabel: x, yLabel: y, yScale: .logarithmic,
                series: (isNoisy ? series.map(\.smoothed) : series) + others)
        }
        // One nat in the metric, where the loss determines it.
        let nat = metric.value(ofLoss: 1)
        func training(_ what: String, x: String, of place: @escaping (StepRecord) -> Double) -> LineChart {
            chart(what, x: x, y: nat == nil ? "loss with penalty, nats" : metric.name, isNoisy: true) { line in
                // Older logs of image runs have the loss with the penalty alone.
                (line.objective ?? line.lossNats).map { (place(line), $0 * (nat ?? 1)) }
            }
        }
        let hours = "hours, evaluations included"
        return [
            (
                "steps",
                chart("validation", x: "training steps", y: metric.axis, others: paper) { line in
                    line.validation.flatMap(metric.value).map { (Double(line.step), $0) }
                }
            ),
            (
                "hours",
                chart("validation by time", x: hours, y: metric.axis) { line in
                    line.validation.flatMap(metric.value).map { (line.seconds / 3600, $0) }
                }
            ),
            ("training", training("training batches", x: "training steps") { Double($0.step) }),
            ("training-hours", training("training batches by time", x: hours) { $0.seconds / 3600 }),
        ]
    }
}

extension PaperCurve {
    /// The curve as a chart draws it, as far as the runs beside it went.
    func series(upTo lastStep: Int) -> LineChart.Series {
        LineChart.Series(
            name: title, kind: .reference,
            points: points.filter { $0.step <= lastStep }.map { (Double($0.step), $0.value) })
    }
}

extension LineChart.Series {
    /// At most 200 points, each the mean of the same number of neighbors: what a chart can show of a noisy curve. What is
    /// left over at the end would be a mean of fewer, and noisier, and is left out.
    fileprivate var smoothed: LineChart.Series {
        let width = max(1, (points.count + 199) / 200)
        let means = stride(from: 0, to: points.count - points.count % width, by: width).map { first in
            let part = points[first..<first + width]
            return (x: part[part.endIndex - 1].x, y: part.reduce(0) { $0 + $1.y } / Double(part.count))
        }
        return LineChart.Series(name: name, kind: kind, points: means)
    }
}
