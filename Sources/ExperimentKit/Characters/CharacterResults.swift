import Figures
import Foundation
import HyperNetworks

/// The section of RESULTS.md about characters, made from the committed configurations and records.
public struct CharacterResults: ResultsSection {
    typealias Run = CommittedRun<CharacterWork>
    typealias Group = RunGroup<CharacterWork>

    private let configurations: [(file: ConfigurationFile, decoded: CharacterConfiguration)]
    private let runs: [Run]
    public let experiment = CharacterWork.experiment
    private static var id: String { CharacterWork.experiment }

    /// Reads `configs/*.yaml` and `runs/*/*/` of an experiment's folder.
    ///
    /// - Throws: `ConfigurationError`, `RecordError`.
    public init(experiment: URL) throws {
        configurations = try ConfigurationFile.all(in: experiment.appendingPathComponent("configs")).map {
            let file = try ConfigurationFile(contentsOf: $0)
            return (file, try CharacterConfiguration(file.root))
        }
        runs = try Run.all(in: experiment)
    }

    // MARK: - The section

    public var section: String {
        var parts = [
            """
            ## Characters: LSTM and HyperLSTM (sections 4.3 and 4.4)

            Bits per character, less is better. Each configuration bears the name of its row; `char-hyperlstm list` shows them all.
            A row counts as reproduced when the mean test figure over its seeds lies within the tolerance that its configuration
            states. A reduced budget gets no verdict against the paper's number: it stands beside the LSTM of the same budget, and
            beside the paper's own training curve at the same step. Validation chooses the checkpoint; the test split is read
            once, after that.
            """
        ]
        parts.append(table(.table3, title: "Table 3: Penn Treebank, characters"))
        parts.append(table(.table4, title: "Table 4: enwik8"))
        parts.append(table(.text8, title: "text8 (not in the paper; the settings of Table 4)"))
        parts.append(sample)
        parts.append(deviations)
        parts.append(provenance)
        return parts.filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    private func table(_ table: CharacterTable, title: String) -> String {
        let rows = configurations.filter { $0.decoded.budget == "paper" && $0.decoded.reproduces?.table == table }
            .sorted { ($0.decoded.reproduces?.row ?? 0) < ($1.decoded.reproduces?.row ?? 0) }
        var text = "### \(title)\n\n"
        text += markdownTable(
            [
                "row", "parameters, paper", "parameters, ours", "validation, paper", "validation, ours", "test, paper",
                "test, ours", "status", "records",
            ],
            rows.map { row(configuration: $0.file.name, $0.decoded) })
        let context = PublishedContext.rows(of: table)
        if !context.isEmpty {
            text += "\n\nPublished by others (test): "
            text += context.map { "\($0.name) \(String(format: "%g", $0.test))" }.joined(separator: ", ") + "."
        }
        return ([text] + reducedBudgets(table)).joined(separator: "\n\n")
    }

    /// One row of the paper at the paper's own budget.
    private func row(configuration name: String, _ decoded: CharacterConfiguration) -> [String] {
        guard let row = decoded.reproduces else { return [] }
        let runs = self.runs.filter { $0.record.configuration == name && $0.record.differences.isEmpty }
        let parameters = decoded.model.parameterCount(vocabularySize: Self.vocabularySize(row.table))
        return [
            row.name, row.parametersInMillions.map { "\(fixed($0, 2)) M" } ?? "-", grouped(parameters),
            row.validation.map { fixed($0, 3) } ?? "-", Self.statistics(runs, \.validation),
            row.test.map { fixed($0, 3) } ?? "-", Self.statistics(runs, \.test), Self.status(runs, row).text,
            runs.map { "[seed \($0.record.seed)](\($0.path)/record.json)" }.joined(separator: ", "),
        ]
    }

    /// Symbols of the corpus of a table: Penn Treebank 50, enwik8 205 bytes, text8 27.
    static func vocabularySize(_ table: CharacterTable) -> Int {
        switch table {
        case .table3: return 50
        case .table4: return 205
        case .text8: return 27
        }
    }

    static func status(_ runs: [Run], _ row: ReproducedRow) -> ReproductionStatus {
        ReproductionStatus(of: runs.map(\.record), paper: row.test, tolerance: row.tolerance) { $0.bits }
    }

    private static func statistics(_ runs: [Run], _ figure: KeyPath<RunRecord, SplitEvaluation?>) -> String {
        SeedStatistics(runs.compactMap { $0.record[keyPath: figure]?.bits })?.text ?? "-"
    }

    // MARK: - Reduced budgets

    private func groups(where isWanted: (Run) -> Bool) -> [Group] { Group.groups(of: runs.filter(isWanted)) }

    private func reducedBudgets(_ table: CharacterTable) -> [String] {
        let groups = groups { $0.configuration.reproduces?.table == table && !$0.record.differences.isEmpty }
        var budgets: [String] = []
        for group in groups where !budgets.contains(group.record.budget) { budgets.append(group.record.budget) }
        return budgets.flatMap { budget -> [String] in
            let members = groups.filter { $0.record.budget == budget }
            let data = Set(members.map(\.record.data.displayName)).sorted().joined(separator: "; ")
            var parts = ["#### Reduced budget: \(budget) (\(data))"]
            parts.append(reducedTable(members))
            parts.append(differences(members))
            parts += members.compactMap(curveTable)
            if table == .table3 { parts += figures.filter { $0.budget == budget }.map(\.markdown) }
            return parts
        }
    }

    private func reducedTable(_ members: [Group]) -> String {
        markdownTable(
            [
                "model", "parameters", "steps (selected)", "validation", "test", "read as", "test against the LSTM",
                "s/step", "wall", "status", "records",
            ],
            members.map { group in
                let record = group.record
                let baseline = members.first { other in
                    let model = other.first.configuration.model
                    return model.cell == .lstm && !model.layerNorm && other.record.data.name == record.data.name
                }
                let against = Self.difference(group, from: baseline)
                let streams = record.test?.streams ?? group.first.configuration.evaluation.reportedStreams
                return [
                    "`\(record.configuration)`", grouped(record.parameterCount),
                    "\(grouped(record.training.stepsDone)) (\(record.training.selectedStep.map(grouped) ?? "-"))",
                    Self.statistics(group.runs, \.validation), Self.statistics(group.runs, \.test),
                    streams == 1 ? "one sequence" : "\(streams) streams", against,
                    record.training.secondsPerStep.map { fixed($0, 2) } ?? "-",
                    durationText(seconds: record.training.wallSeconds),
                    record.status == .finished ? "reduced budget" : "incomplete",
                    group.runs.map { "[seed \($0.record.seed)](\($0.path)/record.json)" }.joined(separator: ", "),
                ]
            })
    }

    private static func difference(_ group: Group, from baseline: Group?) -> String {
        guard let baseline else { return "-" }
        if baseline.record.configuration == group.record.configuration { return "baseline" }
        guard let ours = SeedStatistics(group.runs.compactMap { $0.record.test?.bits }),
            let theirs = SeedStatistics(baseline.runs.compactMap { $0.record.test?.bits })
        else { return "-" }
        return signed(ours.mean - theirs.mean)
    }

    /// What the configurations differ in from the paper's settings, as computed when they ran.
    private func differences(_ members: [Group]) -> String {
        let texts = members.map { group in
            let changes = group.record.differences.map { "`\($0.key)` \($0.base) → \($0.value)" }
            return "- `\(group.record.configuration)` differs from the paper's settings in "
                + changes.joined(separator: ", ")
                + "."
        }
        return texts.joined(separator: "\n")
    }

    /// Whether a run may stand beside the paper's curve: the same model, data and batches; only the length and the
    /// way of reading splits may differ.
    private static func followsPaperSettings(_ record: RunRecord) -> Bool {
        record.data.official
            && record.differences.allSatisfy { $0.key == "training.steps" || $0.key.hasPrefix("evaluation.") }
    }

    /// Our validation beside the paper's curve at equal steps.
    private func curveTable(_ group: Group) -> String? {
        guard Self.followsPaperSettings(group.record), let row = group.first.configuration.reproduces,
            let curve = PaperCurve.curve(table: row.table, row: row.row)
        else { return nil }
        let points = group.first.log.compactMap { line in line.validation.map { (line.step, $0) } }
        guard !points.isEmpty else { return nil }
        let rows = points.map { step, validation -> [String] in
            let paper = curve.bits(atStep: step)
            return [
                grouped(step), fixed(validation.bits, 3), paper.map { fixed($0, 3) } ?? "-",
                paper.map { signed(validation.bits - $0) } ?? "-",
            ]
        }
        let streams = points[0].1.streams
        return "`\(group.record.configuration)`, seed \(group.record.seed), validation during training"
            + " (\(streams == 1 ? "one sequence" : "\(streams) streams")), beside the paper's curve (\(curve.title);"
            + " linear between its points):\n\n"
            + markdownTable(["step", "ours", "the paper's curve", "difference"], rows)
    }

    // MARK: - Sample, deviations, machines

    private var sample: String {
        let groups = groups { $0.record.data.corpus == .sample }
        guard !groups.isEmpty else { return "" }
        let floor = groups.compactMap(\.record.data.entropyRateBits).first
        return """
            ### The generated sample: NOT Penn Treebank

            Small models on the small generated corpus that is part of the repository, which `make reproduce-ptb` trains where
            there is no other data. **No number here can be compared with the paper.**\
            \(floor.map { " The source's own entropy rate is \(fixed($0, 4)) bits per character; no model can be below it." } ?? "")

            \(markdownTable(
                ["model", "parameters", "steps", "validation", "test", "above the entropy rate", "wall", "records"],
                groups.map { group in
                    let record = group.record
                    let test = SeedStatistics(group.runs.compactMap { $0.record.test?.bits })
                    return [
                        "`\(record.configuration)`", grouped(record.parameterCount), grouped(record.training.stepsDone),
                        Self.statistics(group.runs, \.validation), Self.statistics(group.runs, \.test),
                        floor.flatMap { floor in test.map { signed($0.mean - floor) } } ?? "-",
                        durationText(seconds: record.training.wallSeconds),
                        group.runs.map { "[seed \($0.record.seed)](\($0.path)/record.json)" }.joined(separator: ", "),
                    ]
                }))
            """
    }

    private var deviations: String {
        "### Where the paper is silent or contradicts itself: what these runs do\n\n"
            + markdownTable(
                ["", "where", "the paper", "here", "why", "key of the configuration"],
                Deviation.characters.map {
                    [$0.id, $0.section, $0.paper, $0.choice, $0.reason, $0.key.map { "`\($0)`" } ?? "-"]
                })
    }

    private var provenance: String { provenanceTable(runs.map { ($0.record, $0.path) }) }

    // MARK: - Figures

    /// The curves of each budget that has runs on Penn Treebank beside the paper's curve.
    public var figures: [CurveFigure] {
        let groups = groups {
            $0.configuration.reproduces?.table == .table3 && Self.followsPaperSettings($0.record)
        }
        var budgets: [String] = []
        for group in groups where !budgets.contains(group.record.budget) { budgets.append(group.record.budget) }
        return budgets.flatMap { budget in
            let runs = groups.filter { $0.record.budget == budget }.flatMap(\.runs)
            let lastStep = runs.map(\.record.training.stepsDone).max() ?? 0
            let paper = PaperCurve.pennTreebank
            return CurveFigure.ofRuns(
                runs.map { run in
                    let row = run.configuration.reproduces?.name ?? run.record.configuration
                    return NamedLog(name: "\(row), seed \(run.record.seed)", log: run.log)
                },
                budget: budget, folder: "experiments/\(Self.id)/figures",
                name: "ptb-\(budget.replacingOccurrences(of: " ", with: "-"))",
                title: "Penn Treebank, characters, \(budget)", metric: "bits per character", value: { $0.bits },
                paper: LineChart.Series(
                    name: paper.title, kind: .reference,
                    points: paper.points.filter { $0.step <= lastStep }.map { (Double($0.step), $0.bits) }),
                loss: ("bits per character", 1 / log(2)))
        }
    }
}
