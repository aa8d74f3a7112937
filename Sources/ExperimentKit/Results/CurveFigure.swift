import Figures
import Foundation

/// A chart of runs for RESULTS.md, as SVG. It depends on the records alone, so `results --check` compares it.
struct CurveFigure {
    /// The table that its runs belong to.
    let table: String
    /// Relative to the checkout.
    let path: String
    let chart: LineChart

    var markdown: String { "![\(chart.title)](\(path))" }
}

extension Experiment {
    /// The curves of runs on the same data: validation and the training loss, each against steps and against hours.
    ///
    /// Validation begins at a tenth of each run: the fall before it would flatten all that follows. Beside hours each
    /// name says on which machine.
    ///
    /// - Parameter paper: The paper's curves, of the same figure against steps.
    /// - Returns: The charts, each with the word that sets it apart.
    static func charts(
        of runs: [(name: String, run: RecordedRun<Self>)], title: String, paper: [LineChart.Series]
    ) -> [(kind: String, chart: LineChart)] {
        func first(_ run: RecordedRun<Self>) -> Int { run.record.training.stepsDone / 10 }
        func chart(
            _ what: String, hours: Bool, y: String, isNoisy: Bool = false, others: [LineChart.Series] = [],
            value: (RecordedRun<Self>, StepRecord) -> Double?
        ) -> LineChart {
            let series = runs.map { name, run in
                LineChart.Series(
                    name: name + (hours ? run.record.machineInWords.map { "; \($0)" } ?? "" : ""),
                    points: run.log.compactMap { line in
                        value(run, line).map { (hours ? line.seconds / 3600 : Double(line.step), $0) }
                    })
            }
            let drawn = (isNoisy ? series.map(\.smoothed) : series) + others
            let values = drawn.flatMap { $0.points.map(\.y) }.filter { $0.isFinite && $0 > 0 }
            let isWide = (values.max() ?? 1) > 3 * (values.min() ?? 1)
            return LineChart(
                title: "\(title): \(what)\(hours ? " by time" : "")",
                xLabel: hours ? "hours, evaluations included" : "training steps", yLabel: y,
                yScale: isWide ? .logarithmic : .linear, series: drawn)
        }
        func validation(hours: Bool) -> LineChart {
            let others = hours ? [] : paper.map { $0.from(Double(runs.map { first($0.run) }.min() ?? 0)) }
            return chart("validation", hours: hours, y: metric.axis, others: others) { run, line in
                line.step < first(run) ? nil : line.validation.flatMap(metric.value)
            }
        }
        // One nat in the metric, where the loss determines it.
        let nat = metric.value(ofLoss: 1)
        func training(hours: Bool) -> LineChart {
            let y = nat == nil ? "loss with penalty, nats" : metric.name
            return chart("training batches", hours: hours, y: y, isNoisy: true) { _, line in
                // Older logs of image runs have the loss with the penalty alone.
                (line.objective ?? line.lossNats).map { $0 * (nat ?? 1) }
            }
        }
        return [
            ("steps", validation(hours: false)), ("hours", validation(hours: true)),
            ("training", training(hours: false)), ("training-hours", training(hours: true)),
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
    /// What lies at x or beyond.
    fileprivate func from(_ x: Double) -> LineChart.Series {
        LineChart.Series(name: name, kind: kind, points: points.filter { $0.x >= x })
    }

    /// At most 200 points, each the mean of the same number of neighbors: what a chart can show of a noisy curve. What
    /// is left over at the end would be a mean of fewer, and noisier, and is left out.
    fileprivate var smoothed: LineChart.Series {
        let width = max(1, (points.count + 199) / 200)
        let means = stride(from: 0, to: points.count - points.count % width, by: width).map { first in
            let part = points[first..<first + width]
            return (x: part[part.endIndex - 1].x, y: part.reduce(0) { $0 + $1.y } / Double(part.count))
        }
        return LineChart.Series(name: name, kind: kind, points: means)
    }
}
