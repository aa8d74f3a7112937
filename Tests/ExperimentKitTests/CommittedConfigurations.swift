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
        let folder = checkout.experiment(Work.program).appendingPathComponent("configs")
        all = try NamedConfiguration<Work.Configuration>.all(in: folder).map { ($0.file, $0.values) }
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

    /// The program's list has a line for every configuration.
    func expectListed() throws {
        let outcome = try BuiltProgram(name: Work.program).run(["list"])
        for (file, _) in all { #expect(outcome.output.contains("\n\(file.name) "), "\(file.name)") }
    }

    /// Every open decision has a name of its own, and the keys that it names exist.
    func expectOpenDecisions() throws {
        // As the decoders read them: a key that was added later need not stand in a file.
        let keys = try KeyReference(of: Work.Configuration.self, files: all.map(\.file)).keys.map(\.path)
        for decision in Work.openDecisions {
            for key in decision.keys { #expect(keys.contains(key), "\(decision.id): \(key)") }
        }
        #expect(Set(Work.openDecisions.map(\.id)).count == Work.openDecisions.count)
    }

    /// Every row of the paper stands in the documents, whether it was run or not, and every open decision.
    func expectRowsInDocuments() throws {
        let results = try ExperimentResults<Work>(experiment: checkout.experiment(Work.program))
        let section = results.section, summary = results.summary, deviations = results.deviations
        for (file, decoded) in all where decoded.budget == "paper" {
            let row = try #require(decoded.reproduces, "\(file.name)")
            #expect(section.contains(row.name), "\(file.name)")
            // A table of this suite's own stands in no summary.
            let isInPaper = try #require(Work.table(of: decoded), "\(file.name)").isInPaper
            #expect(summary.contains("| \(row.table): \(row.name) |") == isInPaper, "\(file.name)")
        }
        for decision in Work.openDecisions { #expect(deviations.contains("| \(decision.id) |")) }
    }
}
