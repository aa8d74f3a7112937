import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork

/// The tables of RESULTS.md that a configuration of images may claim a row of.
public enum ImageTable: String, CaseIterable, Codable, Sendable {
    case table2 = "Table 2"
    case table7 = "Table 7"
    case appendixA1 = "A.1"
}

/// The row of the paper that a configuration of images claims to reproduce.
public struct ReproducedImageRow: Codable, Equatable, Sendable {
    public let table: ImageTable
    /// The row's place in its table, counted from 1.
    public let row: Int
    /// The row's words in the paper.
    public let name: String
    /// The paper's test error in percent.
    public let test: Double
    /// Millions of parameters, as the paper rounds them; nil where the paper has none.
    public let parametersInMillions: Double?
    /// How far our mean test error may lie from the paper's, in percentage points, to count as reproduced.
    public let tolerance: Double
}

/// The network of a configuration, and of the weights' file that comes of it.
public struct ImageModelConfiguration: Codable, Equatable, Sendable {
    public enum Network: String, Codable, CaseIterable, Sendable {
        /// §4.2, Table 2.
        case wideResNet = "wide-resnet"
        /// §4.1, Table 7.
        case mnistConvNet = "mnist-conv"
        /// A.1: the hidden layer's matrix is owned, or generated from coordinates.
        case coordinate
    }

    public var network: Network
    public var kernels: KernelSource
    /// N and k of the Wide ResNet; 0 elsewhere.
    public var blocks: Int
    public var widening: Int
    /// N_z = d of the hypernetwork; 0 where there is none.
    public var embeddingSize: Int
    public var initialValues: GeneratorInitialValues

    public init(
        network: Network, kernels: KernelSource, blocks: Int = 0, widening: Int = 0, embeddingSize: Int = 0,
        initialValues: GeneratorInitialValues = .he
    ) {
        self.network = network
        self.kernels = kernels
        self.blocks = blocks
        self.widening = widening
        self.embeddingSize = embeddingSize
        self.initialValues = initialValues
    }

    /// Whether there is such a network; a file may say anything.
    var isBuildable: Bool {
        let sizes = 1...4096
        let hasHypernetwork = kernels == .generated && network != .coordinate
        return (network != .wideResNet || sizes.contains(blocks) && sizes.contains(widening))
            && (!hasHypernetwork || sizes.contains(embeddingSize))
    }

    private var wideResNet: WideResNetConfiguration {
        WideResNetConfiguration(
            kernels: kernels, blocks: blocks, widening: widening, embeddingSize: embeddingSize,
            initialValues: initialValues)
    }

    private var mnistConvNet: MNISTConvNet.Configuration {
        MNISTConvNet.Configuration(kernels: kernels, embeddingSize: embeddingSize, initialValues: initialValues)
    }

    /// The network with its initial values.
    public func model(seed: UInt64) -> any ImageClassifier {
        switch network {
        case .wideResNet: WideResNet(configuration: wideResNet, seed: seed)
        case .mnistConvNet: MNISTConvNet(configuration: mnistConvNet, seed: seed)
        case .coordinate:
            CoordinateNetwork(configuration: CoordinateNetwork.Configuration(weights: kernels), seed: seed)
        }
    }

    /// Numbers to learn.
    public var parameterCount: Int {
        switch network {
        case .wideResNet: wideResNet.parameterCount
        case .mnistConvNet: mnistConvNet.parameterCount
        case .coordinate: CoordinateNetwork.Configuration(weights: kernels).parameterCount
        }
    }
}

/// The optimiser of a configuration; the rate is a schedule of its own.
public enum OptimizerSettings: Equatable, Sendable {
    case adam(AdamSettings)
    case nesterov(momentum: Double)

    func optimizer(_ parameters: [NamedParameter]) -> any CheckpointedOptimizer {
        switch self {
        case .adam(let settings): settings.optimizer(parameters)
        case .nesterov(let momentum): NesterovSGD(parameters: parameters, momentum: Float(momentum))
        }
    }
}

extension NesterovSGD: CheckpointedOptimizer {
    /// Its update does not depend on the number of the step.
    public var stepCount: Int {
        get { 0 }
        set {}
    }
}

/// One configuration file of `static-hypernet`, decoded.
public struct ImageConfiguration: RunConfiguration {
    public struct Data: Equatable, Sendable {
        public let dataset: ImageDatasetName
        /// Images of the training file that are set aside for validation.
        public let validationImages: Int
        /// Draws them; another number than the run's seed, so that runs of several seeds have one division.
        public let splitSeed: Int
        /// Whether training images are cropped and mirrored at random.
        public let augment: Bool
    }

    public struct Training: Equatable, Sendable {
        /// Images in a step. What an epoch leaves over is not trained on in that epoch; each has another order.
        public let batch: Int
        public let steps: Int
        public let optimizer: OptimizerSettings
        public let learningRate: LearningRateSchedule
        /// Coefficient of ½‖K‖² over all kernels, owned and generated (deviation `staticL2`).
        public let l2: Double
        public let clipNorm: Double?
        public let patience: Int?
        public let seeds: [Int]
        public let logEvery: Int
        public let checkpointEvery: Int
    }

    public struct Evaluation: Equatable, Sendable {
        public let validate: EvaluationSchedule
        /// Images in one call of the network; the figures do not depend on it.
        public let batch: Int
    }

    public let budget: String
    public let reproduces: ReproducedImageRow?
    public let data: Data
    public let model: ImageModelConfiguration
    public let training: Training
    public let evaluation: Evaluation

    public var seeds: [Int] { training.seeds }
    public var tableRow: Int? { reproduces?.row }
    public var imagesPerStep: Int? { training.batch }

    public var loop: TrainingLoopSettings {
        TrainingLoopSettings(
            steps: training.steps, learningRate: training.learningRate, clipNorm: training.clipNorm,
            validate: evaluation.validate, patience: training.patience, logEvery: training.logEvery,
            checkpointEvery: training.checkpointEvery)
    }

    public init(_ root: ConfigurationNode) throws(ConfigurationError) {
        let reader = try ConfigurationReader(
            root, keys: ["budget", "reproduces", "data", "model", "training", "evaluation", "deviations"])
        budget = try reader.text("budget")
        reproduces = try reader.value("reproduces").isNull ? nil : try Self.row(reader)
        data = try Self.data(reader)
        let deviations = try reader.section("deviations", keys: ["generatorInitialValues"])
        model = try Self.model(
            reader, initialValues: try deviations.choice("generatorInitialValues", of: GeneratorInitialValues.self))
        deviations.finish()
        training = try Self.training(reader)
        let evaluation = try reader.section("evaluation", keys: ["validateAt", "batch"])
        self.evaluation = Evaluation(
            validate: try evaluation.evaluationSchedule("validateAt"),
            batch: try evaluation.integer("batch", atLeast: 1))
        evaluation.finish()
        reader.finish()
        let isColour = data.dataset == .cifar10 || data.dataset == .sampleCIFAR10
        guard isColour == (model.network == .wideResNet) else {
            throw reader.invalid(
                "model", expected: isColour ? "network wide-resnet, for colour images" : "a network for grey images",
                found: "network \(model.network.rawValue)")
        }
    }

    private static func row(_ root: ConfigurationReader) throws(ConfigurationError) -> ReproducedImageRow {
        let reader = try root.section(
            "reproduces", keys: ["table", "row", "name", "metric", "test", "parametersInMillions", "tolerance"])
        let row = ReproducedImageRow(
            table: try reader.choice("table", of: ImageTable.self),
            row: try reader.integer("row", atLeast: 1),
            name: try reader.text("name"),
            test: try reader.number("test", in: 0...100),
            parametersInMillions: try reader.optionalNumber("parametersInMillions", in: 0...1e6),
            tolerance: try reader.number("tolerance", in: 0...100))
        guard try reader.text("metric") == "test error in percent" else {
            throw reader.invalid("metric", expected: "'test error in percent'", found: "another metric")
        }
        reader.finish()
        return row
    }

    private static func data(_ root: ConfigurationReader) throws(ConfigurationError) -> Data {
        let reader = try root.section("data", keys: ["dataset", "validationImages", "splitSeed", "augment"])
        let data = Data(
            dataset: try reader.choice("dataset", of: ImageDatasetName.self),
            validationImages: try reader.integer("validationImages", atLeast: 1),
            splitSeed: try reader.integer("splitSeed", atLeast: 0),
            augment: try reader.boolean("augment"))
        reader.finish()
        return data
    }

    private static func model(
        _ root: ConfigurationReader, initialValues: GeneratorInitialValues
    ) throws(ConfigurationError) -> ImageModelConfiguration {
        let reader = try root.section("model", keys: ["network", "kernels", "blocks", "widening", "embeddingSize"])
        let network = try reader.choice("network", of: ImageModelConfiguration.Network.self)
        let kernels = try reader.choice("kernels", of: KernelSource.self)
        func number(_ key: String, isUsed: Bool) throws(ConfigurationError) -> Int {
            let number = try reader.integer(key, atLeast: isUsed ? 1 : 0)
            guard isUsed || number == 0 else {
                throw reader.invalid(key, expected: "0 where nothing reads it", found: "\(number)")
            }
            return number
        }
        let isWide = network == .wideResNet
        let model = ImageModelConfiguration(
            network: network, kernels: kernels, blocks: try number("blocks", isUsed: isWide),
            widening: try number("widening", isUsed: isWide),
            embeddingSize: try number("embeddingSize", isUsed: kernels == .generated && network != .coordinate),
            initialValues: initialValues)
        reader.finish()
        return model
    }

    private static func training(_ root: ConfigurationReader) throws(ConfigurationError) -> Training {
        let reader = try root.section(
            "training",
            keys: [
                "batch", "steps", "adam", "nesterov", "learningRate", "l2", "clipNorm", "patience", "seeds", "logEvery",
                "checkpointEvery",
            ])
        let training = Training(
            batch: try reader.integer("batch", atLeast: 1),
            steps: try reader.integer("steps", atLeast: 1),
            optimizer: try optimizer(reader),
            learningRate: try reader.learningRate("learningRate"),
            l2: try reader.number("l2", in: 0...1),
            clipNorm: try reader.optionalNumber("clipNorm", in: 1e-9...1e9),
            patience: try reader.optionalInteger("patience", atLeast: 1),
            seeds: try reader.integers("seeds", atLeast: 0),
            logEvery: try reader.integer("logEvery", atLeast: 1),
            checkpointEvery: try reader.integer("checkpointEvery", atLeast: 1))
        reader.finish()
        return training
    }

    /// One of `adam: {…}` and `nesterov: {momentum: 0.9}`; the other is null.
    private static func optimizer(_ reader: ConfigurationReader) throws(ConfigurationError) -> OptimizerSettings {
        let hasAdam = try !reader.value("adam").isNull, hasNesterov = try !reader.value("nesterov").isNull
        guard hasAdam != hasNesterov else {
            throw reader.invalid(
                "nesterov", expected: "one optimiser: adam or nesterov, and null for the other",
                found: hasAdam ? "both" : "neither")
        }
        if hasAdam { return .adam(try AdamSettings(try reader.section("adam", keys: AdamSettings.keys))) }
        let nesterov = try reader.section("nesterov", keys: ["momentum"])
        let momentum = try nesterov.number("momentum", in: 0...0.999999)
        nesterov.finish()
        return .nesterov(momentum: momentum)
    }
}
