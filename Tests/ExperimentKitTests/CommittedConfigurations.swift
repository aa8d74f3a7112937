import Foundation
import Testing

@testable import ExperimentKit

/// A row as the paper prints it, and its exact count of parameters, which the equations give.
struct PublishedRow {
    let parameters: Int
    /// As printed; nil where the paper has none.
    let millions: Double?
    let test: Double
    /// nil where the paper has none.
    var validation: Double? = nil
    /// Whether the printed count is another than the equations' (deviations `printedCounts`, `layerNormBias`).
    var printsAnotherCount = false
}

/// The committed configurations of an experiment, and the claims that hold for those of every one.
struct CommittedConfigurations<Work: Experiment> {
    let all: [(file: ConfigurationFile, decoded: Work.Configuration)]

    init() throws {
        let folder = checkout.experiment(Work.program)
        all = try ConfigurationFile.all(in: folder.appendingPathComponent("configs")).map {
            let file = try ConfigurationFile(contentsOf: $0)
            return (file, try Work.Configuration(file.root))
        }
    }

    /// - Parameters:
    ///   - rows: Every row of the paper, by the name of its file.
    ///   - rounding: Millions of parameters that a printed count is rounded to.
    func expectPublishedRows(_ rows: [String: PublishedRow], rounding: Double) {
        for (name, row) in rows {
            guard let (file, decoded) = all.first(where: { $0.file.name == name }) else {
                Issue.record("\(name) is missing")
                continue
            }
            #expect(decoded.budget == "paper" && Work.parameterCount(decoded, nil) == row.parameters, "\(name)")
            #expect(file.header.expected?.contains(grouped(row.parameters)) == true, "\(name): the header's count")
            let stated = decoded.reproduces
            #expect(stated?.test == row.test && stated?.validation == row.validation, "\(name)")
            #expect(stated?.parametersInMillions == row.millions, "\(name)")
            guard let millions = row.millions else { continue }
            let agrees = abs(Double(row.parameters) / 1e6 - millions) <= rounding / 2
            #expect(agrees != row.printsAnotherCount, "\(name): \(row.parameters) parameters, printed \(millions) M")
        }
    }

    /// - Parameter counts: Rows of each table, each of which has one file with the paper's budget.
    func expectRowsOnce(_ counts: [String: Int]) {
        let rows = all.filter { $0.decoded.budget == "paper" }.compactMap(\.decoded.reproduces)
        #expect(Set(rows.map(\.table)) == Set(counts.keys))
        for (table, count) in counts {
            #expect(rows.filter { $0.table == table }.map(\.row).sorted() == Array(1...count), "\(table)")
        }
    }

    /// - Parameter expectation: A row's line `Expected`, of the paper's figure.
    func expectHeaders(_ expectation: (_ test: Double) -> String) throws {
        let hours = RunHours<Work>(experiment: checkout.experiment(Work.program)) { Issue.record("\($0)") }
        for (file, decoded) in all {
            #expect(file.header.command == "\(Work.program) train \(file.name)")
            #expect(file.header.expected != nil, "\(file.name)")
            let isMeasured = hours.seconds(try NamedConfiguration(file)) != nil
            #expect(
                (file.header.cost == nil) == isMeasured,
                "\(file.name): a line `# Cost:` stands where no record tells the hours, and only there")
            if decoded.budget == "paper", let test = decoded.reproduces?.test {
                #expect(file.header.expected?.contains(expectation(test)) == true, "\(file.name)")
            }
        }
    }

    /// The rows of the paper stand without a base, smaller budgets on one.
    func expectBases() {
        for (file, decoded) in all where decoded.reproduces != nil {
            #expect(file.differences.isEmpty == (decoded.budget == "paper"), "\(file.name)")
        }
    }
}
