import Foundation
import HyperNetworks

/// The section of RESULTS.md about characters, made from the committed configurations and records.
public struct CharacterResults {
    /// A record with where it lies and what it was to reproduce.
    struct Run {
        let record: RunRecord
        /// Relative to the checkout.
        let path: String
        let configuration: CharacterConfiguration
        let log: [StepRecord]
    }

    private let configurations: [(file: ConfigurationFile, decoded: CharacterConfiguration)]
    private let runs: [Run]
    private static let id = "char-hyperlstm"

    /// Reads `configs/*.yaml` and `runs/*/*/` of an experiment's folder.
    ///
    /// - Throws: `ConfigurationError`, `RecordError`.
    public init(experiment: URL) throws {
        configurations = try ConfigurationFile.all(in: experiment.appendingPathComponent("configs")).map {
            let file = try ConfigurationFile(contentsOf: $0)
            return (file, try CharacterConfiguration(file.root))
        }
        var runs: [Run] = []
        let folder = experiment.appendingPathComponent("runs")
        for configuration in Self.folders(in: folder) {
            for seed in Self.folders(in: configuration) {
                let record = seed.appendingPathComponent("record.json")
                guard FileManager.default.fileExists(atPath: record.path) else { continue }
                runs.append(
                    Run(
                        record: try RunRecord(contentsOf: record),
                        path: "experiments/\(Self.id)/runs/\(configuration.lastPathComponent)/\(seed.lastPathComponent)",
                        configuration: try CharacterRun.configuration(of: seed),
                        log: try StepLog.read(seed.appendingPathComponent("steps.jsonl"))))
            }
        }
        self.runs = runs
    }

    private static func folders(in url: URL) -> [URL] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        return names.filter { !$0.hasPrefix(".") }
            .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
            .map { url.appendingPathComponent($0, isDirectory: true) }
            .filter { (try? $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory) == true }
    }

    // MARK: - Files

    /// The files that the records give, by path relative to the checkout.
    func files(existingDocument: String) -> [(path: String, text: String)] {
        var document = ResultsDocument(existingDocument)
        document.replace(id: Self.id, body: section)
        return [("RESULTS.md", document.text)] + figures.map { ($0.scriptPath, $0.script) }
    }

    /// Files that are not what the records give.
    public func staleFiles(project: ProjectFolder) throws -> [String] {
        let existing = (try? String(contentsOf: project.results, encoding: .utf8)) ?? ""
        var stale = files(existingDocument: existing).filter { file in
            (try? String(contentsOf: project.url.appendingPathComponent(file.path), encoding: .utf8)) != file.text
        }.map(\.path)
        // A drawing depends on gnuplot's version, its script on the records alone: the script is compared.
        stale += figures.map(\.imagePath).filter {
            !FileManager.default.fileExists(atPath: project.url.appendingPathComponent($0).path)
        }
        return stale
    }

    /// Writes RESULTS.md and the figures.
    ///
    /// - Returns: the paths written, relative to the checkout.
    /// - Throws: `RecordError.unwritable`; `FigureError` if gnuplot is there and fails.
    public func write(project: ProjectFolder) throws -> [String] {
        let existing = (try? String(contentsOf: project.results, encoding: .utf8)) ?? ""
        var written: [String] = []
        for file in files(existingDocument: existing) {
            let url = project.url.appendingPathComponent(file.path)
            do {
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(file.text.utf8).write(to: url, options: .atomic)
            } catch {
                throw RecordError.unwritable(path: url.path, reason: "\(error)")
            }
            written.append(file.path)
        }
        for figure in figures where try figure.draw(in: project.url) { written.append(figure.imagePath) }
        return written
    }

    // MARK: - The section

    var section: String {
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
        guard !runs.isEmpty else { return .notRun }
        if let open = runs.first(where: { $0.record.status != .finished }) {
            return .incomplete(step: open.record.training.stepsDone, steps: open.record.training.stepsPlanned)
        }
        if let other = runs.first(where: { !$0.record.data.official }) {
            return .otherData(name: other.record.data.displayName)
        }
        guard let paper = row.test else { return .noPaperNumber }
        guard let test = SeedStatistics(runs.compactMap { $0.record.test?.bits }) else { return .notRun }
        return ReproductionStatus(mean: test.mean, paper: paper, tolerance: row.tolerance)
    }

    private static func statistics(_ runs: [Run], _ figure: KeyPath<RunRecord, SplitEvaluation?>) -> String {
        SeedStatistics(runs.compactMap { $0.record[keyPath: figure]?.bits })?.text ?? "-"
    }

    // MARK: - Reduced budgets

    /// One group of runs of one configuration on one corpus.
    private struct Group {
        let runs: [Run]
        var first: Run { runs[0] }
        var record: RunRecord { runs[0].record }
    }

    private func groups(where isWanted: (Run) -> Bool) -> [Group] {
        var order: [String] = []
        var members: [String: [Run]] = [:]
        for run in runs where isWanted(run) {
            // Runs of one name with other overrides are other experiments.
            let overrides = run.record.differences.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
            let key = "\(run.record.configuration) \(run.record.data.name) \(overrides)"
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(run)
        }
        return order.compactMap { members[$0] }.map { Group(runs: $0) }
            .sorted {
                ($0.first.configuration.reproduces?.row ?? 0, $0.record.configuration)
                    < ($1.first.configuration.reproduces?.row ?? 0, $1.record.configuration)
            }
    }

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
            if table == .table3, let figure = figures.first(where: { $0.budget == budget }) {
                parts.append("![Validation against steps](\(figure.imagePath))")
            }
            return parts
        }
    }

    private func reducedTable(_ members: [Group]) -> String {
        markdownTable(
            ["model", "parameters", "steps (selected)", "validation", "test", "read as", "test against the LSTM",
             "s/step", "wall", "status", "records"],
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
            return "- `\(group.record.configuration)` differs from the paper's settings in " + changes.joined(separator: ", ")
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

    /// Where the records come from: commit, machine, libraries.
    private var provenance: String {
        guard !runs.isEmpty else { return "" }
        let rows = runs.map { run -> [String] in
            let record = run.record
            let dirty = record.code.treeDirty == true ? ", with uncommitted changes" : ""
            let machine = record.environments.last
            return [
                "[`\(record.configuration)`, seed \(record.seed)](\(run.path)/record.json)",
                "`\(record.code.commit.prefix(10))`\(dirty)", machine.map { "\($0.cpu), \($0.threads) threads" } ?? "-",
                machine.map { "\($0.blas); \($0.simd); \($0.swift)" } ?? "-",
                record.data.official || record.data.corpus == .sample
                    ? record.data.displayName : "\(record.data.displayName) (not the official file)",
            ]
        }
        return "### Where each record was made\n\n" + markdownTable(["run", "commit", "machine", "libraries", "data"], rows)
    }

    // MARK: - Figures

    /// One chart for each budget that has runs on Penn Treebank beside the paper's curve.
    var figures: [CurveFigure] {
        let groups = groups {
            $0.configuration.reproduces?.table == .table3 && Self.followsPaperSettings($0.record)
        }
        var budgets: [String] = []
        for group in groups where !budgets.contains(group.record.budget) { budgets.append(group.record.budget) }
        return budgets.map { budget in
            let name = budgets.count == 1 ? "ptb-curves" : "ptb-curves-\(budget.replacingOccurrences(of: " ", with: "-"))"
            let runs = groups.filter { $0.record.budget == budget }.flatMap(\.runs)
            let lastStep = runs.map(\.record.training.stepsDone).max() ?? 0
            let paper = PaperCurve.pennTreebank.points.filter { $0.step <= lastStep }
            var curves = runs.map { run in
                CurveFigure.Curve(
                    title: "\(run.configuration.reproduces?.name ?? run.record.configuration), seed \(run.record.seed)",
                    points: run.log.compactMap { line in line.validation.map { (line.step, $0.bits) } }, isPaper: false)
            }
            curves.append(
                CurveFigure.Curve(
                    title: PaperCurve.pennTreebank.title, points: paper.map { ($0.step, $0.bits) }, isPaper: true))
            return CurveFigure(
                budget: budget, folder: "experiments/\(Self.id)/figures", name: name,
                title: "Penn Treebank, characters: validation (\(budget))", curves: curves)
        }
    }
}
