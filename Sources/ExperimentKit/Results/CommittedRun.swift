import Foundation

/// A committed run of an experiment: what was run, its record and its log.
struct CommittedRun<Work: Experiment> {
    let record: RunRecord
    /// Relative to the checkout.
    let path: String
    let configuration: Work.Configuration
    let log: [StepRecord]

    /// `runs/<configuration>/<seed>` of the experiment's folder, in the order of the names.
    ///
    /// - Throws: `RecordError`, `ConfigurationError`.
    static func all(in experiment: URL) throws -> [CommittedRun] {
        var found: [CommittedRun] = []
        for configuration in folders(in: experiment.appendingPathComponent("runs")) {
            for seed in folders(in: configuration) {
                let record = seed.appendingPathComponent("record.json")
                guard FileManager.default.fileExists(atPath: record.path) else { continue }
                let (name, number) = (configuration.lastPathComponent, seed.lastPathComponent)
                let run = try RunRecord(contentsOf: record)
                let decoded = try TrainingRun<Work>.configuration(of: seed)
                found.append(
                    CommittedRun(
                        record: run, path: "experiments/\(Work.program)/runs/\(name)/\(number)",
                        configuration: decoded,
                        log: try StepLog.readWhole(
                            seed.appendingPathComponent("steps.jsonl"), interval: decoded.loop.logEvery,
                            done: run.training.stepsDone, planned: run.training.stepsPlanned)))
            }
        }
        return found
    }

    private static func folders(in url: URL) -> [URL] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        return names.filter { !$0.hasPrefix(".") }
            .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
            .map { url.appendingPathComponent($0, isDirectory: true) }
            .filter { (try? $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory) == true }
    }

    /// A link to the record, for a table.
    var link: String { "[seed \(record.seed)](\(path)/record.json)" }
}

/// The runs of one configuration on the same data, one a seed.
struct RunGroup<Work: Experiment> {
    let runs: [CommittedRun<Work>]
    var first: CommittedRun<Work> { runs[0] }
    var record: RunRecord { runs[0].record }
    var row: ReproducedRow? { first.configuration.reproduces }
    var isFinished: Bool { runs.allSatisfy { $0.record.status == .finished } }
    var links: String { runs.map(\.link).joined(separator: ", ") }

    /// In the order of the paper's rows, then of the names.
    static func groups(of runs: [CommittedRun<Work>]) -> [RunGroup] {
        var order: [String] = []
        var members: [String: [CommittedRun<Work>]] = [:]
        for run in runs {
            // Runs of one name with other overrides are other experiments.
            let overrides = run.record.differences.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
            let key = "\(run.record.configuration) \(run.record.data.name) \(overrides)"
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(run)
        }
        return order.compactMap { members[$0] }.map { RunGroup(runs: $0) }
            .sorted { ($0.row?.row ?? 0, $0.record.configuration) < ($1.row?.row ?? 0, $1.record.configuration) }
    }

    /// How much was spent on a seed: parameters times predictions learned from. Compares runs of one row only.
    var effort: Double {
        Double(record.parameterCount) * Double(record.training.stepsDone) * Double(first.configuration.unitsPerStep)
    }

    /// Mean and spread of a split's figure over the seeds; nil before any is finished.
    func figures(_ split: KeyPath<RunRecord, SplitEvaluation?>) -> SeedStatistics? {
        SeedStatistics(runs.compactMap { $0.record[keyPath: split].flatMap(Work.metric.value) })
    }

    /// The same for a table.
    func text(_ split: KeyPath<RunRecord, SplitEvaluation?>) -> String {
        figures(split)?.text(decimals: Work.metric.decimals) ?? "-"
    }

    /// The steps of each run, as `1,000`, or `6,000 to 8,000`.
    var steps: String {
        let steps = runs.map(\.record.training.stepsDone)
        guard let least = steps.min(), let most = steps.max() else { return "-" }
        return least == most ? grouped(least) : "\(grouped(least)) to \(grouped(most))"
    }
}

extension ReproductionStatus {
    /// Holds the finished runs of a row, at the paper's own settings, to the paper's figure.
    ///
    /// - Parameter dataName: The data that the paper's figure is of.
    public init(of records: [RunRecord], row: ReproducedRow, dataName: String?, metric: Metric) {
        if records.isEmpty {
            self = .notRun
        } else if let open = records.first(where: { $0.status != .finished }) {
            self = .incomplete(step: open.training.stepsDone, steps: open.training.stepsPlanned)
        } else if let other = records.first(where: { $0.data.name != dataName }) {
            self = .otherData(name: other.data.displayName)
        } else if records.contains(where: { !$0.differences.isEmpty }) {
            self = .reducedBudget
        } else if let paper = row.test {
            let test = SeedStatistics(records.compactMap { $0.test.flatMap(metric.value) })
            self = test.map { ReproductionStatus(mean: $0.mean, paper: paper, tolerance: row.tolerance) } ?? .notRun
        } else {
            self = .noPaperNumber
        }
    }
}
