import Foundation
import Testing

@testable import ExperimentKit

@Suite struct ResultsTests {
    @Test func resultsAreInStepWithTheRecords() throws {
        let results = try CharacterResults(experiment: checkout.experiment("char-hyperlstm"))
        #expect(try results.staleFiles(project: checkout) == [], "run `char-hyperlstm results`")
    }

    @Test func everyRowStandsInTheDocumentEvenIfNotRun() throws {
        let section = try CharacterResults(experiment: checkout.experiment("char-hyperlstm")).section
        for url in ConfigurationFile.all(in: committedConfigurations) {
            let decoded = try CharacterConfiguration(try ConfigurationFile(contentsOf: url).root)
            guard let row = decoded.reproduces, decoded.budget == "paper" else { continue }
            #expect(section.contains("| \(row.name) |"), "\(row.table.rawValue), \(row.row)")
        }
    }

    @Test func aSectionIsReplacedAndTheOthersStay() {
        var document = ResultsDocument()
        document.replace(id: "static-hypernet", body: "## Images\n\ntable")
        document.replace(id: "char-hyperlstm", body: "## Characters")
        let first = document.text
        var again = ResultsDocument(first)
        #expect(again.text == first)
        again.replace(id: "char-hyperlstm", body: "## Characters, new")
        #expect(again.sections.map(\.id) == ["char-hyperlstm", "static-hypernet"])
        #expect(again.text.contains("## Images\n\ntable") && !again.text.contains("## Characters\n"))
    }

    @Test func statusIsComputedFromTheTolerance() {
        #expect(
            ReproductionStatus(mean: 1.265, paper: 1.25, tolerance: 0.02).text == "reproduced (+0.015, within ±0.02)")
        #expect(
            ReproductionStatus(mean: 1.2, paper: 1.25, tolerance: 0.02).text
                == "not reproduced (−0.050, tolerance ±0.02)")
        guard case .notReproduced = ReproductionStatus(mean: .nan, paper: 1.25, tolerance: 0.02) else {
            Issue.record("NaN reproduces nothing")
            return
        }
    }

    @Test func statisticsUseTheSampleStandardDeviation() {
        #expect(SeedStatistics([1.25])?.text == "1.2500")
        #expect(SeedStatistics([1, 2, 3])?.text == "2.0000 ± 1.0000 (n = 3)")
        #expect(SeedStatistics([]) == nil)
    }

    @Test func thePapersCurveIsReadBetweenItsPointsAndNotOutside() throws {
        let curve = try #require(PaperCurve.curve(table: .table3, row: 6))
        #expect(curve.bits(atStep: 1000) == 1.63 && curve.bits(atStep: 37000) == 1.282)
        #expect(abs(try #require(curve.bits(atStep: 750)) - 1.71) < 1e-12)
        #expect(curve.bits(atStep: 499) == nil && curve.bits(atStep: 37001) == nil)
        for row in [1, 3, 4, 5] {
            let steps = try #require(PaperCurve.curve(table: .table4, row: row)).points.map(\.step)
            #expect(steps == steps.sorted() && steps.count > 30)
        }
    }

    // MARK: - A small experiment of its own

    /// An experiment folder with one paper configuration, a smaller one on top of it, and whatever records a test puts in.
    private struct Experiment {
        let folder: TemporaryFolder

        init() throws {
            folder = try TemporaryFolder()
            for name in ["table3-lstm", "table3-layer-norm-hyperlstm"] {
                let yaml = try String(
                    contentsOf: committedConfigurations.appendingPathComponent("\(name).yaml"), encoding: .utf8)
                try folder.write(yaml, to: "configs/\(name).yaml")
            }
        }

        func add(
            _ name: String, seed: Int, test: Double, overrides: [String] = [], status: RunRecord.Status = .finished,
            official: Bool = true, validations: [(Int, Double)] = []
        ) throws {
            let file = try ConfigurationFile(
                contentsOf: folder.url.appendingPathComponent("configs/\(name).yaml"), overrides: overrides)
            var record = RunRecord(
                experiment: "char-hyperlstm", configuration: file, decoded: try CharacterConfiguration(file.root),
                seed: seed,
                code: .init(commit: "0123456789abcdef", treeDirty: false),
                data: .init(
                    corpus: .ptb, name: "ptb", displayName: official ? "Penn Treebank" : "another treebank",
                    official: official, files: [], notes: [], trainingCharacters: 1, validationCharacters: 1,
                    testCharacters: 1, vocabularySize: 50, entropyRateBits: nil), parameterCount: 1)
            func evaluation(_ bits: Double) -> SplitEvaluation {
                SplitEvaluation(lossNats: bits * log(2), predictions: 1, streams: 1, seconds: 1)
            }
            record.status = status
            record.training.stepsDone = 1000
            if status == .finished { record.test = evaluation(test) }
            if status == .finished { record.validation = evaluation(test + 0.03) }
            let path = "runs/\(file.name)/\(seed)"
            let url = try folder.write(file.root.yaml, to: "\(path)/config.yaml")
            try record.write(to: url.deletingLastPathComponent().appendingPathComponent("record.json"))
            let stepLog = StepLog(url: url.deletingLastPathComponent().appendingPathComponent("steps.jsonl"))
            for (step, bits) in validations {
                try stepLog.append(StepRecord(step: step, seconds: 1, validation: evaluation(bits)))
            }
        }

        var section: String { get throws { try CharacterResults(experiment: folder.url).section } }

        /// The table row that starts with `name`.
        func row(_ name: String) throws -> String {
            try #require(try section.split(separator: "\n").map(String.init).first { $0.hasPrefix("| \(name) |") })
        }
    }

    @Test func aRowIsNotRunIncompleteReproducedOrNot() throws {
        let experiment = try Experiment()
        #expect(try experiment.row("LSTM, 1000 units").contains("| not run |"))
        try experiment.add("table3-lstm", seed: 0, test: 1.32)
        #expect(try experiment.row("LSTM, 1000 units").contains("reproduced (+0.008, within ±0.02)"))
        try experiment.add("table3-lstm", seed: 1, test: 1.42)
        let two = try experiment.row("LSTM, 1000 units")
        #expect(two.contains("1.3700 ± 0.0707 (n = 2)") && two.contains("| not reproduced (+0.058"))
        try experiment.add("table3-lstm", seed: 2, test: 1.3, status: .running)
        #expect(try experiment.row("LSTM, 1000 units").contains("incomplete (step 1,000 of 40,000)"))
    }

    @Test func otherDataGetsNoVerdict() throws {
        let experiment = try Experiment()
        try experiment.add("table3-lstm", seed: 0, test: 1.312, official: false)
        #expect(try experiment.row("LSTM, 1000 units").contains("other data: another treebank"))
    }

    @Test func aReducedBudgetGetsNoVerdictButItsBaselineAndThePapersCurve() throws {
        let experiment = try Experiment()
        let overrides = ["budget=1000 steps", "training.steps=1000"]
        try experiment.add("table3-lstm", seed: 0, test: 1.9, overrides: overrides)
        try experiment.add(
            "table3-layer-norm-hyperlstm", seed: 0, test: 1.65, overrides: overrides,
            validations: [(100, 2.5), (1000, 1.65)])
        #expect(try experiment.row("Layer Norm HyperLSTM, 1000 units").contains("| not run |"))
        let reduced = try experiment.row("`table3-layer-norm-hyperlstm`")
        #expect(reduced.contains("| −0.250 |") && reduced.contains("| reduced budget |"))
        #expect(!reduced.contains("reproduced"))
        #expect(try experiment.row("`table3-lstm`").contains("| baseline |"))
        let section = try experiment.section
        #expect(section.contains("| 1,000 | 1.650 | 1.630 | +0.020 |"))
        #expect(section.contains("| 100 | 2.500 | - | - |"))
        #expect(section.contains("`training.steps` 40000 → 1000"))
    }

    @Test func aReducedModelStandsBesideNoCurve() throws {
        let experiment = try Experiment()
        try experiment.add(
            "table3-layer-norm-hyperlstm", seed: 0, test: 1.9, overrides: ["budget=quick", "model.units=320"],
            validations: [(1000, 1.9)])
        #expect(try !experiment.section.contains("the paper's curve |"))
        #expect(try CharacterResults(experiment: experiment.folder.url).figures.isEmpty)
    }

    @Test func aChangedOrMissingResultsFileIsStale() throws {
        let experiment = try Experiment()
        try experiment.add(
            "table3-layer-norm-hyperlstm", seed: 0, test: 1.65,
            overrides: ["budget=1000 steps", "training.steps=1000"],
            validations: [(500, 1.8), (1000, 1.65)])
        let results = try CharacterResults(experiment: experiment.folder.url)
        let project = ProjectFolder(url: experiment.folder.url)
        #expect(try results.staleFiles(project: project).contains("RESULTS.md"))
        _ = try results.write(project: project)
        #expect(try !results.staleFiles(project: project).contains("RESULTS.md"))
        let text = try String(contentsOf: project.results, encoding: .utf8)
        try Data(text.replacingOccurrences(of: "1.6500", with: "1.2500").utf8).write(to: project.results)
        #expect(try results.staleFiles(project: project).contains("RESULTS.md"))
    }
}
