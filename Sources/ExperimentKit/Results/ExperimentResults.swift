import Foundation

/// Whether a file in `figures/` is by its name one that the command `figures` draws from weights.
public func isPictureOfWeights(_ name: String) -> Bool {
    name.wholeMatch(of: /(figures?|embeddings|weight-scaling)-.+\.(svg|png)/) != nil
}

/// The documents that one experiment's committed configurations and records give: its parts of RESULTS.md, README.md
/// and `docs/`, and its figures.
public struct ExperimentResults<Work: Experiment> {
    typealias Run = RecordedRun<Work>
    typealias Group = RunGroup<Work>

    private let configurations: [NamedConfiguration<Work.Configuration>]
    private let runs: [Run]
    private let keys: KeyReference
    let crossChecks: CrossCheckPage<Work>
    /// The pictures in `figures/` that `figures` drew from committed weights, relative to the checkout.
    private let pictures: [String]

    /// Reads `configs/*.yaml`, `runs/*/*/`, `cross-check/` and the names in `figures/` of an experiment's folder.
    ///
    /// - Throws: `ConfigurationError`, `RecordError`.
    public init(experiment: URL) throws {
        configurations = try NamedConfiguration.all(in: experiment.appendingPathComponent("configs"))
        runs = try Run.committed(in: experiment)
        keys = try KeyReference(of: Work.Configuration.self, files: configurations.map(\.file))
        crossChecks = try CrossCheckPage(experiment: experiment, configurations: configurations, runs: runs)
        let names = try Files.names(in: experiment.appendingPathComponent("figures"))
        pictures = names.filter { isPictureOfWeights($0) && $0.hasSuffix(".svg") }.sorted()
            .map { "experiments/\(Work.program)/figures/\($0)" }
    }

    // MARK: - Rows

    /// The paper's own configuration of each row of a table.
    func paperRows(
        of table: PaperTable
    ) -> [(row: ReproducedRow, configuration: NamedConfiguration<Work.Configuration>)] {
        configurations.compactMap { configuration in
            guard configuration.values.budget == "paper", let row = configuration.values.reproduces,
                row.table == table.id
            else { return nil }
            return (row, configuration)
        }.sorted { $0.row.row < $1.row.row }
    }

    /// The runs of a table, grouped by configuration.
    func groups(of table: PaperTable) -> [Group] {
        Group.groups(of: runs.filter { $0.configuration.reproduces?.table == table.id && !$0.record.data.isSample })
    }

    /// The finished runs of a row that most was spent on; among equals those of the file as it is now, then those with
    /// more seeds, then those with the better validation.
    func bestFunded(_ row: ReproducedRow, among groups: [Group]) -> Group? {
        let candidates = groups.filter { $0.row?.row == row.row && $0.isFinished }.map { group in
            let validation = group.statistics(\.validation).flatMap { $0.mean.isNaN ? nil : $0.mean }
            return (
                group: group, isCurrent: changesSince(group).isEmpty ? 1 : 0,
                quality: validation.map { Work.metric.higherIsBetter ? $0 : -$0 } ?? -.infinity
            )
        }
        return candidates.max { left, right in
            let (one, other) = (left.group, right.group)
            return (one.effort, left.isCurrent, one.runs.count, left.quality, other.record.configuration)
                < (other.effort, right.isCurrent, other.runs.count, right.quality, one.record.configuration)
        }?.group
    }

    private func status(_ group: Group?, _ row: ReproducedRow, _ table: PaperTable) -> ReproductionStatus {
        // The tolerance is the one that the run's own configuration states, whatever the row's says since.
        ReproductionStatus(
            of: group?.runs.map(\.record) ?? [], row: group?.row ?? row, dataName: table.dataName, metric: Work.metric)
    }

    /// The paper's figure with as many decimals as its table has.
    private func paperFigure(_ value: Double?, _ table: PaperTable) -> String {
        value.map { fixed($0, table.decimals) } ?? "-"
    }

    // MARK: - Summary

    /// The paper's citation, and those of its tables that are not run.
    var paper: String {
        (["Paper: \(Work.paper.citation)."] + Work.paper.outOfReach).joined(separator: "\n- ")
    }

    /// One line for every row of the paper: its best-funded run.
    var summary: String { summaryTable { _, _ in true } }

    /// The rows that have a run, for the README.
    var summaryOfRuns: String {
        let rows = Work.tables.filter(\.isInPaper).flatMap { table -> [Bool] in
            let groups = groups(of: table)
            return paperRows(of: table).map { bestFunded($0.row, among: groups) != nil }
        }
        let missing = rows.count { !$0 }
        let table = summaryTable { row, groups in bestFunded(row, among: groups) != nil }
        return missing == 0
            ? table : "\(table)\n\nNot run: \(missing) of \(rows.count) rows; [RESULTS.md](RESULTS.md) names them."
    }

    private func summaryTable(where isWanted: (ReproducedRow, [Group]) -> Bool) -> String {
        let tables = Work.tables.filter(\.isInPaper)
        let lines = tables.flatMap { table -> [[String]] in
            let groups = groups(of: table)
            return paperRows(of: table).filter { isWanted($0.row, groups) }.map { row, _ in
                let group = bestFunded(row, among: groups)
                let test = group?.statistics(\.test)
                let mark = group.map(note) ?? ""
                return [
                    "\(table.id): \(row.name)", paperFigure(row.test, table),
                    test.map { fixed($0.mean, Work.metric.decimals) + mark } ?? "-", group?.record.budget ?? "-",
                    group.map { "\($0.runs.count)" } ?? "0", verdict(group, row, table), group?.links ?? "",
                ]
            }
        }
        return "\(Work.metric.name), test split:\n\n"
            + markdownTable(["row", "paper", "ours", "budget", "n", "verdict", "record"], lines)
            + footnotes(tables.flatMap(groups))
    }

    /// The verdict with what it rests on; where the file was changed after the run, also with what the run had.
    private func verdict(_ group: Group?, _ row: ReproducedRow, _ table: PaperTable) -> String {
        let changes = group.map(changesSince) ?? []
        let since = changes.map { "`\($0.key)` \($0.base), now \($0.value)" }
        return ([judgment(group, row, table)] + (since.isEmpty ? [] : ["run with \(since.joined(separator: ", "))"]))
            .joined(separator: "; ")
    }

    /// What was changed in the full settings of a row after they were run: `base` is the run's value. Runs with other
    /// settings name these as their differences.
    private func changesSince(_ group: Group) -> [ConfigurationFile.Difference] {
        guard group.record.differences.isEmpty,
            let file = configurations.first(where: { $0.name == group.record.configuration })?.file
        else { return [] }
        return Work.Configuration.differences(of: file.root, from: group.first.settings)
    }

    private func judgment(_ group: Group?, _ row: ReproducedRow, _ table: PaperTable) -> String {
        let status = status(group, row, table), text = status.text(decimals: table.decimals)
        switch status {
        case .reproduced, .notReproduced:
            return ([text] + basis(group) + (table.statesSettings ? [] : ["settings of this suite"]))
                .joined(separator: "; ")
        case .reducedBudget:
            guard let group, let baseline = table.baseline(ofRow: row.row),
                let paper = paperRows(of: table).first(where: { $0.row.row == baseline })?.row,
                let other = bestFunded(paper, among: groups(of: table)), other.record.budget != group.record.budget
            else { return text }
            return "\(text); not comparable with its baseline, \(paper.name), at \(other.record.budget)"
        default: return text
        }
    }

    /// The errors that a difference from the paper is to be seen beside.
    private func basis(_ group: Group?) -> [String] {
        guard let group, let statistics = group.statistics(\.test) else { return [] }
        let decimals = Work.metric.decimals
        var parts: [String] = []
        // In the mean over the seeds, as the figure is: all of them read the same split.
        let errors = group.runs.compactMap { $0.record.test.flatMap(Work.metric.samplingError) }
        if errors.count == group.runs.count {
            parts.append("test split ±\(fixed(errors.reduce(0, +) / Double(errors.count), decimals))")
        }
        parts.append(
            statistics.standardDeviation.map { "seeds ±\(fixed($0, decimals))" } ?? "one seed, spread unknown")
        return parts
    }

    // MARK: - Remarks on data

    /// A mark behind figures whose data is the paper's by its statistics, but not the file that was given out.
    private func note(_ group: Group) -> String { group.record.data.official ? "" : " †" }

    /// The meaning of the mark, once for each data set.
    private func footnotes(_ groups: [Group]) -> String {
        let notes = groups.map(\.record.data).filter { !$0.official }.uniqued(on: \.displayName).map {
            "† \($0.displayName) (not the official file): \($0.notes.joined(separator: "; "))."
        }
        return notes.map { "\n\n\($0)" }.joined()
    }

    // MARK: - Sections

    /// The part of RESULTS.md below the summary: a section a table.
    var section: String {
        var parts = ["## \(Work.title)"]
        for table in Work.tables { parts += sections(of: table) }
        parts.append(others)
        parts.append(samples)
        parts.append(drawings)
        return parts.filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    /// What `figures` drew from the committed weights; may be empty.
    private var drawings: String {
        let drawn = pictures.map { path in
            let name = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
            return "![\(name.replacingOccurrences(of: "-", with: " "))](\(path))"
        }
        guard !drawn.isEmpty else { return "" }
        return
            (["### Pictures of the committed weights", "What they show: [docs/gallery.md](docs/gallery.md)."] + drawn)
            .joined(separator: "\n\n")
    }

    private func sections(of table: PaperTable) -> [String] {
        let groups = groups(of: table)
        let full = groups.filter { $0.record.differences.isEmpty }
        let rows = paperRows(of: table)
        var parts = ["### \(table.title)"]
        let run = rows.compactMap { row, configuration -> [String]? in
            let candidates = full.filter { $0.record.configuration == configuration.name }
            guard let group = candidates.first(where: { changesSince($0).isEmpty }) ?? candidates.first else {
                return nil
            }
            return [
                row.name, row.parametersInMillions.map { "\($0) M" } ?? "-",
                grouped(Work.parameterCount(configuration.values, nil)), paperFigure(row.validation, table),
                group.text(\.validation) + note(group), paperFigure(row.test, table),
                group.text(\.test) + note(group), "\(group.runs.count)", verdict(group, row, table), group.links,
            ]
        }
        if !run.isEmpty {
            parts.append("At full settings (budget `paper`), \(Work.metric.name):")
            parts.append(
                markdownTable(
                    [
                        "row", "parameters, paper", "ours", "validation, paper", "ours", "test, paper", "ours", "n",
                        "verdict", "records",
                    ], run))
        }
        let missing = rows.filter { row in !full.contains { $0.record.configuration == row.configuration.name } }
        parts.append(notRun(missing, of: table))
        if !table.context.isEmpty { parts.append(table.context) }
        parts.append(Work.supplement(to: table, configurations))
        parts += reducedBudgets(table, groups)
        parts += figures.filter { $0.table == table.id }.map(\.markdown)
        parts += curveTables(table, groups)
        let notes = footnotes(groups)
        if !notes.isEmpty { parts.append(notes.trimmingCharacters(in: .newlines)) }
        return parts
    }

    /// The rows whose full settings have no run: the paper's figures, and the time that a run would take; may be empty.
    private func notRun(
        _ rows: [(row: ReproducedRow, configuration: NamedConfiguration<Work.Configuration>)], of table: PaperTable
    ) -> String {
        guard !rows.isEmpty else { return "" }
        let hours = RunHours(runs: runs)
        let columns: [(header: String, cell: (ReproducedRow, NamedConfiguration<Work.Configuration>) -> String)] = [
            ("row", { row, _ in row.name }),
            ("parameters, paper", { row, _ in row.parametersInMillions.map { "\($0) M" } ?? "-" }),
            ("parameters here", { grouped(Work.parameterCount($1.values, nil)) }),
            ("validation, paper", { row, _ in paperFigure(row.validation, table) }),
            ("test, paper", { row, _ in paperFigure(row.test, table) }),
            ("test against its baseline, paper", { row, _ in paperDifference(row, table) }),
            ("training time here, without evaluations", { hours.text($1) }),
        ]
        // A column that the paper has no figure for is left out.
        let filled = columns.map { column in (column.header, rows.map { column.cell($0.row, $0.configuration) }) }
            .filter { !$0.1.allSatisfy { $0 == "-" } }
        return
            "Not run at full settings, for lack of computing time (two threads take about half as long as one):\n\n"
            + markdownTable(filled.map(\.0), rows.indices.map { row in filled.map { $0.1[row] } })
    }

    /// The paper's test figure less that of the row's baseline.
    private func paperDifference(_ row: ReproducedRow, _ table: PaperTable) -> String {
        guard let test = row.test else { return "-" }
        guard let baseline = table.baseline(ofRow: row.row) else { return "baseline" }
        let other = paperRows(of: table).first { $0.row.row == baseline }?.row.test
        return other.map { signed(test - $0, table.decimals) } ?? "-"
    }

    private func reducedBudgets(_ table: PaperTable, _ groups: [Group]) -> [String] {
        let reduced = groups.filter { !$0.record.differences.isEmpty }
        // The costliest comes first.
        func effort(_ budget: String) -> Double {
            reduced.filter { $0.record.budget == budget }.map(\.effort).max() ?? 0
        }
        let budgets = reduced.map(\.record.budget).uniqued().sorted { effort($0) > effort($1) }
        let parts = budgets.flatMap { budget -> [String] in
            let members = reduced.filter { $0.record.budget == budget }
            return ["#### Reduced budget: \(budget)", runTable(members, table), differences(members)]
        }
        return !parts.isEmpty && !table.caution.isEmpty ? [table.caution] + parts : parts
    }

    private func runTable(_ members: [Group], _ table: PaperTable?) -> String {
        markdownTable(
            [
                "configuration", "parameters", "steps", "validation", "test", "n", "test against its baseline",
                "records",
            ],
            members.map { group in
                [
                    "`\(group.record.configuration)`" + (group.isFinished ? "" : " (incomplete)"),
                    grouped(group.record.parameterCount), group.steps,
                    group.text(\.validation) + note(group), group.text(\.test) + note(group), "\(group.runs.count)",
                    difference(group, among: members, table), group.links,
                ]
            })
    }

    /// The test figure less that of the row that the table names as baseline, at the same budget on the same data; a
    /// sample has no table, and is compared with the entropy rate of its source.
    private func difference(_ group: Group, among members: [Group], _ table: PaperTable?) -> String {
        guard let ours = group.statistics(\.test)?.mean else { return "-" }
        guard let table else {
            return group.record.data.entropyRate.map {
                "\(signed(ours - $0, Work.metric.decimals)) above the source's own"
            } ?? "-"
        }
        guard let row = group.row?.row, let baseline = table.baseline(ofRow: row) else { return "baseline" }
        let candidates = members.filter { $0.row?.row == baseline && $0.record.data.name == group.record.data.name }
        // Of several of one budget the one that learned from as much.
        let other =
            candidates.count < 2
            ? candidates.first
            : candidates.first {
                $0.record.training.stepsPlanned == group.record.training.stepsPlanned
                    && $0.first.configuration.unitsPerStep == group.first.configuration.unitsPerStep
            }
        return other?.statistics(\.test).map { signed(ours - $0.mean, table.decimals) } ?? "-"
    }

    /// What differs from the rows' full settings, as computed when the runs were made: what all runs of a budget have
    /// in common once, then the rest of each.
    private func differences(_ members: [Group]) -> String {
        guard members.count > 1 else { return members.map(\.record.differencesText).joined() }
        let changes = members.map { $0.record.differences.bySection }
        var common: [ConfigurationFile.Difference] = [], texts: [String] = []
        for change in changes[0] {
            // Rows that come to the same value may begin at different ones.
            let same = changes.compactMap { $0.first { $0.key == change.key && $0.value == change.value } }
            guard same.count == changes.count else { continue }
            common += same
            texts.append(change.markdown(from: same.map(\.base)))
        }
        let own = zip(members, changes).compactMap { group, changes -> String? in
            let rest = changes.filter { !common.contains($0) }.map { $0.markdown(from: [$0.base]) }
            return rest.isEmpty ? nil : "- `\(group.record.configuration)`: \(rest.joined(separator: ", "))"
        }
        var parts: [String] = []
        if !texts.isEmpty {
            parts.append("All differ from their rows' full settings in \(texts.joined(separator: ", ")).")
        }
        if !own.isEmpty {
            parts.append(texts.isEmpty ? "They differ from their rows' full settings:" : "And each by itself:")
            parts.append(own.joined(separator: "\n"))
        }
        return parts.joined(separator: "\n\n")
    }

    /// Runs that claim no row of a table.
    private var others: String {
        let groups = Group.groups(
            of: runs.filter { $0.configuration.reproduces == nil && !$0.record.data.isSample })
        guard !groups.isEmpty else { return "" }
        return "### Runs beside the paper's tables\n\n\(Work.metric.name); where a figure surprises:"
            + " [docs/shortfalls.md](docs/shortfalls.md).\n\n" + runTable(groups, nil)
            + footnotes(groups)
    }

    private var samples: String {
        let groups = Group.groups(of: runs.filter { $0.record.data.isSample })
        guard !groups.isEmpty else { return "" }
        return """
            ### The generated sample: no data of the paper's

            Small models on the small generated data that is part of the repository, which `reproduce` trains where there is no
            other. **No number here can be compared with the paper.**

            \(runTable(groups, nil))
            """
    }

    // MARK: - Documents under docs/

    /// The table of the decisions that the paper leaves open.
    var deviations: String {
        "## \(Work.title)\n\n"
            + markdownTable(
                ["name", "where", "the paper", "here", "why", "key of the configuration"],
                Work.openDecisions.map {
                    let keys = $0.keys.isEmpty ? "-" : "`\($0.keys.joined(separator: ", "))`"
                    return [$0.id, $0.section, $0.paper, $0.choice, $0.reason, keys]
                })
    }

    /// The origin of the records: commit, machine, libraries, time.
    var provenance: String {
        let lines = runs.map { run in
            ["[`\(run.record.configuration)`, seed \(run.record.seed)](../\(run.path)/record.json)"]
                + run.record.provenance
        }
        return "## \(Work.title)\n\n" + markdownTable(["run"] + RunRecord.provenanceColumns, lines)
    }

    /// Every key of a configuration, by what the decoder reads.
    var keyReference: String { "## \(Work.title)\n\n" + keys.markdown }
}
