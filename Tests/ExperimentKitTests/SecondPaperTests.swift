import Compute
import Datasets
import Foundation
import NeuralNetwork
import Testing

@testable import ExperimentCommands
@testable import CharacterExperiments
@testable import ExperimentKit

/// Another paper: a straight line through points, measured by the share of variance that it explains.
///
/// All that it takes is in this file; a real one would be a module beside `CharacterExperiments` and a folder of
/// configurations and records.
final class LineExperiment: Experiment {
    struct Points {
        let x: [Float], y: [Float]
    }

    struct Configuration: RunConfiguration {
        let budget: String
        let reproduces: ReproducedRow?
        let dataName: String
        let slope: Double
        let loop: TrainingLoopSettings
        let seeds: [Int]
        let unitsPerStep = 8

        init(_ root: ConfigurationNode) throws(ConfigurationError) {
            let reader = try ConfigurationReader(
                root,
                keys: [
                    "budget": "its name", "reproduces": "its row", "data": "its points", "slope": "the line's slope",
                    "training": "how",
                ])
            budget = try reader.text("budget")
            reproduces = try reader.reproducedRow(
                tables: LineExperiment.tables, metric: LineExperiment.metric, range: 0...100, hasValidation: false)
            dataName = try reader.text("data")
            slope = try reader.number("slope", in: -10...10)
            let training = try reader.section(
                "training", keys: ["steps": "steps", "learningRate": "the rate", "seeds": "one a run"])
            loop = TrainingLoopSettings(
                steps: try training.integer("steps", atLeast: 1),
                learningRate: try training.learningRate("learningRate"),
                clipNorm: nil, validate: .every(10), patience: nil, logEvery: 5, checkpointEvery: 5)
            seeds = try training.integers("seeds", atLeast: 0)
            training.finish()
            reader.finish()
        }

        static func == (left: Configuration, right: Configuration) -> Bool {
            left.budget == right.budget && left.slope == right.slope && left.loop.steps == right.loop.steps
        }
    }

    static let program = "line"
    static let title = "Lines"
    static let paper = PaperDescription(citation: "Gauss, 1809", outOfReach: [])
    static let openDecisions: [OpenDecision] = []
    static let unit = "points"
    static let suiteOption = "points"
    static let suites = [
        Suite<Configuration>(name: "line", title: "a line", dataNames: ["line"], sampleDataNames: ["sample-line"])
    ]
    static let metric = Metric(
        name: "explained variance in percent", unit: "%", decimals: 1, higherIsBetter: true
    ) { $0.figures?["explained"] }
    static let tables = [
        PaperTable(id: "Table 1", title: "Table 1: lines", dataName: "line", decimals: 1, baselines: [1: [2]])
    ]

    static func open(_ configuration: Configuration, in folder: DataFolder) -> Points {
        let x = (0..<8).map { Float($0) / 8 - 0.5 }
        return Points(x: x, y: x.map { Float(configuration.slope) * $0 + 0.25 })
    }

    static func describe(_ points: Points, _ configuration: Configuration) -> DataDescription {
        DataDescription(
            name: configuration.dataName, displayName: "A line", official: true, files: [], notes: [],
            details: ["points": .count(points.x.count), "slope": .number(configuration.slope)])
    }

    static func parameterCount(_ configuration: Configuration, _ points: Points?) -> Int { 2 }

    let parameters: [NamedParameter]
    let optimizer: any CheckpointedOptimizer
    private let points: Points
    private(set) var position = 0
    let unitsPerStep = 8

    init(
        configuration: Configuration, data points: Points, seed: UInt64, shard: BatchShard,
        progress: any ProgressReporter, interruption: Interruption
    ) {
        self.points = points
        var random = RandomStream(seed: seed, stream: 1)
        parameters = [
            NamedParameter("slope", Variable(Tensor(random.uniform(1), shape: [1]), requiresGradient: true)),
            NamedParameter("offset", Variable(Tensor([0], shape: [1]), requiresGradient: true)),
        ]
        optimizer = Adam(parameters: parameters, beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
    }

    /// The error of one point, squared; minimized with a small penalty on the slope.
    func nextLoss() -> BatchLoss {
        let index = position % points.x.count
        position += 1
        let slope = parameters[0].variable, offset = parameters[1].variable
        let error = affine(slope, scale: points.x[index]) + affine(offset, scale: 1, offset: -points.y[index])
        let loss = sum(error * error)
        return BatchLoss(loss: loss, objective: loss + sum(affine(slope * slope, scale: 1e-6)))
    }

    private func measure() -> SplitEvaluation {
        let slope = parameters[0].variable.value.floats[0], offset = parameters[1].variable.value.floats[0]
        let mean = points.y.reduce(0, +) / Float(points.y.count)
        let rest = zip(points.x, points.y).reduce(0.0) { $0 + pow(Double(slope * $1.0 + offset - $1.1), 2) }
        let all = points.y.reduce(0.0) { $0 + pow(Double($1 - mean), 2) }
        return SplitEvaluation(
            lossNats: rest, predictions: points.x.count, streams: 1, seconds: 0,
            figures: ["explained": 100 * (1 - rest / all)])
    }

    func validate() -> SplitEvaluation { measure() }
    func report(_ split: DataSplit) -> SplitEvaluation { measure() }
    func modelMetadata() -> [String: String] { [:] }
    func restore(position: Int, carried: [NamedTensor]) { self.position = position }
}

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
        _ = try results.write(project: project)
        #expect(try results.staleFiles(project: project).allSatisfy { $0.hasSuffix(".svg") })
        let text = try String(contentsOf: project.results, encoding: .utf8)
        #expect(text.contains("Gauss, 1809") && text.contains("| Table 1: steep | 99.5 |"))
        #expect(text.contains("(n = 2)"))
    }

    @Test func nothingInTheKitKnowsThisPaper() throws {
        let words = try Regex(
            #"(?i)\b(hyperlstm|hypernet\w*|corpus|penn|enwik8|text8|cifar\w*|mnist|resnet|table [0-9])\b"#)
        for folder in ["Sources/ExperimentKit", "Sources/ExperimentCommands"] {
            let url = checkout.url.appendingPathComponent(folder)
            let files = try #require(FileManager.default.enumerator(atPath: url.path)).compactMap { $0 as? String }
            for file in files where file.hasSuffix(".swift") {
                let source = try String(contentsOf: url.appendingPathComponent(file), encoding: .utf8)
                for line in source.split(separator: "\n")
                where !line.trimmingCharacters(in: .whitespaces).hasPrefix("//") {
                    // Variables of the environment bear the project's name.
                    let code = line.replacing(/HYPERNETWORKS_(DATA|PROJECT)/, with: "")
                    #expect(code.firstMatch(of: words) == nil, "\(folder)/\(file): \(line)")
                }
            }
        }
    }
}
