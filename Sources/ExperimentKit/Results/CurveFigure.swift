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

extension CurveFigure {
    /// The curves of runs of one table: validation against steps and against hours, and the training loss.
    ///
    /// - Parameters:
    ///   - table: The table's `id`.
    ///   - folder: Where the files go, relative to the checkout.
    ///   - name: What the files' names begin with.
    ///   - metric: The name of the figure of a validation, with its unit.
    ///   - value: The figure itself.
    ///   - paper: The paper's curves, of the same figure against steps.
    ///   - loss: The name of the training loss, with its unit, and how many of the unit one nat is.
    static func ofRuns(
        _ runs: [NamedLog], table: String, folder: String, name: String, title: String, metric: String,
        value: (SplitEvaluation) -> Double?, paper: [LineChart.Series], loss: (name: String, perNat: Double)
    ) -> [CurveFigure] {
        func series(_ point: (StepRecord) -> (x: Double, y: Double)?) -> [LineChart.Series] {
            runs.map { run in LineChart.Series(name: run.name, points: run.log.compactMap(point)) }
        }
        func figure(
            _ kind: String, _ what: String, x: String, y: String, _ series: [LineChart.Series]
        ) -> CurveFigure {
            CurveFigure(
                table: table, path: "\(folder)/\(name)-\(kind).svg",
                chart: LineChart(
                    title: "\(title): \(what)", xLabel: x, yLabel: y, yScale: .logarithmic, series: series))
        }
        let againstSteps = series { line in
            line.validation.flatMap(value).map { (Double(line.step), $0) }
        }
        let againstHours = series { line in
            line.validation.flatMap(value).map { (line.seconds / 3600, $0) }
        }
        let training = series { line in line.lossNats.map { (Double(line.step), $0 * loss.perNat) } }
        return [
            figure(
                "steps", "validation", x: "training steps", y: metric, againstSteps + paper),
            figure("hours", "validation by time", x: "hours, evaluations included", y: metric, againstHours),
            figure(
                "training", "training batches", x: "training steps", y: loss.name, training.map(\.smoothed)),
        ]
    }
}

extension LineChart.Series {
    /// At most 200 points, each the mean of the same number of neighbors: what a chart can show of a noisy curve.
    fileprivate var smoothed: LineChart.Series {
        let width = max(1, (points.count + 199) / 200)
        let means = stride(from: 0, to: points.count, by: width).map { first in
            let part = points[first..<min(first + width, points.count)]
            return (x: part[part.endIndex - 1].x, y: part.reduce(0) { $0 + $1.y } / Double(part.count))
        }
        return LineChart.Series(name: name, kind: kind, points: means)
    }
}
