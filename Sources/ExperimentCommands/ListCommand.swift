import ArgumentParser
import ExperimentKit
import Foundation

/// `list`: every committed configuration with its row and its hours.
public struct List<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "list",
            abstract: "Every committed configuration: its budget, the paper's row, its hours, the expected number.",
            discussion: """
                The column `hours` is the time of a run: `measured`, of a committed run; `from the step`, its steps \
                times the seconds that a step of a committed run of the same model and batch took; `from the size`, \
                the same by a run of another size of the same kind of model, scaled by the multiplications; else the \
                cost that the configuration states.
                """)
    }

    @Option(help: "Only this table, by its name in the column `row`.")
    var table: String?
    @Option(help: "Only this budget, such as paper or quick.")
    var budget: String?
    @Flag(help: "Print one JSON document.")
    var json = false
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let folder = try experimentFolder(Work.program)
        let all = try NamedConfiguration<Work.Configuration>.all(in: try configurationFolder(of: Work.self))
        let tables = Work.tables.map(\.id), budgets = Set(all.map(\.values.budget)).sorted()
        if let table, !tables.contains(table) {
            throw UserError(description: "--table expects one of \(tables.joined(separator: ", ")), found '\(table)'")
        }
        if let budget, !budgets.contains(budget) {
            throw UserError(
                description: "--budget expects one of \(budgets.joined(separator: ", ")), found '\(budget)'")
        }
        let hours = RunHours<Work>(experiment: folder) { note("left out: \($0)") }
        let listed = all.filter { configuration in
            (table == nil || configuration.values.reproduces?.table == table)
                && (budget == nil || configuration.values.budget == budget)
        }
        guard !json else { return try writeResult(.array(listed.map { Self.json($0, hours) })) }
        // What a narrow terminal cuts off comes last.
        let rows = listed.map { configuration in
            [
                configuration.name, configuration.values.budget,
                configuration.values.reproduces.map { "\($0.table), \($0.row)" } ?? "-", hours.text(configuration),
                configuration.file.header.expected ?? "-",
            ]
        }
        try writeResult(
            fitted(
                alignedColumns([["configuration", "budget", "row", "hours", "expected"]] + rows),
                width: terminalWidth(of: STDOUT_FILENO)))
    }

    private static func json(
        _ configuration: NamedConfiguration<Work.Configuration>, _ hours: RunHours<Work>
    ) -> JSONValue {
        let values = configuration.values, cost = hours.seconds(configuration)
        return .object([
            "configuration": .text(configuration.name), "budget": .text(values.budget), "data": .text(values.dataName),
            "table": .optional(values.reproduces?.table),
            "row": values.reproduces.map { .count($0.row) } ?? .null,
            "rowName": .optional(values.reproduces?.name),
            "metric": .text(Work.metric.name), "paperTest": .optional(values.reproduces?.test),
            "paperValidation": .optional(values.reproduces?.validation),
            "parameters": .count(Work.parameterCount(values, nil)), "steps": .count(values.loop.steps),
            "seeds": .array(values.seeds.map { .count($0) }),
            "seconds": .optional(cost?.seconds), "secondsMeasured": cost.map { .boolean($0.isMeasured) } ?? .null,
            "expected": .optional(configuration.file.header.expected),
        ])
    }
}
