import Compute
import Datasets
import ExperimentKit
import Foundation
import HyperNetworks
import NeuralNetwork

/// Reads a split with a network and counts the images that it takes for another class; nothing is learned.
public struct ImageEvaluator {
    private let interruption: Interruption
    private let progress: any ProgressReporter

    public init(interruption: Interruption, progress: any ProgressReporter) {
        self.interruption = interruption
        self.progress = progress
    }

    /// The mean loss and the errors over a split, each image as it is.
    ///
    /// - Parameters:
    ///   - batch: Images in one call of the network.
    ///   - name: The split's name, for progress.
    /// - Throws: `Interrupted` when a stop was asked for.
    public func evaluate(
        _ model: some ImageClassifier, _ set: ImageSet, normalization: PixelNormalization, batch: Int, name: String
    ) throws -> SplitEvaluation {
        let reading = ReadingProgress(name, total: set.count, to: progress)
        // The kernels are generated once for the whole split.
        let plain = model.baked()
        var (totalNats, wrong, done) = (0.0, 0, 0)
        while done < set.count {
            try interruption.check()
            let indices = done..<min(set.count, done + batch)
            let images = Tensor(zeros: [indices.count, set.height, set.width, set.channels])
            set.write(indices, normalization: normalization, to: images.pointer)
            let logits = withoutGradient { plain.forward(Variable(images), mode: .evaluation) }.logits.value
            let targets = set.labels(at: indices).map { Int32($0) }
            totalNats += crossEntropies(logits, targets).reduce(0) { $0 + Double($1) }
            wrong += zip(Self.argmax(logits), targets).count(where: { $0.0 != $0.1 })
            done = indices.upperBound
            reading.report(done: done)
        }
        return SplitEvaluation(
            lossNats: totalNats / Double(set.count), predictions: set.count, wrong: wrong, streams: 1,
            seconds: reading.seconds)
    }

    /// The class with the greatest score of each row, the first of equals; −1 for a row without an order (NaN).
    static func argmax(_ logits: Tensor) -> [Int32] {
        let classes = logits.shape[1], scores = logits.floats
        return (0..<logits.shape[0]).map { row in
            let range = row * classes..<(row + 1) * classes
            guard !scores[range].contains(where: \.isNaN), let best = range.max(by: { scores[$0] < scores[$1] }) else {
                return -1
            }
            return Int32((range.first { scores[$0] == scores[best] } ?? best) - range.lowerBound)
        }
    }
}
