/// Our figures of any runs, and the paper's beside them: a line a run, and one for the mean over the seeds of a
/// configuration. What `train`, `reproduce`, `compare` and `report` print.
public struct RunTable<Work: Experiment> {
    static var columns: [String] {
        ["configuration", "seed", "parameters", "steps", "validation", "test", "read as", "paper test", "status"]
    }

    let rows: [[String]]
    private let hasReducedBudget: Bool

    /// - Parameter runs: Of one command, so that a configuration's have the same settings.
    public init(_ runs: [(configuration: Work.Configuration, record: RunRecord)]) {
        self.init(groups: runs.inGroups { $0.record.group == $1.record.group })
    }

    /// - Parameter groups: The runs of a configuration together.
    init(groups: [[(configuration: Work.Configuration, record: RunRecord)]]) {
        hasReducedBudget = groups.joined().contains {
            Self.status(of: [$0.record], $0.configuration) == .reducedBudget
        }
        rows = groups.flatMap { members in
            // The same seed twice, as by two builds, says nothing of the spread over seeds.
            let areSeeds = members.count > 1 && Set(members.map(\.record.seed)).count == members.count
            return members.map { Self.row($0.record, $0.configuration) }
                + (areSeeds ? [Self.mean(members.map(\.record), members[0].configuration)] : [])
        }
    }

    /// With the metric above it.
    ///
    /// - Parameter width: Of the terminal that it is for; nil where it is none.
    public func text(width: Int?) -> String {
        "\(Work.metric.name)\n\n\(alignedColumns([Self.columns] + rows, width: width))\n\(caution)"
    }

    /// A caution where the budget of some run is reduced; else empty.
    var caution: String {
        hasReducedBudget
            ? "\nA reduced budget is compared with others of the same budget, not with the paper's number.\n" : ""
    }

    private static func row(_ record: RunRecord, _ configuration: Work.Configuration) -> [String] {
        let metric = Work.metric, training = record.training, isFinished = record.status == .finished
        let soFar = training.selectionValidation.flatMap(metric.value)
        return [
            record.configuration, "\(record.seed)", grouped(record.parameterCount),
            grouped(training.stepsDone) + (isFinished ? "" : " of \(grouped(training.stepsPlanned))"),
            isFinished || soFar == nil
                ? metric.digits(record.validation.flatMap(metric.value)) : "\(metric.digits(soFar)) so far",
            metric.digits(record.test.flatMap(metric.value)), record.test.map(Work.reading) ?? "-",
            paperTest(configuration), remark([record], configuration),
        ]
    }

    private static func mean(_ records: [RunRecord], _ configuration: Work.Configuration) -> [String] {
        func text(_ split: KeyPath<RunRecord, SplitEvaluation?>) -> String {
            let figures = SeedStatistics(records.compactMap { $0.reported(split).flatMap(Work.metric.value) })
            guard let figures else { return "-" }
            return figures.text(decimals: Work.metric.decimals) + (figures.count == 1 ? " (n = 1)" : "")
        }
        return [
            records[0].configuration, "mean ± s.d.", grouped(records[0].parameterCount), "", text(\.validation),
            text(\.test), "", paperTest(configuration), remark(records, configuration),
        ]
    }

    private static func paperTest(_ configuration: Work.Configuration) -> String {
        configuration.reproduces?.test.map { fixed($0, paperDecimals(configuration)) } ?? "-"
    }

    private static func paperDecimals(_ configuration: Work.Configuration) -> Int {
        Work.table(of: configuration)?.decimals ?? Work.metric.decimals
    }

    private static func status(of records: [RunRecord], _ configuration: Work.Configuration) -> ReproductionStatus? {
        guard let row = configuration.reproduces, !records[0].data.isSample else { return nil }
        return ReproductionStatus(
            of: records, row: row, dataName: Work.table(of: configuration)?.dataName, metric: Work.metric)
    }

    private static func remark(_ records: [RunRecord], _ configuration: Work.Configuration) -> String {
        if let open = records.first(where: { $0.status != .finished }) {
            return open.stopReason.map { "\(open.status.rawValue): \($0)" } ?? open.status.rawValue
        }
        if let status = status(of: records, configuration) {
            return status.text(decimals: paperDecimals(configuration))
        }
        guard records[0].data.isSample else { return "" }
        let test = SeedStatistics(records.compactMap { $0.test.flatMap(Work.metric.value) })?.mean
        guard let rate = records[0].data.entropyRate, let test else { return "generated sample" }
        return
            "generated sample: \(signed(test - rate, Work.metric.decimals)) above the source's own,"
            + " \(Work.metric.digits(rate))"
    }
}
