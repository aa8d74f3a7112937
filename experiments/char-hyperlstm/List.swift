import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Every committed configuration: the paper's row, the expected number, the cost.")

    func run() throws {
        let configs = ConfigurationFile.all(
            in: try experimentFolder(CharacterWork.experiment).appendingPathComponent("configs"))
        let entries = try configs.map { url -> (file: ConfigurationFile, decoded: CharacterConfiguration) in
            let file = try ConfigurationFile(contentsOf: url)
            return (file, try CharacterConfiguration(file.root))
        }
        // The paper's budgets first, each budget in the order of the paper's tables.
        let budgets = ["paper", "steps-20000", "steps-5000", "prefix", "1000 steps", "quick", "sample"]
        let sorted = entries.sorted { left, right in
            func place(_ entry: (file: ConfigurationFile, decoded: CharacterConfiguration)) -> (Int, String, Int) {
                let row = entry.decoded.reproduces
                return (
                    budgets.firstIndex(of: entry.decoded.budget) ?? budgets.count, row?.table.rawValue ?? "",
                    row?.row ?? 0
                )
            }
            return place(left) < place(right)
        }
        var rows = [["configuration", "budget", "row", "cost", "expected"]]
        for (file, decoded) in sorted {
            let row = decoded.reproduces.map { "\($0.table.rawValue), row \($0.row)" } ?? "-"
            rows.append([file.name, decoded.budget, row, file.header.cost ?? "-", file.header.expected ?? "-"])
        }
        try writeResult(alignedColumns(rows))
    }
}
