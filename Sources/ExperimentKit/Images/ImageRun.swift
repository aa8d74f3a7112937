import Compute
import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork
import Safetensors

/// One run of one configuration of images with one seed.
public typealias ImageRun = TrainingRun<ImageWork>

/// What a run on images does: a classifier, a data set, the configuration's optimiser.
public final class ImageWork: ExperimentWork {
    public static let experiment = "static-hypernet"

    public let task: ImageTask
    public let optimizer: any CheckpointedOptimizer
    private let configuration: ImageConfiguration
    private let dataset: ImageDataset
    private let evaluator: ImageEvaluator

    public static func describe(_ dataset: ImageDataset, _ configuration: ImageConfiguration) -> RunRecord.Data {
        RunRecord.Data(
            name: dataset.name, displayName: dataset.displayName, official: dataset.source.isOfficial,
            files: dataset.source.files, contentSHA256: dataset.source.contentSHA256, notes: dataset.source.notes,
            images: RunRecord.Data.Images(
                dataset: configuration.data.dataset, training: dataset.train.count,
                validation: dataset.validation.count, test: dataset.test.count, splitSeed: configuration.data.splitSeed,
                channelMeans: dataset.channelMeans, channelDeviations: dataset.channelDeviations))
    }

    public static func parameterCount(_ configuration: ImageConfiguration, _ dataset: ImageDataset) -> Int {
        configuration.model.parameterCount
    }

    public init(
        configuration: ImageConfiguration, data dataset: ImageDataset, seed: UInt64, progress: any ProgressReporter,
        interruption: Interruption
    ) throws {
        self.configuration = configuration
        self.dataset = dataset
        evaluator = ImageEvaluator(interruption: interruption, progress: progress)
        task = try ImageTask(
            model: configuration.model.model(seed: seed), configuration: configuration, dataset: dataset, seed: seed,
            evaluator: evaluator)
        optimizer = configuration.training.optimizer.optimizer(task.parameters)
    }

    public func modelMetadata() throws -> [String: String] {
        try TrainedImageModel.metadata(configuration.model, dataset: dataset.name, normalisation: dataset)
    }

    public func report(_ split: ReportedSplit) throws -> SplitEvaluation {
        try evaluator.evaluate(
            task.model, split == .test ? dataset.test : dataset.validation, normalisation: dataset.normalisation,
            batch: configuration.evaluation.batch, name: split.rawValue)
    }
}

extension ImageClassifier {
    /// Everything that the model consists of: what its weights' file holds.
    var tensors: [(name: String, tensor: Tensor)] {
        parameters.map { (name: $0.name, tensor: $0.variable.value) } + buffers
    }
}

extension ImageDataset {
    /// Opens the data of a configuration.
    ///
    /// - Throws: `DatasetError`.
    public static func open(_ data: ImageConfiguration.Data, dataFolder: DataFolder) throws -> ImageDataset {
        try open(
            data.dataset, dataFolder: dataFolder, validationCount: data.validationImages, seed: UInt64(data.splitSeed))
    }
}

/// A classifier out of a checkpoint or a baked file: one file of weights that says of itself what it is.
public struct TrainedImageModel {
    public let configuration: ImageModelConfiguration
    public let model: any ImageClassifier
    /// How the images that it was trained on became numbers.
    public let normalisation: PixelNormalisation
    private let metadata: [String: String]
    /// The name of the data set that it was trained on, if the file says.
    public var dataset: String? { metadata["dataset"] }

    /// - Parameter url: a run's folder, a checkpoint's, or a file of weights.
    /// - Throws: `CheckpointError` if there is none, it is damaged, or its weights do not fit what it says of itself.
    public init(at url: URL) throws {
        if url.pathExtension == "safetensors" {
            try self.init(weights: url)
        } else {
            try self.init(weights: try Checkpoint(at: url).url.appendingPathComponent(CheckpointFile.model))
        }
    }

    private init(weights url: URL) throws {
        let checkpoint = Checkpoint(url: url.deletingLastPathComponent())
        try checkpoint.check(url.lastPathComponent)
        let file: SafetensorsFile
        do {
            file = try SafetensorsFile(path: url.path)
        } catch {
            throw CheckpointError.file(path: url.path, reason: "no weights: \(error)")
        }
        let metadata = Dictionary(
            file.metadata.items.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        self.metadata = metadata
        func decoded<Value: Decodable>(_ key: String, _ type: Value.Type) throws -> Value {
            guard let json = metadata[key] else {
                throw CheckpointError.file(path: url.path, reason: "the metadata '\(key)' is missing")
            }
            do {
                return try StableJSON.decode(type, from: [UInt8](json.utf8))
            } catch {
                throw CheckpointError.file(path: url.path, reason: "the metadata '\(key)' cannot be read: \(error)")
            }
        }
        configuration = try decoded("model", ImageModelConfiguration.self)
        guard configuration.isBuildable else {
            throw CheckpointError.file(path: url.path, reason: "the metadata 'model' is no network: \(configuration)")
        }
        let means = try decoded("channelMeans", [Double].self)
        let deviations = try decoded("channelDeviations", [Double].self)
        guard !means.isEmpty, means.count == deviations.count, deviations.allSatisfy({ $0 > 0 }) else {
            throw CheckpointError.file(
                path: url.path, reason: "the channel statistics \(means), \(deviations) are none")
        }
        normalisation =
            means.count == 3
            ? PixelNormalisation(means: means, deviations: deviations) : .unitInterval(channels: 1)
        // Before anything of that size is allocated; running statistics come on top of what is learned.
        let numbers = file.entries.reduce(0) { $0 + $1.values.count }, learned = configuration.parameterCount
        guard (learned...(2 * learned)).contains(numbers) else {
            throw CheckpointError.file(
                path: url.path,
                reason:
                    "expected at least \(grouped(learned)) numbers by the metadata 'model', found \(grouped(numbers))")
        }
        model = configuration.model(seed: 0)
        try checkpoint.restore(model.tensors, from: url.lastPathComponent)
    }

    /// Generates the kernels once and writes the plain network: no hypernetwork, and the same logits.
    ///
    /// - Returns: the plain network's configuration.
    /// - Throws: `CheckpointError.file` if it cannot be written.
    public func writeBaked(to url: URL) throws -> ImageModelConfiguration {
        var plain = configuration
        plain.kernels = .owned
        plain.embeddingSize = 0
        let baked = model.baked()
        var metadata = metadata
        metadata["model"] = try Self.json(plain)
        metadata["bakedFrom"] = configuration.kernels.rawValue
        var file = SafetensorsFile()
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { file.metadata[key] = value }
        for (name, tensor) in baked.tensors { file.append(name, shape: tensor.shape, .float32(tensor.floats)) }
        do {
            try file.write(to: url.path)
        } catch {
            throw CheckpointError.file(path: url.path, reason: "the baked network could not be written: \(error)")
        }
        return plain
    }

    static func metadata(
        _ configuration: ImageModelConfiguration, dataset: String, normalisation: ImageDataset
    ) throws -> [String: String] {
        [
            "model": try json(configuration), "dataset": dataset,
            "channelMeans": try json(normalisation.channelMeans),
            "channelDeviations": try json(normalisation.channelDeviations),
        ]
    }

    private static func json(_ value: some Encodable) throws -> String {
        String(decoding: try StableJSON.encodeLine(value), as: UTF8.self).trimmingCharacters(in: .newlines)
    }
}
