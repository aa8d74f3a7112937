import Figures
import Foundation

extension RecordedRun {
    /// `CONFIG/SEED`.
    public var name: String { "\(record.configuration)/\(record.seed)" }

    /// When its first sitting began; 1970 in records from before that was written down.
    private var began: Date {
        record.sittings?.first.flatMap { try? Date($0.began, strategy: .iso8601) } ?? Date(timeIntervalSince1970: 0)
    }

    /// The log as events, and at the selected step of a finished run the reported figures.
    ///
    /// While a run goes on, the events of an earlier time are a beginning of those of a later one.
    public var events: EventFile {
        var file = EventFile(began: began)
        for line in log {
            let numbers: [(tag: String, value: Double?)] = [
                ("training/lossNats", line.lossNats), ("training/objective", line.objective),
                ("training/rate", line.rate), ("training/gradientNorm", line.gradientNorm),
                ("validation/lossNats", line.validation?.lossNats),
                ("validation/\(Self.metricTag)", line.validation.flatMap(Work.metric.value)),
            ]
            file.add(
                step: line.step, seconds: line.seconds,
                numbers: numbers.compactMap { tag, value in value.map { (tag, $0) } })
        }
        guard record.status == .finished else { return file }
        let figures = [("validation", record.validation), ("test", record.test)].compactMap { split, result in
            result.flatMap(Work.metric.value).map { (tag: "reported \(split)/\(Self.metricTag)", value: $0) }
        }
        file.add(
            step: record.training.selectedStep ?? record.training.stepsDone, seconds: record.training.wallSeconds,
            numbers: figures)
        return file
    }

    /// Pictures of a checkpoint of the run as events.
    public func events(of pictures: [(tag: String, value: Raster)], step: Int) -> EventFile {
        var file = EventFile(began: began)
        let seconds = log.last { $0.step <= step }?.seconds ?? 0
        file.add(step: step, seconds: seconds, pictures: pictures)
        return file
    }

    /// `error %`, `bits per character`.
    private static var metricTag: String {
        [Work.metric.label, Work.metric.unit].filter { !$0.isEmpty }.joined(separator: " ")
    }
}
