import Foundation

/// The time that configurations take, by the committed records.
public struct RunHours<Work: Experiment> {
    private let runs: [RecordedRun<Work>]

    /// - Throws: `RecordError`, `ConfigurationError`.
    public init(experiment: URL) throws { self.init(runs: try RecordedRun.committed(in: experiment)) }

    init(runs: [RecordedRun<Work>]) { self.runs = runs }

    /// Seconds of one run of a configuration: those of its own finished runs; else its steps at the seconds a step of
    /// the longest run of the same model and batches. Nil where neither is known.
    public func seconds(_ configuration: NamedConfiguration<Work.Configuration>) -> (seconds: Double, isMeasured: Bool)?
    {
        estimate(configuration).map { ($0.seconds, $0.isMeasured) }
    }

    /// The same for people; what the file says of its cost where no record tells.
    public func text(_ configuration: NamedConfiguration<Work.Configuration>) -> String {
        guard let (seconds, isMeasured, run) = estimate(configuration) else {
            return configuration.file.header.cost ?? "-"
        }
        let threads = run.threadsInWords.map { ", \($0)" } ?? ""
        return "\(durationText(seconds: seconds)), \(isMeasured ? "measured" : "from the step")\(threads)"
    }

    /// - Returns: with a run that tells, and whether the time is that of the configuration's own runs.
    private func estimate(
        _ configuration: NamedConfiguration<Work.Configuration>
    ) -> (seconds: Double, isMeasured: Bool, run: RunRecord)? {
        let own = runs.map(\.record).filter { record in
            record.configuration == configuration.name && record.status == .finished
                && record.training.stepsPlanned == configuration.values.loop.steps
        }
        if let run = own.first, let mean = SeedStatistics(own.map(\.training.wallSeconds))?.mean {
            return (mean, true, run)
        }
        guard let row = configuration.values.reproduces else { return nil }
        let differences = Self.ofTheStep(configuration.file.differences)
        let like = runs.filter { run in
            run.configuration.reproduces == row && Self.ofTheStep(run.record.differences) == differences
                && run.record.training.secondsPerStep != nil
        }.map(\.record).max { $0.training.stepsDone < $1.training.stepsDone }
        guard let like, let step = like.training.secondsPerStep else { return nil }
        return (step * Double(configuration.values.loop.steps), false, like)
    }

    /// The differences from the paper's settings that change what one step costs.
    private static func ofTheStep(_ differences: [ConfigurationFile.Difference]) -> [ConfigurationFile.Difference] {
        differences.filter { !RunRecord.isLabel($0.key) && !RunRecord.isLengthOrReading($0.key) }
    }
}
