import Foundation

/// The time that configurations take, by the committed records.
public struct RunHours<Work: Experiment> {
    private let runs: [RecordedRun<Work>]

    /// - Parameter damaged: Told of records that cannot be read, which are left out.
    public init(experiment: URL, damaged: (any Error) -> Void) {
        self.init(runs: RecordedRun.committed(in: experiment, damaged: damaged))
    }

    init(runs: [RecordedRun<Work>]) { self.runs = runs }

    /// Seconds of one run of a configuration: those of its own finished runs, evaluations included; else its steps at
    /// the seconds a step of the longest run of the same model and batches, or of the run whose step of the same kind
    /// is nearest in size, times the ratio of their multiplications. Nil where none is known.
    public func seconds(_ configuration: NamedConfiguration<Work.Configuration>) -> (seconds: Double, isMeasured: Bool)?
    {
        estimate(configuration).map { ($0.seconds, $0.source == .measured) }
    }

    /// The same for people; what the file says of its cost where no record tells.
    public func text(_ configuration: NamedConfiguration<Work.Configuration>) -> String {
        guard let (seconds, source, run) = estimate(configuration) else {
            return configuration.file.header.cost ?? "-"
        }
        // The same step takes half of the time with another instruction set.
        let instructions = run.environments.map(\.simd).uniqued().joined(separator: " and ")
        return [durationText(seconds: seconds), source.rawValue, run.threadsInWords ?? "", instructions]
            .filter { !$0.isEmpty }.joined(separator: ", ")
    }

    private enum Source: String {
        case measured
        case step = "from the step"
        case size = "from the size"
    }

    /// - Returns: With what the time is taken from, and a run that tells.
    private func estimate(
        _ configuration: NamedConfiguration<Work.Configuration>
    ) -> (seconds: Double, source: Source, run: RunRecord)? {
        let own = runs.map(\.record).filter { record in
            record.configuration == configuration.name && record.status == .finished
                && record.training.stepsPlanned == configuration.values.loop.steps
        }
        // Seeds that had other threads took another time.
        let alike = own.filter { $0.threadsInWords == own[0].threadsInWords }
        if let run = alike.first, let mean = SeedStatistics(alike.map(\.training.wallSeconds))?.mean {
            return (mean, .measured, run)
        }
        guard let row = configuration.values.reproduces else { return nil }
        let steps = Double(configuration.values.loop.steps)
        let differences = Self.ofTheStep(configuration.file.differences)
        let like = runs.filter { run in
            run.configuration.reproduces?.isSameRow(as: row) == true
                && Self.ofTheStep(run.record.differences) == differences
                && run.record.training.secondsPerStep != nil
        }.map(\.record).max { $0.training.stepsDone < $1.training.stepsDone }
        if let like, let step = like.training.secondsPerStep { return (step * steps, .step, like) }
        return nearestInSize(configuration).map { ($0.step * steps, .size, $0.run) }
    }

    private func nearestInSize(
        _ configuration: NamedConfiguration<Work.Configuration>
    ) -> (step: Double, run: RunRecord)? {
        guard let own = Work.cost(ofAStep: configuration.values) else { return nil }
        let others = runs.compactMap { run -> (ratio: Double, run: RunRecord, step: Double)? in
            guard let step = run.record.training.secondsPerStep, !run.record.data.isSample,
                let cost = Work.cost(ofAStep: run.configuration), cost.kind == own.kind
            else { return nil }
            return (own.multiplications / cost.multiplications, run.record, step)
        }
        let nearest = others.min {
            (abs(log($0.ratio)), -$0.run.training.stepsDone) < (abs(log($1.ratio)), -$1.run.training.stepsDone)
        }
        return nearest.map { ($0.step * $0.ratio, $0.run) }
    }

    /// The differences from the paper's settings that change what one step costs.
    private static func ofTheStep(_ differences: [ConfigurationFile.Difference]) -> [ConfigurationFile.Difference] {
        differences.filter { !RunRecord.leavesFiguresUnchanged($0.key) && !RunRecord.isLengthOrReading($0.key) }
    }
}
