import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Every committed configuration: the paper's row, the expected number, the cost.")

    func run() throws {
        let configs = try experimentFolder(ImageWork.experiment).appendingPathComponent("configs")
        let entries = try ConfigurationFile.all(in: configs).map {
            let file = try ConfigurationFile(contentsOf: $0)
            return (file: file, decoded: try ImageConfiguration(file.root))
        }
        // The paper's budgets first, each budget in the order of the paper's tables.
        let budgets = ["paper", "epochs-400", "epochs-100", "10 epochs", "quick", "sample"]
        func place(_ decoded: ImageConfiguration) -> (Int, String, Int) {
            (
                budgets.firstIndex(of: decoded.budget) ?? budgets.count, decoded.reproduces?.table.rawValue ?? "",
                decoded.tableRow ?? 0
            )
        }
        var rows = [["configuration", "budget", "row", "cost", "expected"]]
        for (file, decoded) in entries.sorted(by: { place($0.decoded) < place($1.decoded) }) {
            let row = decoded.reproduces.map { "\($0.table.rawValue), row \($0.row)" } ?? "-"
            rows.append([file.name, decoded.budget, row, file.header.cost ?? "-", file.header.expected ?? "-"])
        }
        try writeResult(alignedColumns(rows))
    }
}
