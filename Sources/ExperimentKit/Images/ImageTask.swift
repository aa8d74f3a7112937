import Compute
import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork

extension ImageDataset {
    /// How brightness becomes a number (deviation `staticInputNormalisation`): of colour images by the statistics of the
    /// training split, of grey ones from 0 to 1.
    var normalisation: PixelNormalisation {
        channelMeans.count == 3
            ? PixelNormalisation(means: channelMeans, deviations: channelDeviations) : .unitInterval(channels: 1)
    }
}

/// Training of a classifier on images, as the loop sees it: epochs of shuffled batches, each image changed at random.
///
/// Order and changes are functions of the seed, the epoch and the image, so the position is two numbers.
public final class ImageTask: TrainingTask {
    public struct Position: Codable, Equatable, Sendable {
        /// Passes over the training split completed.
        public var epoch: Int
        /// The batch of the epoch that comes next.
        public var batch: Int
        /// Images of the training split; a checkpoint goes on only with the same.
        public var trainingImages: Int
    }

    public let model: any ImageClassifier
    private let configuration: ImageConfiguration
    private let dataset: ImageDataset
    private let normalisation: PixelNormalisation
    private let augmentation: ImageAugmentation?
    private let evaluator: ImageEvaluator
    private let seed: UInt64
    public private(set) var position: Position
    /// The order of the present epoch.
    private var order: [Int]
    public let parameters: [NamedParameter]
    public let buffers: [(name: String, tensor: Tensor)]

    /// - Throws: `ImageDataError.tooFew` if the training split cannot fill a batch.
    public init(
        model: any ImageClassifier, configuration: ImageConfiguration, dataset: ImageDataset, seed: UInt64,
        evaluator: ImageEvaluator
    ) throws {
        guard dataset.train.count >= configuration.training.batch else {
            throw ImageDataError.tooFew(
                name: "the training split of \(dataset.displayName)", images: dataset.train.count,
                batch: configuration.training.batch)
        }
        self.model = model
        self.configuration = configuration
        self.dataset = dataset
        self.evaluator = evaluator
        self.seed = seed
        normalisation = dataset.normalisation
        augmentation = configuration.data.augment ? (dataset.train.channels == 3 ? .cifar10 : .mnist) : nil
        position = Position(epoch: 0, batch: 0, trainingImages: dataset.train.count)
        order = shuffledIndices(count: dataset.train.count, seed: seed, epoch: 0)
        parameters = model.parameters
        buffers = model.buffers
    }

    public var unitsPerStep: Int { configuration.training.batch }
    public var carriedTensors: [(name: String, tensor: Tensor)] { [] }

    /// Whole batches in an epoch; the images left over have their turn in another epoch's order.
    private var batchesPerEpoch: Int { dataset.train.count / configuration.training.batch }

    /// Cross entropy and the L2 penalty on all kernels.
    public func nextLoss() throws -> Variable {
        let (images, targets) = nextBatch()
        let result = model.forward(images, mode: .training)
        let loss = crossEntropy(result.logits, targets), coefficient = configuration.training.l2
        return coefficient == 0 ? loss : loss + l2Penalty(result.kernels, coefficient: coefficient)
    }

    private func nextBatch() -> (images: Variable, targets: [Int32]) {
        let size = configuration.training.batch, set = dataset.train, epoch = position.epoch
        let indices = order[position.batch * size..<(position.batch + 1) * size]
        let images = Tensor(zeros: [size, set.height, set.width, set.channels])
        Parallel.chunks(of: size) { range, _ in
            let part = indices[indices.startIndex + range.lowerBound..<indices.startIndex + range.upperBound]
            let target = images.pointer + range.lowerBound * set.imageSize
            if let augmentation {
                set.write(
                    part, normalisation: normalisation, augmentation: augmentation, seed: seed, epoch: epoch, to: target
                )
            } else {
                set.write(part, normalisation: normalisation, to: target)
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
            model, dataset.validation, normalisation: normalisation, batch: configuration.evaluation.batch,
            name: "validation")
    }

    public func restore(position: Position, carried: [NamedTensor]) throws {
        guard position.trainingImages == self.position.trainingImages,
            (0..<batchesPerEpoch).contains(position.batch), position.epoch >= 0
        else {
            throw CheckpointError.otherData(
                what: "the training split", expected: "\(grouped(position.trainingImages)) images",
                found: "\(grouped(self.position.trainingImages))")
        }
        self.position = position
        order = shuffledIndices(count: dataset.train.count, seed: seed, epoch: position.epoch)
    }
}

/// What makes a data set unusable for a configuration.
public enum ImageDataError: Error, Equatable, CustomStringConvertible {
    case tooFew(name: String, images: Int, batch: Int)

    public var description: String {
        switch self {
        case .tooFew(let name, let images, let batch):
            return "\(name) has \(grouped(images)) images, too few for a batch of \(grouped(batch))"
        }
    }
}
