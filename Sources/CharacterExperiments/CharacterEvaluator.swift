import Compute
import ExperimentKit
import Foundation
import HyperNetworks

/// Reads a split with a model and measures the mean loss of its characters; no dropout, nothing is learned.
public struct CharacterEvaluator {
    /// Characters of each stream in one call of the model. The figure does not depend on it: the state is carried.
    private let sequenceLength: Int
    private let interruption: Interruption
    private let progress: any ProgressReporter

    public init(sequenceLength: Int, interruption: Interruption, progress: any ProgressReporter) {
        self.sequenceLength = sequenceLength
        self.interruption = interruption
        self.progress = progress
    }

    /// The mean loss over a split.
    ///
    /// - Parameters:
    ///   - symbols: The split, [n].
    ///   - streams: Parallel streams that it is read as, each from a zero state; 1 reads it as one sequence, the
    ///     paper's way. Every character is predicted but the split's first and those left over at its end.
    ///   - name: The split's name, for progress and errors.
    /// - Throws: `CorpusError.tooShort`; `Interrupted` when a stop was asked for.
    public func evaluate(
        _ model: CharacterModel, symbols: [UInt8], streams: Int, name: String
    ) throws -> SplitEvaluation {
        let text = try CharacterStreams(symbols: symbols, batch: streams, sequenceLength: sequenceLength, name: name)
        let reading = ReadingProgress(name, total: text.predictions, to: progress)
        var state = model.zeroState(batch: streams)
        var totalNats = 0.0
        var done = 0
        for index in 0..<text.sequencesPerEpoch {
            try interruption.check()
            let (inputs, targets) = text.sequence(index)
            let loss = withoutGradient {
                var noDropout: RandomStream?
                return model.loss(
                    inputs: inputs, targets: targets, batch: streams, state: &state, dropout: &noDropout)
            }
            totalNats += Double(loss.value.floats[0]) * Double(inputs.count)
            done += inputs.count
            reading.report(done: done)
        }
        return SplitEvaluation(
            lossNats: totalNats / Double(done), predictions: done, streams: streams, seconds: reading.seconds)
    }
}
