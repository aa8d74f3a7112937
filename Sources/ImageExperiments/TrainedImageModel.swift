import Compute
import Datasets
import ExperimentKit
import Foundation
import HyperNetworks
import NeuralNetwork
import Safetensors

/// A classifier out of a checkpoint or a baked file: one file of weights that says of itself what it is.
public struct TrainedImageModel {
    public let configuration: ImageModelConfiguration
    public let model: any ImageClassifier
    /// The normalization of the images that it was trained on.
    public let normalization: PixelNormalization
    /// The type of number that the file holds, if another than F32; the model has the weights converted.
    public let convertedType: String?
    private let metadata: [String: String]

    /// - Parameter url: A run's folder, a checkpoint's, or a file of weights.
    /// - Throws: `CheckpointError` if there is none, it is damaged, or its weights do not fit what it says of itself.
    public init(at url: URL) throws {
        let checkpoint = try Checkpoint(at: url), file = try checkpoint.weights(), url = checkpoint.weightsURL
        let metadata = Dictionary(
            file.metadata.items.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        self.metadata = metadata
        convertedType = file.convertedType
        func decoded<Value: Decodable>(_ key: String, _ type: Value.Type) throws -> Value {
            guard let json = metadata[key] else {
                throw CheckpointError.file(path: url.path, reason: "the metadata '\(key)' is missing")
            }
            do {
                return try StableJSON.decode(type, from: [UInt8](json.utf8))
            } catch {
                throw CheckpointError.file(
                    path: url.path, reason: "the metadata '\(key)' describes no network of images")
            }
        }
        configuration = try decoded("model", ImageModelConfiguration.self)
        guard configuration.isBuildable else {
            throw CheckpointError.file(
                path: url.path,
                reason: "the metadata 'model' describes no network that can be built: \(configuration)")
        }
        let means = try decoded("channelMeans", [Double].self)
        let deviations = try decoded("channelDeviations", [Double].self)
        guard !means.isEmpty, means.count == deviations.count, deviations.allSatisfy({ $0 > 0 }) else {
            throw CheckpointError.file(
                path: url.path,
                reason: "the metadata 'channelMeans' and 'channelDeviations' expected one mean and one standard"
                    + " deviation above 0 for each channel, found \(means) and \(deviations)")
        }
        // Older files, and those of other copies of the data, name the set with an addition.
        let dataset = ImageDatasetName.allCases.last { (metadata["dataset"] ?? "").hasPrefix($0.rawValue) }
        guard let dataset else {
            let names = ImageDatasetName.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            throw CheckpointError.file(
                path: url.path,
                reason: "the metadata 'dataset' expected a name that begins with one of \(names), found"
                    + " '\(metadata["dataset"] ?? "")'")
        }
        normalization = dataset.normalization(means: means, deviations: deviations)
        // Before anything of that size is allocated; running statistics come on top of what is learned.
        let numbers = file.entries.reduce(0) { $0 + $1.values.count }, learned = configuration.parameterCount
        guard (learned...(2 * learned)).contains(numbers) else {
            throw CheckpointError.file(
                path: url.path,
                reason:
                    "expected \(grouped(learned)) numbers that are learned, by the metadata 'model', and at most as many"
                    + " running statistics, found \(grouped(numbers)) numbers")
        }
        model = configuration.model(seed: 0)
        let channels = model.imageShape[2]
        guard means.count == channels else {
            throw CheckpointError.file(
                path: url.path,
                reason: "the metadata 'channelMeans' expected \(channels) numbers, one for each channel of an image,"
                    + " found \(means.count)")
        }
        try Checkpoint.restore(model.tensors, from: file)
    }

    /// Generates the kernels once and writes the plain network: no hypernetwork, and the same logits.
    ///
    /// - Returns: The plain network's configuration.
    /// - Throws: `CheckpointError.file` if it cannot be written.
    public func writeBaked(to url: URL) throws -> ImageModelConfiguration {
        var plain = configuration
        plain.kernels = .owned
        plain.embeddingSize = 0
        let baked = model.baked()
        var metadata = metadata
        metadata["model"] = try StableJSON.text(plain)
        metadata[Self.bakedKey] = configuration.kernels.rawValue
        do {
            try baked.saveWeights(to: url.path, metadata: .init(sorting: metadata))
        } catch {
            throw CheckpointError.file(path: url.path, reason: "the baked network could not be written: \(error)")
        }
        return plain
    }

    /// The metadata of a baked network by which it is known.
    package static let bakedKey = "bakedFrom"

    static func metadata(
        _ configuration: ImageModelConfiguration, dataset: String, normalization: ImageDataset
    ) throws -> [String: String] {
        [
            "model": try StableJSON.text(configuration), "dataset": dataset,
            "channelMeans": try StableJSON.text(normalization.channelMeans),
            "channelDeviations": try StableJSON.text(normalization.channelDeviations),
        ]
    }
}
