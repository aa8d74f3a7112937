import Compute
import Datasets
import ExperimentKit
import Foundation
import NeuralNetwork

/// A straight line through points, measured by the share of variance that it explains: an experiment of another paper.
///
/// CONTRIBUTING's recipe for a second paper copies this file; `SecondPaperTests` trains it.
public final class LineExperiment: Experiment {
    public struct Points {
        let x: [Float], y: [Float]
    }

    public struct Configuration: RunConfiguration {
        public let budget: String
        public let reproduces: ReproducedRow?
        public let dataName: String
        public let seeds: [Int]
        public let loop: TrainingLoopSettings
        public var unitsPerStep: Int { 8 }
        let slope: Double

        public init(_ root: ConfigurationNode) throws(ConfigurationError) {
            let reader = try ConfigurationReader(
                root,
                keys: [
                    "budget": "the name of the budget", "reproduces": "the row of the paper", "data": "the points",
                    "slope": "the line's slope", "training": "how it is trained",
                ])
            budget = try reader.text("budget")
            reproduces = try reader.reproducedRow(
                tables: LineExperiment.tables, metric: LineExperiment.metric, range: 0...100, hasValidation: false)
            dataName = try reader.text("data")
            slope = try reader.number("slope", in: -10...10)
            let training = try reader.section(
                "training", keys: ["steps": "training steps", "learningRate": "the rate", "seeds": "one run for each"])
            loop = TrainingLoopSettings(
                steps: try training.integer("steps", atLeast: 1),
                learningRate: try training.learningRate("learningRate"),
                clipNorm: nil, validate: .every(10), patience: nil, logEvery: 5, checkpointEvery: 5)
            seeds = try training.seeds("seeds")
            training.finish()
            reader.finish()
        }
    }

    public static let program = "line"
    public static let title = "Lines"
    public static let paper = PaperDescription(name: "Lines", citation: "Gauss, 1809", outOfReach: [])
    public static let openDecisions: [OpenDecision] = []
    public static let unit = "points"
    public static let datasetGroupOption = "points"
    public static let datasetGroups = [
        DatasetGroup(name: "line", title: "a line", dataNames: ["line"], sampleDataNames: ["sample-line"])
    ]
    public static let metric = Metric(
        name: "explained variance in percent", unit: "%", decimals: 1, higherIsBetter: true
    ) { $0.figures?["explained"] }
    public static let tables = [
        PaperTable(id: "Table 1", title: "Table 1: lines", dataName: "line", decimals: 1, baselines: [1: [2]])
    ]

    /// Computed here; real data is read from `folder`, and where it is not there `DatasetError.missing` is thrown.
    public static func open(_ configuration: Configuration, in folder: DataFolder) -> Points {
        let x = (0..<8).map { Float($0) / 8 - 0.5 }
        return Points(x: x, y: x.map { Float(configuration.slope) * $0 + 0.25 })
    }

    public static func describe(_ points: Points, _ configuration: Configuration) -> DataDescription {
        DataDescription(
            name: configuration.dataName, displayName: "A line", official: true, files: [], notes: [],
            details: ["points": .count(points.x.count), "slope": .number(configuration.slope)])
    }

    public static func parameterCount(_ configuration: Configuration, _ points: Points?) -> Int { 2 }

    public let parameters: [NamedParameter]
    public let optimizer: any CheckpointedOptimizer
    public let unitsPerStep = 8
    /// The point that comes next: a checkpoint holds it besides parameters and optimizer.
    public private(set) var position = 0
    private let points: Points

    public init(
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
    public func nextLoss() -> BatchLoss {
        let index = position % points.x.count
        position += 1
        let slope = parameters[0].variable, offset = parameters[1].variable
        let error = affine(slope, scale: points.x[index]) + affine(offset, scale: 1, offset: -points.y[index])
        let loss = sum(error * error)
        return BatchLoss(loss: loss, objective: loss + sum(affine(slope * slope, scale: 1e-6)))
    }

    /// Both splits are all points.
    private func measure() -> SplitEvaluation {
        let slope = parameters[0].variable.value.floats[0], offset = parameters[1].variable.value.floats[0]
        let mean = points.y.reduce(0, +) / Float(points.y.count)
        let rest = zip(points.x, points.y).reduce(0.0) { $0 + pow(Double(slope * $1.0 + offset - $1.1), 2) }
        let all = points.y.reduce(0.0) { $0 + pow(Double($1 - mean), 2) }
        return SplitEvaluation(
            lossNats: rest, predictions: points.x.count, streams: 1, seconds: 0,
            figures: ["explained": 100 * (1 - rest / all)])
    }

    public func validate() -> SplitEvaluation { measure() }
    public func report(_ split: DataSplit) -> SplitEvaluation { measure() }
    public func modelMetadata() -> [String: String] { [:] }
    public func restore(position: Int, carried: [NamedTensor]) { self.position = position }
}
