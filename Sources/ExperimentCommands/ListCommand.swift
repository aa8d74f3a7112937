import ArgumentParser
import ExperimentKit
import Foundation

/// `list`: every committed configuration with its row and its hours.
public struct List<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "list",
            abstract: "Every committed configuration: its budget, the paper's row, the hours, the expected number.",
            discussion: """
                Hours are those of a committed run (measured), or the steps times the seconds of a step that a committed run
                of the same model and batch took (from the step), or what the configuration says (its cost).
                """)
    }

    @Option(help: "Only this table, by its name in the column `row`.")
    var table: String?
    @Option(help: "Only this budget, such as paper or quick.")
    var budget: String?

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
        let hours = try RunHours<Work>(experiment: folder)
        var rows = [["configuration", "budget", "row", "hours", "expected"]]
        for configuration in all {
            let row = configuration.values.reproduces
            guard table == nil || row?.table == table, budget == nil || configuration.values.budget == budget else {
                continue
            }
            rows.append([
                configuration.name, configuration.values.budget, row.map { "\($0.table), \($0.row)" } ?? "-",
                hours.text(configuration), configuration.file.header.expected ?? "-",
            ])
        }
        try writeResult(fitted(alignedColumns(rows), width: terminalWidth()))
    }
}

/// The width of the terminal that stdout is; nil where it is none.
private func terminalWidth() -> Int? {
    var size = winsize()
    guard isatty(STDOUT_FILENO) != 0, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
        return nil
    }
    return Int(size.ws_col)
}

/// Lines cut to a width, with a sign where something is missing.
func fitted(_ text: String, width: Int?) -> String {
    guard let width, width > 1 else { return text }
    return text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.count > width ? $0.prefix(width - 1) + "…" : $0 }.joined(separator: "\n")
}
