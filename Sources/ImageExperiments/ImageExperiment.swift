import Compute
import Datasets
import ExperimentKit
import Foundation
import HyperNetworks
import NeuralNetwork

/// Classifiers of images with owned and generated kernels (sections 4.1 and 4.2, appendix A.1): epochs of shuffled
/// batches, each image changed at random.
///
/// Order and changes are functions of the seed, the epoch and the image, so the position is two numbers.
public final class ImageExperiment: Experiment {
    public static let program = "static-hypernet"
    public static let metric = Metric.errorPercent
    public static let unit = "images"

    public struct Position: Codable, Equatable, Sendable {
        /// Passes over the training split completed.
        public var epoch: Int
        /// The batch of the epoch that comes next.
        public var batch: Int
        /// Images of the training split; a checkpoint goes on only with the same.
        public var trainingImages: Int
    }

    public let model: any ImageClassifier
    /// Lazy: only the first shard of a process is asked for it, so the other shards allocate no moments.
    public private(set) lazy var optimizer: any CheckpointedOptimizer =
        configuration.training.optimizer.optimizer(parameters)
    private let configuration: ImageConfiguration
    private let shard: BatchShard
    private let dataset: ImageDataset
    private let normalization: PixelNormalization
    private let augmentation: ImageAugmentation?
    private let evaluator: ImageEvaluator
    private let seed: UInt64
    public private(set) var position: Position
    /// The order of the present epoch.
    private var order: [Int]
    public let parameters: [NamedParameter]
    public let buffers: [(name: String, tensor: Tensor)]

    /// - Throws: `ImageDataError.tooFew` if the training split cannot fill a batch, `.constantChannel` if its images
    ///   are alike.
    public init(
        configuration: ImageConfiguration, data dataset: ImageDataset, seed: UInt64, shard: BatchShard,
        progress: any ProgressReporter, interruption: Interruption
    ) throws {
        try Self.check(configuration, against: dataset)
        self.configuration = configuration
        self.shard = shard
        self.dataset = dataset
        self.seed = seed
        model = configuration.model.model(seed: seed)
        evaluator = ImageEvaluator(interruption: interruption, progress: progress)
        normalization = configuration.data.dataset.normalization(of: dataset)
        augmentation = configuration.data.augment ? configuration.data.dataset.augmentation : nil
        position = Position(epoch: 0, batch: 0, trainingImages: dataset.train.count)
        order = shuffledIndices(count: dataset.train.count, seed: seed, epoch: 0)
        parameters = model.parameters
        buffers = model.buffers
    }

    // MARK: - Data

    public static func open(_ configuration: ImageConfiguration, in folder: DataFolder) throws -> ImageDataset {
        let data = configuration.data
        return try ImageDataset.open(
            data.dataset, dataFolder: folder, validationCount: data.validationImages, seed: UInt64(data.splitSeed))
    }

    public static func describe(_ dataset: ImageDataset, _ configuration: ImageConfiguration) -> DataDescription {
        let images: [String: JSONValue] = [
            "dataset": .text(configuration.data.dataset.rawValue), "training": .count(dataset.train.count),
            "validation": .count(dataset.validation.count), "test": .count(dataset.test.count),
            "splitSeed": .count(configuration.data.splitSeed),
            "channelMeans": .array(dataset.channelMeans.map { .number($0) }),
            "channelDeviations": .array(dataset.channelDeviations.map { .number($0) }),
        ]
        return DataDescription(
            name: dataset.name, displayName: dataset.displayName, official: dataset.source.isOfficial,
            files: dataset.source.files, contentSHA256: dataset.source.contentSHA256, notes: dataset.source.notes,
            details: ["images": .object(images)])
    }

    public static func parameterCount(_ configuration: ImageConfiguration, _ dataset: ImageDataset?) -> Int {
        configuration.model.parameterCount
    }

    public static func check(_ configuration: ImageConfiguration, against dataset: ImageDataset) throws {
        guard dataset.train.count >= configuration.training.batch else {
            throw ImageDataError.tooFew(
                name: "training.batch: the training split of \(dataset.displayName)", images: dataset.train.count,
                batch: configuration.training.batch)
        }
        if configuration.data.dataset.isColor,
            let channel = dataset.channelDeviations.firstIndex(where: { $0 == 0 })
        {
            throw ImageDataError.constantChannel(name: dataset.displayName, channel: channel)
        }
    }

    /// Generated kernels cost no time that can be measured: nearly all is in the convolutions.
    public static func cost(ofAStep configuration: ImageConfiguration) -> (kind: String, multiplications: Double)? {
        let model = configuration.model
        guard model.network == .wideResNet else { return nil }
        return (
            model.network.rawValue, Double(model.wideResNet.multiplicationCount) * Double(configuration.unitsPerStep)
        )
    }

    public static func memory(
        _ configuration: ImageConfiguration, _ dataset: ImageDataset, shards: Int
    ) -> MemoryNeed {
        let model = configuration.model, training = configuration.training
        let isWide = model.network == .wideResNet
        let sizes =
            (isWide ? ["model.blocks", "model.widening"] : [])
            + (model.embeddingSize > 0 ? ["model.embeddingSize"] : [])
        // Of each parameter its value and its gradient in every shard, and the optimizer's moments.
        var need = MemoryNeed(
            parameters: parameterCount(configuration, dataset), copies: 2 * shards + training.optimizer.moments,
            keys: sizes.isEmpty ? ["model.network"] : sizes)
        // Shards that share the statistics of a normalization wait for each other in the middle of a step, all with
        // what they have computed; others take turns on the threads.
        let areTogether = isWide && configuration.batchNormScope == .batch
        let shardsAtOnce = areTogether ? shards : min(shards, ComputeEnvironment.threads)
        let step = training.batch / configuration.loop.shards * shardsAtOnce
        let trainingNumbers = model.trainingNumbers(batch: step)
        // A step and a reading come one after the other, so the larger counts.
        let reading = min(configuration.evaluation.batch, max(dataset.validation.count, dataset.test.count))
        let readingNumbers = model.readingNumbers(batch: reading)
        if trainingNumbers >= readingNumbers {
            need.add(
                "a training step of \(grouped(step)) images", numbers: trainingNumbers, keys: ["training.batch"] + sizes
            )
        } else {
            need.add(
                "reading \(grouped(reading)) images at a time", numbers: readingNumbers,
                keys: ["evaluation.batch"] + sizes)
        }
        return need
    }

    // MARK: - Training

    public var unitsPerStep: Int { configuration.unitsPerStep }

    /// Whole batches in an epoch; the images left over have their turn in another epoch's order.
    private var batchesPerEpoch: Int { dataset.train.count / configuration.training.batch }

    /// The cross entropy; minimized with the L2 penalty on all kernels, owned and generated.
    public func nextLoss() -> BatchLoss {
        let (images, targets) = nextBatch()
        let result = CurrentShard.$batchNormScope.withValue(configuration.batchNormScope) {
            model.forward(images, mode: .training)
        }
        let loss = crossEntropy(result.logits, targets), coefficient = configuration.training.l2
        guard coefficient != 0 else { return BatchLoss(loss: loss) }
        return BatchLoss(loss: loss, objective: loss + l2Penalty(result.kernels, coefficient: coefficient))
    }

    func nextBatch() -> (images: Variable, targets: [Int32]) {
        let rows = shard.rows(ofBatch: configuration.training.batch), size = rows.count
        let set = dataset.train, epoch = position.epoch, first = position.batch * configuration.training.batch
        let indices = order[first + rows.lowerBound..<first + rows.upperBound]
        let images = Tensor(zeros: [size, set.height, set.width, set.channels])
        Parallel.chunks(of: size) { range, _ in
            let part = indices[indices.startIndex + range.lowerBound..<indices.startIndex + range.upperBound]
            let target = images.pointer + range.lowerBound * set.imageSize
            if let augmentation {
                set.write(
                    part, normalization: normalization, augmentation: augmentation, seed: seed, epoch: epoch, to: target
                )
            } else {
                set.write(part, normalization: normalization, to: target)
            }
        }
        let targets = set.labels(at: indices).map { Int32($0) }
        position.batch += 1
        if position.batch == batchesPerEpoch {
            position.batch = 0
            position.epoch += 1
            order = shuffledIndices(count: set.count, seed: seed, epoch: position.epoch)
        }
        return (Variable(images), targets)
    }

    public func validate() throws -> SplitEvaluation {
        try evaluator.evaluate(
            model, dataset.validation, normalization: normalization, batch: configuration.evaluation.batch,
            name: "validation")
    }

    public func restore(position: Position, carried: [NamedTensor]) throws {
        guard position.trainingImages == self.position.trainingImages else {
            throw CheckpointError.otherData(
                what: "the training split", expected: "\(grouped(position.trainingImages)) images",
                found: "\(grouped(self.position.trainingImages))")
        }
        guard (0..<batchesPerEpoch).contains(position.batch), position.epoch >= 0 else {
            throw CheckpointError.otherData(
                what: "the position in an epoch", expected: "batch 0 to \(grouped(batchesPerEpoch - 1))",
                found: "batch \(position.batch) of epoch \(position.epoch)")
        }
        self.position = position
        order = shuffledIndices(count: dataset.train.count, seed: seed, epoch: position.epoch)
    }

    // MARK: - Figures

    public func modelMetadata() throws -> [String: String] {
        try TrainedImageModel.metadata(configuration.model, dataset: dataset.name, normalization: dataset)
    }

    public func report(_ split: DataSplit) throws -> SplitEvaluation {
        try evaluator.evaluate(
            model, dataset[split], normalization: normalization, batch: configuration.evaluation.batch,
            name: split.rawValue)
    }

    public static func dataName(ofWeights url: URL) throws -> String? {
        try Checkpoint(at: url).weights().metadata["dataset"]
    }

    /// Reads the weights of a checkpoint or of a file such as a baked network.
    public static func evaluate(
        _ weights: URL, split: DataSplit, configuration: ImageConfiguration, data dataset: ImageDataset,
        progress: any ProgressReporter, interruption: Interruption
    ) throws -> TrainedEvaluation {
        let trained = try TrainedImageModel(at: weights), set = dataset[split]
        guard trained.model.imageShape == [set.height, set.width, set.channels] else {
            throw CheckpointError.otherData(
                what: "the images of \(dataset.displayName)", expected: "\(trained.model.imageShape)",
                found: "\([set.height, set.width, set.channels])")
        }
        let reading = min(configuration.evaluation.batch, set.count)
        var need = MemoryNeed()
        need.add(
            "reading \(grouped(reading)) images at a time",
            numbers: trained.configuration.readingNumbers(batch: reading), keys: ["evaluation.batch"])
        try need.require()
        let result = try ImageEvaluator(interruption: interruption, progress: progress).evaluate(
            trained.model, set, normalization: trained.normalization, batch: configuration.evaluation.batch,
            name: split.rawValue)
        return TrainedEvaluation(
            result: result,
            model: "\(grouped(trained.model.parameterCount)) parameters,"
                + " kernels \(trained.configuration.kernels.rawValue)" + convertedNote(trained.convertedType))
    }
}

extension ImageDataset {
    subscript(split: DataSplit) -> ImageSet {
        switch split {
        case .train: train
        case .validation: validation
        case .test: test
        }
    }
}

/// A reason why a data set cannot be used with a configuration.
public enum ImageDataError: Error, Equatable, CustomStringConvertible {
    case tooFew(name: String, images: Int, batch: Int)
    /// A channel, counted from 0, that cannot be brought to a standard deviation of 1.
    case constantChannel(name: String, channel: Int)

    public var description: String {
        switch self {
        case .tooFew(let name, let images, let batch):
            return "\(name) has \(grouped(images)) images, too few for a batch of \(grouped(batch))"
        case .constantChannel(let name, let channel):
            return "\(name): channel \(channel) has one brightness in all training images, expected images that differ:"
                + " replace the file, or take more images for training"
        }
    }
}
