import Compute
import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork

/// Training of a character model on a corpus, as the loop sees it.
///
/// The corpus is read as B parallel streams, T characters a step. The state is carried from one sequence to the next and
/// is zero at the start of an epoch (deviation `carryState`; switched off, it is zero at the start of every sequence).
public final class CharacterTask: TrainingTask {
    public struct Position: Codable, Equatable, Sendable {
        /// Passes over the training split completed.
        public var epoch: Int
        /// The sequence of the epoch that comes next.
        public var sequence: Int
        /// Characters of the training split; a checkpoint goes on only with the same.
        public var trainingCharacters: Int
        /// Where the dropout masks come from.
        public var dropout: RandomStream
    }

    /// The stream of random numbers that the dropout masks are drawn from; the initial values have others.
    private static let dropoutStream: UInt64 = 0x64726f70_6f757400

    public let model: CharacterModel
    private let configuration: CharacterConfiguration
    private let corpus: CharacterCorpus
    private let streams: CharacterStreams
    private let evaluator: CharacterEvaluator
    private var state: RecurrentState
    public private(set) var position: Position
    public let parameters: [NamedParameter]

    /// - Throws: `CorpusError.tooShort` if the corpus cannot fill the batch.
    public init(
        model: CharacterModel, configuration: CharacterConfiguration, corpus: CharacterCorpus, seed: UInt64,
        evaluator: CharacterEvaluator
    ) throws {
        self.model = model
        self.configuration = configuration
        self.corpus = corpus
        self.evaluator = evaluator
        streams = try CharacterStreams(
            symbols: corpus.train, batch: configuration.training.batch,
            sequenceLength: configuration.training.sequenceLength, name: "the training split of \(corpus.displayName)")
        state = model.zeroState(batch: configuration.training.batch)
        position = Position(
            epoch: 0, sequence: 0, trainingCharacters: corpus.train.count,
            dropout: RandomStream(seed: seed, stream: Self.dropoutStream))
        parameters = model.parameters
    }

    public var unitsPerStep: Int { configuration.training.batch * configuration.training.sequenceLength }

    public var carriedTensors: [(name: String, tensor: Tensor)] { state.tensors }

    public func nextLoss() throws -> Variable {
        let batch = configuration.training.batch
        if position.sequence == 0 || !configuration.training.carryState { state = model.zeroState(batch: batch) }
        let (inputs, targets) = streams.sequence(position.sequence)
        var dropout: RandomStream? = position.dropout
        let loss = model.loss(inputs: inputs, targets: targets, batch: batch, state: &state, dropout: &dropout)
        if let dropout { position.dropout = dropout }
        position.sequence += 1
        if position.sequence == streams.sequencesPerEpoch {
            position.sequence = 0
            position.epoch += 1
        }
        return loss
    }

    public func validate() throws -> SplitEvaluation {
        let settings = configuration.evaluation
        let symbols = settings.validationCharacters.map { Array(corpus.validation.prefix($0)) } ?? corpus.validation
        return try evaluator.evaluate(
            model, symbols: symbols, streams: settings.validationStreams, name: "validation")
    }

    public func restore(position: Position, carried: [NamedTensor]) throws {
        guard position.trainingCharacters == self.position.trainingCharacters,
            (0..<streams.sequencesPerEpoch).contains(position.sequence), position.epoch >= 0
        else {
            throw CheckpointError.otherData(
                what: "the training split", expected: "\(grouped(position.trainingCharacters)) characters",
                found: "\(grouped(self.position.trainingCharacters))")
        }
        let fresh = model.zeroState(batch: configuration.training.batch)
        for (name, tensor) in fresh.tensors {
            guard let source = carried.first(where: { $0.name == name }) else {
                throw CheckpointError.missingTensor(path: CheckpointFile.carried, name: name)
            }
            guard source.shape == tensor.shape else {
                throw CheckpointError.shapeMismatch(
                    path: CheckpointFile.carried, name: name, expected: tensor.shape, found: source.shape)
            }
            tensor.copy(from: source.values)
        }
        state = fresh
        self.position = position
    }
}
