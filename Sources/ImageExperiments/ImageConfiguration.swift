import Datasets
import ExperimentKit
import Foundation
import HyperNetworks
import NeuralNetwork

/// The optimizer of a configuration; the rate is a schedule of its own.
public enum OptimizerSettings: Equatable, Sendable {
    case adam(AdamSettings)
    case nesterov(momentum: Double)

    /// Numbers that it keeps for each parameter.
    var moments: Int {
        switch self {
        case .adam: 2
        case .nesterov: 1
        }
    }

    func optimizer(_ parameters: [NamedParameter]) -> any CheckpointedOptimizer {
        switch self {
        case .adam(let settings): settings.optimizer(parameters)
        case .nesterov(let momentum): NesterovSGD(parameters: parameters, momentum: Float(momentum))
        }
    }
}

/// One configuration file of `static-hypernet`, decoded.
public struct ImageConfiguration: RunConfiguration {
    // The meaning of a value stands beside its key, below.

    public struct Data: Equatable, Sendable {
        public let dataset: ImageDatasetName
        public let validationImages: Int
        public let splitSeed: Int
        public let augment: Bool
    }

    public struct Training: Equatable, Sendable {
        public let batch: Int
        public let optimizer: OptimizerSettings
        public let l2: Double
    }

    public struct Evaluation: Equatable, Sendable {
        public let batch: Int
    }

    public let budget: String
    public let reproduces: ReproducedRow?
    public let data: Data
    public let model: ImageModelConfiguration
    public let batchNormScope: BatchNormScope
    public let training: Training
    public let evaluation: Evaluation
    public let loop: TrainingLoopSettings
    public let seeds: [Int]

    public var dataName: String { data.dataset.rawValue }
    public var unitsPerStep: Int { training.batch }

    /// With batch normalization over each shard, the number of shards changes the training; otherwise it does not.
    public static func leavesFiguresUnchanged(_ key: String, in root: ConfigurationNode) -> Bool {
        guard key == "training.shards" else { return RunRecord.leavesFiguresUnchanged(key) }
        return root["deviations"]?["batchNormalization"]?.content
            != .scalar(text: BatchNormScope.shard.rawValue, type: .text)
    }

    /// - Throws: `ConfigurationError` naming file, key path, what was expected and what was found.
    public init(_ root: ConfigurationNode) throws(ConfigurationError) {
        let reader = try ConfigurationReader(root, keys: .experiment)
        budget = try reader.text("budget")
        reproduces = try reader.reproducedRow(
            tables: ImageExperiment.tables, metric: ImageExperiment.metric, range: 0...100, hasValidation: false)
        data = try Self.data(reader)
        let deviations = try reader.section(
            "deviations",
            keys: [
                "generatorInitialValues": "how generators and embeddings start (deviation `staticInitialValues`)",
                "batchNormalization":
                    "whether the statistics are those of the whole batch, or of each of its shards (deviation"
                    + " `shardNormalization`)",
            ],
            addedLater: ["batchNormalization": .scalar(text: BatchNormScope.batch.rawValue, type: .text)])
        model = try Self.model(
            reader, initialValues: try deviations.choice("generatorInitialValues", of: GeneratorInitialValues.self))
        guard model.initialValues == .he || model.hasHypernetwork else {
            throw deviations.invalid(
                "generatorInitialValues", expected: "'he' where nothing reads it",
                found: "'\(model.initialValues.rawValue)'")
        }
        batchNormScope = try deviations.choice("batchNormalization", of: BatchNormScope.self)
        deviations.finish()
        let trainingReader = try reader.section(
            "training",
            keys: .trainingLoop.adding([
                "batch":
                    "images in a training step; images that fill no batch are left out of that epoch",
                "adam": "Adam's constants; null where `nesterov` trains",
                "nesterov": "stochastic gradient descent with Nesterov's momentum; null where `adam` trains",
                "l2": "coefficient of ½‖K‖² over all kernels, owned and generated (deviation `staticL2`)",
            ]), addedLater: TrainingLoopSettings.addedLater)
        training = Training(
            batch: try trainingReader.integer("batch", atLeast: 1),
            optimizer: try Self.optimizer(trainingReader),
            l2: try trainingReader.number("l2", in: 0...1))
        let evaluationReader = try reader.section(
            "evaluation",
            keys: .validation.adding(["batch": "images in one call of the network; the figures do not depend on it"]))
        evaluation = Evaluation(batch: try evaluationReader.integer("batch", atLeast: 1))
        loop = try TrainingLoopSettings(
            training: trainingReader, evaluation: evaluationReader, batch: training.batch)
        seeds = try trainingReader.seeds("seeds")
        trainingReader.finish()
        evaluationReader.finish()
        reader.finish()
        let isColor = data.dataset.isColor
        guard isColor == (model.network == .wideResNet) else {
            throw reader.invalid(
                "model",
                expected: "network \(isColor ? "wide-resnet" : "mnist-conv or coordinate") for the images of"
                    + " data.dataset \(data.dataset.rawValue)", found: "network \(model.network.rawValue)")
        }
    }

    private static func data(_ root: ConfigurationReader) throws(ConfigurationError) -> Data {
        let reader = try root.section(
            "data",
            keys: [
                "dataset": "the data set",
                "validationImages": "images of the training file that are set aside for validation",
                "splitSeed":
                    "seed that draws these images; not the run's seed, so that runs of several seeds have the same split",
                "augment": "whether training images are cropped, and photographs mirrored, at random",
            ])
        let data = Data(
            dataset: try reader.choice("dataset", of: ImageDatasetName.self),
            validationImages: try reader.integer("validationImages", atLeast: 1),
            splitSeed: try reader.integer("splitSeed", atLeast: 0, atMost: StableJSON.greatestInteger),
            augment: try reader.boolean("augment"))
        reader.finish()
        return data
    }

    private static func model(
        _ root: ConfigurationReader, initialValues: GeneratorInitialValues
    ) throws(ConfigurationError) -> ImageModelConfiguration {
        let reader = try root.section(
            "model",
            keys: [
                "network": "the network: §4.2's, §4.1's, or A.1's, whose weights have coordinates",
                "kernels": "whether the network's own parameters, or made by a hypernetwork",
                "blocks": "N, residual blocks of each of the three groups of a Wide ResNet; 0 for the others",
                "widening": "k, channels of a Wide ResNet in multiples of 16, 32 and 64; 0 for the others",
                "embeddingSize": "N_z, numbers in an embedding z; 0 where there is none",
            ])
        let network = try reader.choice("network", of: ImageModelConfiguration.Network.self)
        let kernels = try reader.choice("kernels", of: KernelSource.self)
        func number(_ key: String, isUsed: Bool) throws(ConfigurationError) -> Int {
            let sizes = ImageModelConfiguration.sizes
            let number = try reader.integer(
                key, atLeast: 0, here: isUsed ? sizes.lowerBound : 0, atMost: sizes.upperBound)
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

    /// One of `adam: {…}` and `nesterov: {momentum: 0.9}`; the other is null.
    private static func optimizer(_ reader: ConfigurationReader) throws(ConfigurationError) -> OptimizerSettings {
        let hasAdam = try !reader.isNull("adam"), hasNesterov = try !reader.isNull("nesterov")
        guard hasAdam != hasNesterov else {
            throw reader.invalid(
                "nesterov", expected: "one optimizer: adam or nesterov, and null for the other",
                found: hasAdam ? "both" : "neither")
        }
        if hasAdam { return .adam(try AdamSettings(try reader.section("adam", keys: AdamSettings.keys))) }
        let nesterov = try reader.section(
            "nesterov", keys: ["momentum": "share of a step's update that the next one keeps"])
        let momentum = try nesterov.number("momentum", in: 0...0.999999)
        nesterov.finish()
        return .nesterov(momentum: momentum)
    }
}
