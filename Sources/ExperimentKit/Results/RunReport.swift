import Figures
import Foundation

/// Any runs of one experiment side by side, finished or not: their figures, their curves, the settings that they differ
/// in, and where they were made.
public struct RunReport<Work: Experiment> {
    public let runs: [RecordedRun<Work>]
    private let table: RunTable<Work>

    /// - Parameter runs: In the order that they are shown in; a copy of another's record is left out.
    public init(_ runs: [RecordedRun<Work>]) {
        self.runs = runs.inGroups { $0.record == $1.record }.map { $0[0] }
        table = RunTable(groups: RunGroup.inOrder(of: self.runs).map { $0.runs.map { ($0.configuration, $0.record) } })
    }

    // MARK: - Text

    /// The table of figures, and under it the settings that are not the same in all runs.
    ///
    /// - Parameter width: Of the terminal that it is for; nil where it is none.
    public func text(width: Int?) -> String {
        let settings = differingSettings
        let text = alignedColumns([settings.columns] + settings.rows, width: width)
        return table.text(width: width) + (settings.rows.isEmpty ? "" : "\n\(text)\n")
    }

    /// The output of `compare --json`: every run's record.
    public var json: JSONValue {
        get throws {
            .array(
                try runs.map { run in
                    .object([
                        "path": .text(run.path), "metric": .text(Work.metric.name),
                        "validation": .optional(run.record.reported(\.validation).flatMap(Work.metric.value)),
                        "test": .optional(run.record.reported(\.test).flatMap(Work.metric.value)),
                        "record": try JSONValue(encoding: run.record), "settings": run.settings.json,
                    ])
                })
        }
    }

    /// A run of each configuration.
    private var firstOfEachGroup: [RecordedRun<Work>] { RunGroup.inOrder(of: runs).map(\.first) }

    /// The keys whose values are not the same in all configurations, with a column for each configuration.
    private var differingSettings: (columns: [String], rows: [[String]]) {
        let groups = firstOfEachGroup
        // Where a name is not enough, the place tells configurations apart.
        let names = groups.map { run in
            let namesakes = groups.count { $0.record.configuration == run.record.configuration }
            return namesakes > 1 ? run.path : run.record.configuration
        }
        let leaves = groups.map { Dictionary($0.settings.leaves.map { ($0.keyPath, $0.text) }) { first, _ in first } }
        let keys = groups.flatMap { $0.settings.leaves.map(\.keyPath) }.uniqued().filter { key in
            // The table of figures says which row, of which budget.
            !groups.allSatisfy { Work.Configuration.leavesFiguresUnchanged(key, in: $0.settings) }
                && !key.hasPrefix("reproduces")
        }
        let rows = keys.compactMap { key -> [String]? in
            let stated = leaves.compactMap { $0[key] }
            let values = zip(groups, leaves).map { run, leaves in
                // One that leaves it out may mean what another states.
                leaves[key] ?? stated.first { Work.Configuration.holds(key, $0, in: run.settings) } ?? "-"
            }
            return Set(values).count > 1 ? [key] + values : nil
        }
        return (["setting"] + names, rows)
    }

    // MARK: - Page

    /// One page that needs nothing beside it: no network, no scripts, readable in light and dark.
    ///
    /// - Parameters:
    ///   - pictures: SVG pictures of the runs' models, for a section of their own.
    ///   - now: When it was made.
    public func html(pictures: [String] = [], now: Date = Date()) -> String {
        var page = HTMLPage(title: "\(Work.program): \(runs.count) \(runs.count == 1 ? "run" : "runs")")
        page.paragraph("\(Work.title). Made \(now.formatted(.iso8601)) from the runs' own records and logs.")
        page.heading("Figures: \(Work.metric.name)")
        page.table(RunTable<Work>.columns, table.rows)
        if !table.caution.isEmpty { page.paragraph(table.caution) }
        page.heading("Curves")
        for chart in charts { page.picture(chart.svg) }
        if !pictures.isEmpty { page.heading("Pictures of the best checkpoints") }
        for picture in pictures { page.picture(picture) }

        page.heading("Settings")
        let settings = differingSettings
        if settings.rows.isEmpty {
            page.paragraph("The same in all runs.")
        } else {
            page.table(settings.columns, settings.rows)
        }
        for run in firstOfEachGroup {
            page.paragraph(
                run.record.differences.isEmpty
                    ? "`\(run.record.configuration)` has the settings of the file that it is based on."
                    : run.record.differencesText)
        }

        page.heading("Where the runs were made")
        page.table(
            ["run", "folder"] + RunRecord.provenanceColumns,
            runs.map { [name($0), "`\($0.path)`"] + $0.record.provenance })
        page.heading("Sittings: each call of the program that worked on a run")
        page.table(
            [
                "run", "began", "from step", "commit", "machine", "cores", "memory", "instruction set", "processes",
                "threads of each",
            ],
            runs.flatMap { run in
                (run.record.sittings ?? []).map { sitting in
                    [
                        name(run), sitting.began, grouped(sitting.fromStep), "`\(sitting.code.commit.prefix(10))`",
                        sitting.cpu, "\(sitting.cores)", "\(sitting.memoryGiB) GiB", sitting.simd,
                        "\(sitting.processes)", "\(sitting.threads)",
                    ]
                }
            })
        return page.text
    }

    /// Where configuration and seed are not enough, the place tells runs apart.
    private func name(_ run: RecordedRun<Work>) -> String {
        let namesakes = runs.count {
            $0.record.configuration == run.record.configuration && $0.record.seed == run.record.seed
        }
        return namesakes > 1 ? run.path : "\(run.record.configuration), seed \(run.record.seed)"
    }

    /// The charts of each data set: figures of different data have no place on one axis.
    private var charts: [LineChart] {
        runs.inGroups { $0.record.data.displayName == $1.record.data.displayName }.flatMap { members -> [LineChart] in
            let lastStep = members.map(\.record.training.stepsDone).max() ?? 0
            let paper = members.compactMap { run -> PaperCurve? in
                guard let table = Work.table(of: run.configuration), run.record.followsPaperSettings(of: table),
                    let row = run.configuration.reproduces?.row
                else { return nil }
                return table.curves[row]
            }.uniqued(on: \.title)
            return Work.charts(
                of: members.map { (name($0), $0) }, title: members[0].record.data.displayName,
                paper: paper.map { $0.series(upTo: lastStep) }
            ).map(\.chart).filter { chart in chart.series.contains { !$0.points.isEmpty } }
        }
    }
}
