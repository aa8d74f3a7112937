import Foundation

/// The time that configurations take, by the committed records.
public struct RunHours<Work: Experiment> {
    private let runs: [RecordedRun<Work>]

    /// - Throws: `RecordError`, `ConfigurationError`.
    public init(experiment: URL) throws { runs = try RecordedRun.committed(in: experiment) }

    /// Seconds of one run of a configuration: those of its own finished runs; else its steps at the seconds a step of a
    /// run of the same model and batches. Nil where neither is known.
    public func seconds(_ configuration: NamedConfiguration<Work.Configuration>) -> (seconds: Double, isMeasured: Bool)?
    {
        let own = runs.filter { run in
            run.record.configuration == configuration.name && run.record.status == .finished
                && run.record.training.stepsPlanned == configuration.values.loop.steps
        }
        if let mean = SeedStatistics(own.map(\.record.training.wallSeconds))?.mean { return (mean, true) }
        guard let row = configuration.values.reproduces else { return nil }
        let differences = Self.ofTheStep(configuration.file.differences)
        let like = runs.filter { run in
            run.configuration.reproduces == row && Self.ofTheStep(run.record.differences) == differences
        }
        let step = SeedStatistics(like.compactMap(\.record.training.secondsPerStep))?.mean
        return step.map { ($0 * Double(configuration.values.loop.steps), false) }
    }

    /// The same for people; what the file says of its cost where no record tells.
    public func text(_ configuration: NamedConfiguration<Work.Configuration>) -> String {
        guard let (seconds, isMeasured) = seconds(configuration) else { return configuration.file.header.cost ?? "-" }
        return "\(durationText(seconds: seconds)) (\(isMeasured ? "measured" : "from the step"))"
    }

    /// The differences from the paper's settings that change what one step costs.
    private static func ofTheStep(_ differences: [ConfigurationFile.Difference]) -> [ConfigurationFile.Difference] {
        let others = [
            "budget", "evaluation.", "training.steps", "training.learningRate", "training.patience", "training.seeds",
            "training.logEvery", "training.checkpointEvery",
        ]
        return differences.filter { difference in !others.contains { difference.key.hasPrefix($0) } }
    }
}
