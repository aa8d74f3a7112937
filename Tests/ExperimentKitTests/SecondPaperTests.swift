import Datasets
import Foundation
import TestSupport
import Testing

@testable import ExperimentCommands
@testable import ExperimentKit

/// A second paper touches nothing of the kit: its experiment runs through the ordinary path.
@Suite(.serialized) struct SecondPaperTests {
    private static let yaml = """
        # Expected: 99 percent
        budget: paper
        reproduces: {table: Table 1, row: 1, name: steep, metric: explained variance in percent, test: 99.5, parametersInMillions: null, tolerance: 0.6}
        data: line
        slope: 3
        training: {steps: 400, learningRate: 0.05, seeds: [0, 1]}
        """

    private let folder: TemporaryFolder
    private let configuration: NamedConfiguration<LineExperiment.Configuration>

    init() throws {
        folder = try TemporaryFolder()
        let url = try folder.write(Self.yaml, to: "experiments/line/configs/steep.yaml")
        configuration = try NamedConfiguration(try ConfigurationFile(contentsOf: url))
    }

    private var experiment: URL { folder.url.appendingPathComponent("experiments/line") }
    private var points: LineExperiment.Points {
        LineExperiment.open(configuration.values, in: DataFolder(path: "/", origin: .option))
    }

    private func train(seed: Int) throws -> TrainingRun<LineExperiment> {
        try Runs<LineExperiment>().trainOrResume(
            configuration, seed: seed, data: points, out: experiment.appendingPathComponent("runs"))
    }

    @Test func itIsTrainedResumedAndEvaluatedThroughTheOrdinaryPath() throws {
        let run = try train(seed: 0)
        #expect(run.record.status == .finished && run.record.training.unit == "points")
        #expect(run.record.data.details["points"] == .number(8))
        let explained = try #require(run.record.test?.figures?["explained"])
        #expect(explained > 99)
        let again = try train(seed: 0)
        #expect(again.record == run.record, "a finished run is kept")

        let interruption = Interruption()
        let broken = try TrainingRun<LineExperiment>(
            beginning: configuration, seed: 0, data: points, out: folder.url.appendingPathComponent("broken"),
            code: .init(commit: "test", treeDirty: nil), progress: StopAtStep(123, interruption),
            interruption: interruption)
        #expect(try broken.run() == .interrupted(signal: 15))
        let resumed = try TrainingRun<LineExperiment>(
            resuming: broken.folder, data: points, progress: SilentProgress(), interruption: Interruption())
        #expect(try resumed.run() == .finished)
        #expect(resumed.record.test?.figures == run.record.test?.figures)

        let evaluation = try LineExperiment.evaluate(
            run.folder, split: .test, configuration: configuration.values, data: points, progress: SilentProgress(),
            interruption: Interruption())
        #expect(evaluation.result.figures == run.record.test?.figures && evaluation.model == "2 parameters")
    }

    @Test func aHigherFigureIsTheBetterCheckpointWhereTheMetricSaysSo() throws {
        let run = try train(seed: 0)
        let validations = try StepLog.read(run.folder.appendingPathComponent("steps.jsonl")).compactMap { line in
            line.validation?.figures?["explained"].map { (line.step, $0) }
        }
        #expect(run.record.training.selectedStep == validations.max { $0.1 < $1.1 }?.0)
    }

    @Test func theLogHoldsTheLossAndWhatWasMinimized() throws {
        let run = try train(seed: 0)
        let lines = try StepLog.read(run.folder.appendingPathComponent("steps.jsonl")).filter { $0.lossNats != nil }
        #expect(!lines.isEmpty)
        for line in lines { #expect(try #require(line.objective) > (try #require(line.lossNats))) }
    }

    @Test func itsTableAndItsDocumentsAreMadeFromItsRecords() throws {
        let runs = try (0...1).map { try train(seed: $0) }
        let table = runTable(runs.map { ($0.configuration, $0.record) }, of: LineExperiment.self)
        #expect(table.contains("explained variance in percent") && table.contains("8 points"))
        let results = try ExperimentResults<LineExperiment>(experiment: experiment)
        let project = ProjectFolder(url: folder.url)
        let other = "<!-- Paper: HyperNetworks: begin -->\nPaper: Ha et al.\n<!-- Paper: HyperNetworks: end -->\n"
        try folder.write(other, to: "RESULTS.md")
        _ = try results.write(project: project)
        #expect(try results.staleFiles(project: project).allSatisfy { $0.hasSuffix(".svg") })
        let text = try String(contentsOf: project.url.appendingPathComponent("RESULTS.md"), encoding: .utf8)
        #expect(text.contains("Gauss, 1809") && text.contains("| Table 1: steep | 99.5 |"))
        #expect(text.contains(other), "the other paper's part stays")
        #expect(text.contains("(n = 2)"))
    }

    @Test func nothingInTheKitKnowsThisPaper() throws {
        let words = try Regex(
            #"(?i)hyperlstm|hypernet|corpus|penn|enwik8|text8|cifar|mnist|resnet|\btable [0-9]"#)
        for folder in ["Sources/ExperimentKit", "Sources/ExperimentCommands"] {
            let url = checkout.url.appendingPathComponent(folder)
            let files = try #require(FileManager.default.enumerator(atPath: url.path)).compactMap { $0 as? String }
            for file in files where file.hasSuffix(".swift") {
                let source = try String(contentsOf: url.appendingPathComponent(file), encoding: .utf8)
                for line in source.split(separator: "\n")
                where !line.trimmingCharacters(in: .whitespaces).hasPrefix("//") {
                    // Variables of the environment bear the project's name.
                    let code = line.replacing(/HYPERNETWORKS_[A-Z_]+/, with: "")
                    #expect(code.firstMatch(of: words) == nil, "\(folder)/\(file): \(line)")
                }
            }
        }
    }
}
