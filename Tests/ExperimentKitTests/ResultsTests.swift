import Foundation
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite struct ResultsTests {
    @Test func documentsAndFiguresAreInStepWithTheRecords() throws {
        // By the built programs: in this process other tests make further kinds of cells known.
        for program in ["char-hyperlstm", "static-hypernet"].map(BuiltProgram.init(name:)) {
            let outcome = try program.run(["results", "--check"])
            #expect(outcome.status == 0, "run `\(program.name) results`: \(outcome.errors)")
        }
        let tables = try BuiltProgram(name: "benchmarks").run(["tables", "--check"])
        #expect(tables.status == 0, "run `benchmarks tables`: \(tables.errors)")
    }

    @Test func everyRowStandsInTheDocumentEvenIfNotRun() throws {
        try CommittedConfigurations<CharacterExperiment>().expectRowsInDocuments()
    }

    /// What cannot be read would otherwise vanish from the documents.
    @Test(arguments: ["runs", "runs/table3-lstm", "configs", "cross-check", "figures"])
    func aFolderThatCannotBeReadIsNotTakenForAnEmptyOne(name: String) throws {
        let experiment = try ResultsExperiment(), folder = experiment.folder.url.appendingPathComponent(name)
        try experiment.add("table3-lstm", seed: 0, test: 1.3)
        try? FileManager.default.removeItem(at: folder)
        // A link to itself, which the system refuses to follow, for whomever it may be.
        try FileManager.default.createSymbolicLink(atPath: folder.path, withDestinationPath: folder.path)
        #expect { _ = try experiment.results } throws: { "\($0)".contains(folder.path) }
    }

    @Test func aSectionIsReplacedAndTheOthersStay() throws {
        var document = try SectionedDocument(preamble: "# Results\n")
        document.replace(id: "static-hypernet", body: "## Images\n\ntable")
        document.replace(id: "char-hyperlstm", body: "## Characters")
        let first = document.text
        var again = try SectionedDocument(preamble: "# Results\n", first)
        #expect(again.text == first)
        again.replace(id: "char-hyperlstm", body: "## Characters, new")
        #expect(again.sections.map(\.id) == ["char-hyperlstm", "static-hypernet"])
        #expect(again.text.contains("## Images\n\ntable") && !again.text.contains("## Characters\n"))
        // Without its end it would be lost with all that follows.
        #expect(throws: SectionedDocument.UnpairedMarkers(id: "char-hyperlstm")) {
            try SectionedDocument(preamble: "# Results\n", first.replacing("<!-- char-hyperlstm: end -->", with: ""))
        }
    }

    @Test func theSummaryShowsTheRunThatMostWasSpentOn() throws {
        let experiment = try ResultsExperiment()
        try experiment.add(
            "table3-lstm", seed: 0, test: 1.9, overrides: ["budget=quick", "training.batch=64"])
        let before = try experiment.summary("LSTM, 1000 units")
        #expect(before.contains("| 1.9000 | quick | 1 | reduced budget |"))
        try experiment.add("table3-lstm", seed: 1, test: 1.33)
        #expect(try experiment.summary("LSTM, 1000 units").contains("| 1.3300 | paper | 1 |"))
    }

    /// Two peak rates of one budget, say: the one that validation prefers stands for the row.
    @Test func ofRunsOfOneLengthTheSummaryShowsTheBetterOnTheValidationSplit() throws {
        let experiment = try ResultsExperiment(), other = "table3-lstm-steps-5000"
        let yaml = try String(
            contentsOf: committedConfigurations.appendingPathComponent("\(other).yaml"), encoding: .utf8)
        try experiment.folder.write(yaml, to: "configs/\(other).yaml")
        try experiment.add("table3-lstm", seed: 0, test: 1.3, validation: 1.45)
        try experiment.add(other, seed: 0, test: 1.35, validation: 1.38)
        #expect(try experiment.summary("LSTM, 1000 units").contains("| 1.3500 | steps-5000 | 1 |"))
        try experiment.add("table3-lstm", seed: 1, test: 1.3, validation: 1.45)
        #expect(try experiment.summary("LSTM, 1000 units").contains("| 1.3000 | paper | 2 |"))
    }

    @Test func aSectionBetweenMarkersOfAWrittenDocumentIsReplacedAndNothingElse() throws {
        let begin = "<!-- x: begin -->", end = "<!-- x: end -->", text = "a\n\(begin)\nold\n\(end)\nb\n"
        #expect(
            try SectionedDocument.replacing(id: "x", body: "new", in: text) == "a\n\(begin)\nnew\n\(end)\nb\n")
        #expect(try SectionedDocument.replacing(id: "y", body: "new", in: text) == nil)
        for damaged in [text.replacing(begin, with: ""), text.replacing(end, with: ""), "\(end)\n\(begin)\n"] {
            #expect(throws: SectionedDocument.UnpairedMarkers(id: "x"), "\(damaged)") {
                try SectionedDocument(preamble: "", damaged)
            }
            #expect(throws: SectionedDocument.UnpairedMarkers(id: "x"), "\(damaged)") {
                try SectionedDocument.replacing(id: "x", body: "new", in: damaged)
            }
        }
    }

    /// It would otherwise pass for one without a place for the section, and for one in step.
    @Test func aDocumentWithHalfOfItsMarkersIsNamed() throws {
        let experiment = try ResultsExperiment(), project = ProjectFolder(url: experiment.folder.url)
        try experiment.folder.write("<!-- Summary: char-hyperlstm: begin -->\n", to: "README.md")
        let error = #expect(throws: RecordError.self) { try experiment.results.staleFiles(project: project) }
        #expect(error?.description.hasPrefix("README.md: cannot be read: expected the line '<!-- Summary") == true)
    }

    /// Settings that came back to the paper's before the end were others for a part of the steps.
    @Test func aRunThatWasChangedUnderWayGetsNoVerdictAndIsNoSeedOfTheOthers() throws {
        let experiment = try ResultsExperiment()
        try experiment.add(
            "table3-lstm", seed: 0, test: 1.32, changes: ["training.learningRate=0.002", "training.learningRate=0.001"])
        #expect(
            try experiment.summary("LSTM, 1000 units").contains("| 1.3200 | paper | 1 | settings changed under way |"))
        try experiment.add("table3-lstm", seed: 1, test: 1.31)
        try experiment.add("table3-lstm", seed: 2, test: 1.31)
        #expect(try experiment.summary("LSTM, 1000 units").contains("| 1.3100 | paper | 2 | reproduced"))
    }

    @Test func aFileThatDoesNotCallItsBudgetPaperGetsNoVerdict() throws {
        let experiment = try ResultsExperiment()
        try experiment.add("table3-lstm", seed: 0, test: 1.32, overrides: ["budget=mine"])
        #expect(try experiment.summary("LSTM, 1000 units").contains("| 1.3200 | mine | 1 | reduced budget |"))
    }

    @Test func aNumberInAnotherSpellingIsNoDifference() throws {
        let experiment = try ResultsExperiment()
        try experiment.add(
            "table3-lstm", seed: 0, test: 1.32, overrides: ["training.clipNorm=1", "training.learningRate=1e-3"])
        #expect(try experiment.summary("LSTM, 1000 units").contains("| 1.3200 | paper | 1 | reproduced"))
    }

    @Test func aFigureAtTheToleranceIsWithinItWhateverItsLastBit() {
        for (paper, mean) in [(0.72, 0.92), (0.76, 0.96), (0.92, 0.72), (0.96, 0.76)] {
            guard case .reproduced = ReproductionStatus(mean: mean, paper: paper, tolerance: 0.2) else {
                Issue.record("\(mean) of \(paper)")
                continue
            }
        }
        guard case .notReproduced = ReproductionStatus(mean: 0.921, paper: 0.72, tolerance: 0.2) else {
            Issue.record("0.921 of 0.72")
            return
        }
    }

    @Test func statusIsComputedFromTheTolerance() {
        #expect(
            ReproductionStatus(mean: 1.265, paper: 1.25, tolerance: 0.02).text(decimals: 3)
                == "reproduced (+0.015, within ±0.02)")
        #expect(
            ReproductionStatus(mean: 1.2, paper: 1.25, tolerance: 0.02).text(decimals: 3)
                == "not reproduced (−0.050, tolerance ±0.02)")
        guard case .notReproduced = ReproductionStatus(mean: .nan, paper: 1.25, tolerance: 0.02) else {
            Issue.record("NaN reproduces nothing")
            return
        }
    }

    @Test func statisticsUseTheSampleStandardDeviation() {
        #expect(SeedStatistics([1.25])?.text(decimals: 4) == "1.2500")
        #expect(SeedStatistics([1, 2, 3])?.text(decimals: 4) == "2.0000 ± 1.0000 (n = 3)")
        #expect(SeedStatistics([]) == nil)
    }

    @Test func thePapersCurveIsReadBetweenItsPointsAndNotOutside() throws {
        let curve = try #require(CharacterExperiment.tables[0].curves[6])
        #expect(curve.value(atStep: 1000) == 1.63 && curve.value(atStep: 37000) == 1.282)
        #expect(abs(try #require(curve.value(atStep: 750)) - 1.7195) < 1e-12)
        #expect(curve.value(atStep: 499) == nil && curve.value(atStep: 37001) == nil)
        for row in [1, 3, 4, 5] {
            let steps = try #require(CharacterExperiment.tables[1].curves[row]).points.map(\.step)
            #expect(steps == steps.sorted() && steps.count > 30)
        }
    }

    @Test func aRowIsNotRunIncompleteReproducedOrNot() throws {
        let experiment = try ResultsExperiment()
        #expect(try experiment.summary("LSTM, 1000 units").contains("| 0 | not run |"))
        // The paper's figures, and the time that the file states where no record tells.
        let figures = "| LSTM, 1000 units | 4.25 M | 4,254,050 | 1.347 | 1.312 | baseline |"
        #expect(try experiment.row("LSTM, 1000 units").hasPrefix(figures))
        try experiment.add("table3-lstm", seed: 0, test: 1.32)
        #expect(try experiment.row("LSTM, 1000 units").contains("reproduced (+0.008, within ±0.02); one seed"))
        #expect(try experiment.row("LSTM, 1000 units").contains("| 4.25 M | 4,254,050 |"))
        #expect(
            try experiment.summary("LSTM, 1000 units").contains("| 1.312 | 1.3200 | paper | 1 | reproduced (+0.008"))
        try experiment.add("table3-lstm", seed: 1, test: 1.42)
        let two = try experiment.row("LSTM, 1000 units")
        #expect(two.contains("1.3700 ± 0.0707 (n = 2)") && two.contains("| not reproduced (+0.058"))
        #expect(two.contains("seeds ±0.0707"))
        // Its validation split is read at the end, its test split not yet.
        try experiment.add("table3-lstm", seed: 2, test: 1.3, validation: 9, status: .running)
        let three = try experiment.row("LSTM, 1000 units")
        #expect(three.contains("incomplete (step 1,000 of 40,000)") && three.contains("1.4000 ± 0.0707 (n = 2)"))
    }

    @Test func theMeanOfATableOfRunsIsOneOfFinishedRuns() throws {
        let test = try TestRun(), configuration = try test.configuration
        let records = try [(1.0, RunRecord.Status.finished), (9.0, .running)].enumerated().map { seed, run in
            var record = try RunRecord.example(of: test.file, seed: seed, data: test.dataDescription)
            record.validation = SplitEvaluation(lossNats: run.0 * log(2), predictions: 1, streams: 1, seconds: 0)
            record.status = run.1
            return record
        }
        let table = RunTable<CharacterExperiment>(records.map { (configuration: configuration, record: $0) })
        let mean = try #require(table.rows.last)
        #expect(mean[4] == "1.0000 (n = 1)")
    }

    @Test func aRunOnSeveralProcessesSaysHowMany() throws {
        let test = try TestRun()
        var record = try RunRecord.example(of: test.file, data: test.dataDescription)
        record.sittings = [.example(threads: 2, processes: 4), .example(fromStep: 30, threads: 2)]
        record.training.stepsDone = 40
        #expect(record.threadsInWords == "mostly 4 processes × 2 threads")
        #expect(record.provenance[1] == "A, 4 processes × 2 threads (30 steps), then A, 2 threads (10 steps)")
    }

    /// Its figure is no longer one of what the file says.
    @Test func aRunAtFullSettingsThatWereChangedSinceSaysSo() throws {
        let experiment = try ResultsExperiment()
        try experiment.add("table3-lstm", seed: 0, test: 1.32)
        let file = experiment.folder.url.appendingPathComponent("configs/table3-lstm.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        func write(_ text: String) throws { try Data(text.utf8).write(to: file) }
        // Another interval of logging makes no other run.
        try write(text.replacing(/logEvery: [0-9]+/, with: "logEvery: 7"))
        #expect(try !experiment.row("LSTM, 1000 units").contains("run with"))
        try write(text.replacing(/clipNorm: [0-9.]+/, with: "clipNorm: 2.5"))
        let verdict = "; run with `training.clipNorm` 1.0, now 2.5 |"
        #expect(try experiment.row("LSTM, 1000 units").contains(verdict))
        #expect(try experiment.summary("LSTM, 1000 units").contains(verdict))
        // One with the settings as they are now comes before it.
        try experiment.add("table3-lstm", seed: 1, test: 1.31)
        let row = try experiment.row("LSTM, 1000 units")
        #expect(!row.contains("run with") && row.contains("reproduced (−0.002"), "\(row)")
        #expect(try experiment.summary("LSTM, 1000 units").contains("reproduced (−0.002"))
    }

    @Test func otherDataGetsNoVerdict() throws {
        let experiment = try ResultsExperiment()
        try experiment.add("table3-lstm", seed: 0, test: 1.312, official: false)
        #expect(try experiment.row("LSTM, 1000 units").contains("other data: another treebank"))
    }

    @Test func aReducedBudgetGetsNoVerdictButItsBaselineAndThePapersCurve() throws {
        let experiment = try ResultsExperiment()
        let overrides = ["budget=1000 steps", "training.steps=1000"]
        try experiment.add("table3-lstm", seed: 0, test: 1.9, overrides: overrides)
        try experiment.add(
            "table3-layer-norm-hyperlstm", seed: 0, test: 1.65,
            overrides: overrides + ["evaluation.validationStreams=128"], validations: [(100, 2.5), (1000, 1.65)])
        let summary = try experiment.summary("Layer Norm HyperLSTM, 1000 units")
        #expect(summary.contains("| 1.250 | 1.6500 | 1000 steps | 1 | reduced budget |"))
        let reduced = try experiment.row("`table3-layer-norm-hyperlstm`")
        #expect(reduced.contains("| −0.250 |"))
        #expect(try experiment.section.contains("#### Reduced budget: 1000 steps"))
        #expect(!reduced.contains("reproduced"))
        #expect(try experiment.row("`table3-lstm`").contains("| baseline |"))
        let section = try experiment.section
        #expect(section.contains("| 1,000 | 1.650 | 1.630 | +0.020 |"))
        #expect(section.contains("| 100 | 2.500 | - | - |"))
        #expect(
            section.contains(
                """
                All differ from their rows' full settings in `training.steps` 40000 → 1000.

                And each by itself:

                - `table3-layer-norm-hyperlstm`: `evaluation.validationStreams` 256 → 128
                """))
    }

    @Test func aReducedModelStandsBesideNoCurve() throws {
        let experiment = try ResultsExperiment()
        try experiment.add(
            "table3-layer-norm-hyperlstm", seed: 0, test: 1.9, overrides: ["budget=quick", "model.units=320"],
            validations: [(1000, 1.9)])
        #expect(try !experiment.section.contains("| published |"))
        #expect(try experiment.results.figures.isEmpty)
    }

    @Test func aChangedOrMissingResultsFileIsStale() throws {
        let experiment = try ResultsExperiment()
        try experiment.add(
            "table3-layer-norm-hyperlstm", seed: 0, test: 1.65,
            overrides: ["budget=1000 steps", "training.steps=1000"],
            validations: [(500, 1.8), (1000, 1.65)])
        let results = try experiment.results
        let project = ProjectFolder(url: experiment.folder.url)
        #expect(try results.staleFiles(project: project).contains("RESULTS.md"))
        _ = try results.write(project: project)
        #expect(try !results.staleFiles(project: project).contains("RESULTS.md"))
        let file = project.url.appendingPathComponent("RESULTS.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        try Data(text.replacingOccurrences(of: "1.6500", with: "1.2500").utf8).write(to: file)
        #expect(try results.staleFiles(project: project).contains("RESULTS.md"))
    }

    /// To take such a file for absent would be to lose what other programs wrote into it.
    @Test func aDocumentThatCannotBeReadIsNamedAndStaysAsItIs() throws {
        let experiment = try ResultsExperiment(), results = try experiment.results
        let project = ProjectFolder(url: experiment.folder.url)
        _ = try results.write(project: project)
        let file = project.url.appendingPathComponent("RESULTS.md")
        var bytes = try Data(contentsOf: file)
        bytes.append(0xff)
        try bytes.write(to: file)
        for call in [results.write(project:), results.staleFiles(project:)] {
            let error = #expect(throws: RecordError.self) { try call(project) }
            #expect(error?.description.hasPrefix("\(file.path): cannot be read: not UTF-8") == true)
        }
        #expect(try Data(contentsOf: file) == bytes)
    }
}
