import Compute
import Datasets
import ExperimentKit
import Foundation
import HyperNetworks
import NeuralNetwork

/// Language models of characters: LSTM and HyperLSTM on Penn Treebank, enwik8 and text8 (sections 4.3 and 4.4).
///
/// The corpus is read as B parallel streams, T characters a step. The state is carried from one sequence to the next
/// and is zero at the start of an epoch (deviation `carryState`; switched off, it is zero at the start of every
/// sequence).
public final class CharacterExperiment: Experiment {
    public static let program = "char-hyperlstm"
    public static let metric = Metric.bits(per: "character", shortUnit: "bpc")
    public static let unit = "characters"

    public struct Position: Codable, Equatable, Sendable {
        /// Passes over the training split completed.
        public var epoch: Int
        /// The sequence of the epoch that comes next.
        public var sequence: Int
        /// Characters of the training split; a checkpoint goes on only with the same.
        public var trainingCharacters: Int
        /// The position in the stream of the dropout masks.
        public var dropout: RandomStream
    }

    /// The stream of random numbers that the dropout masks are drawn from; the initial values have others.
    private static let dropoutStream: UInt64 = 0x64726f70_6f757400

    public let model: CharacterModel
    /// Lazy: only the first shard of a process is asked for it, so the other shards allocate no moments.
    public private(set) lazy var optimizer: any CheckpointedOptimizer = configuration.training.adam.optimizer(
        parameters)
    private let configuration: CharacterConfiguration
    private let shard: BatchShard
    private let corpus: CharacterCorpus
    private let streams: CharacterStreams
    private let evaluator: CharacterEvaluator
    private var state: RecurrentState
    public private(set) var position: Position
    public let parameters: [NamedParameter]

    /// - Throws: `CorpusError.tooShort` if the corpus cannot fill the batch.
    public init(
        configuration: CharacterConfiguration, data corpus: CharacterCorpus, seed: UInt64, shard: BatchShard,
        progress: any ProgressReporter, interruption: Interruption
    ) throws {
        self.configuration = configuration
        self.shard = shard
        self.corpus = corpus
        model = CharacterModel(
            configuration: configuration.model, vocabularySize: corpus.vocabulary.count,
            initialValues: configuration.initialValues, seed: seed)
        evaluator = CharacterEvaluator(
            sequenceLength: configuration.training.sequenceLength, interruption: interruption, progress: progress)
        streams = try CharacterStreams(
            symbols: corpus.train, batch: configuration.training.batch,
            sequenceLength: configuration.training.sequenceLength, name: "the training split of \(corpus.displayName)")
        state = model.zeroState(batch: shard.rows(ofBatch: configuration.training.batch).count)
        position = Position(
            epoch: 0, sequence: 0, trainingCharacters: corpus.train.count,
            dropout: RandomStream(seed: seed, stream: Self.dropoutStream))
        parameters = model.parameters
    }

    // MARK: - Data

    public static func open(_ configuration: CharacterConfiguration, in folder: DataFolder) throws -> CharacterCorpus {
        try CharacterCorpus.open(configuration.corpus, dataFolder: folder)
    }

    public static func describe(_ corpus: CharacterCorpus, _ configuration: CharacterConfiguration) -> DataDescription {
        var details: [String: JSONValue] = [
            "corpus": .text(configuration.corpus.rawValue), "trainingCharacters": .count(corpus.train.count),
            "validationCharacters": .count(corpus.validation.count), "testCharacters": .count(corpus.test.count),
            "vocabularySize": .count(corpus.vocabulary.count),
        ]
        // Known for the generated sample alone.
        if let bits = corpus.entropyRateBits { details["entropyRateBits"] = .number(bits) }
        return DataDescription(
            name: corpus.name, displayName: corpus.displayName, official: corpus.source.isOfficial,
            files: corpus.source.files, contentSHA256: corpus.source.contentSHA256, notes: corpus.source.notes,
            details: details)
    }

    public static func parameterCount(_ configuration: CharacterConfiguration, _ corpus: CharacterCorpus?) -> Int {
        let size = corpus?.vocabulary.count ?? configuration.corpus.vocabularySize
        return configuration.model.parameterCount(vocabularySize: size)
    }

    /// Every character multiplies by every weight.
    public static func cost(ofAStep configuration: CharacterConfiguration) -> (kind: String, multiplications: Double)? {
        let model = configuration.model
        return (
            "\(model.cell.rawValue) \(model.layerNorm)",
            Double(parameterCount(configuration, nil)) * Double(configuration.unitsPerStep)
        )
    }

    public static func check(_ configuration: CharacterConfiguration, against corpus: CharacterCorpus) throws {
        for demand in TextDemand.all(of: configuration, corpus) { try demand.check() }
    }

    public static func memory(
        _ configuration: CharacterConfiguration, _ corpus: CharacterCorpus, shards: Int
    ) -> MemoryNeed {
        // Of each parameter its value and its gradient in every shard, and Adam's two moments.
        var need = MemoryNeed(
            parameters: parameterCount(configuration, corpus), copies: 2 * shards + 2,
            keys: TextDemand.sizeKeys(configuration.model))
        // One after the other, so the largest counts; shards take turns on the threads.
        let demands = TextDemand.all(
            of: configuration, corpus, shardsAtOnce: min(shards, ComputeEnvironment.threads))
        let model = configuration.model, size = corpus.vocabulary.count
        demands.max { $0.numbers(model, size) < $1.numbers(model, size) }?.add(to: &need, model, vocabularySize: size)
        return need
    }

    // MARK: - Training

    public var unitsPerStep: Int { configuration.unitsPerStep }

    public var carriedTensors: [(name: String, tensor: Tensor)] { state.tensors }

    public func nextLoss() -> BatchLoss {
        let rows = shard.rows(ofBatch: configuration.training.batch), batch = rows.count
        if position.sequence == 0 || !configuration.training.carryState { state = model.zeroState(batch: batch) }
        let (inputs, targets) = streams.sequence(position.sequence, streams: rows)
        var dropout: RandomStream? = position.dropout
        let loss = model.loss(
            inputs: inputs, targets: targets, batch: batch, state: &state, dropout: &dropout, shard: shard)
        if let dropout { position.dropout = dropout }
        position.sequence += 1
        if position.sequence == streams.sequencesPerEpoch {
            position.sequence = 0
            position.epoch += 1
        }
        return BatchLoss(loss: loss)
    }

    public func validate() throws -> SplitEvaluation {
        let settings = configuration.evaluation
        let symbols = settings.validationCharacters.map { Array(corpus.validation.prefix($0)) } ?? corpus.validation
        return try evaluator.evaluate(
            model, symbols: symbols, streams: settings.validationStreams, name: "validation")
    }

    public func restore(position: Position, carried: [NamedTensor]) throws {
        guard position.trainingCharacters == self.position.trainingCharacters else {
            throw CheckpointError.otherData(
                what: "the training split", expected: "\(grouped(position.trainingCharacters)) characters",
                found: "\(grouped(self.position.trainingCharacters))")
        }
        guard (0..<streams.sequencesPerEpoch).contains(position.sequence), position.epoch >= 0 else {
            throw CheckpointError.otherData(
                what: "the position in an epoch", expected: "sequence 0 to \(grouped(streams.sequencesPerEpoch - 1))",
                found: "sequence \(position.sequence) of epoch \(position.epoch)")
        }
        let batch = configuration.training.batch, rows = shard.rows(ofBatch: batch)
        let fresh = model.zeroState(batch: rows.count)
        for (name, tensor) in fresh.tensors {
            let whole = [batch] + tensor.shape.dropFirst(), width = tensor.count / rows.count
            guard let source = carried.first(where: { $0.name == name }) else {
                throw CheckpointError.otherModel(
                    .missingName(path: CheckpointFile.carried, expected: name, found: carried.map(\.name)))
            }
            guard source.shape == whole else {
                throw CheckpointError.otherModel(
                    .wrongShape(path: CheckpointFile.carried, name: name, expected: whole, found: source.shape))
            }
            tensor.copy(from: Array(source.values[rows.lowerBound * width..<rows.upperBound * width]))
        }
        state = fresh
        self.position = position
    }

    // MARK: - Figures

    /// The model's configuration and the bytes of the vocabulary in order.
    public func modelMetadata() throws -> [String: String] {
        [
            "model": try StableJSON.text(configuration.model),
            "vocabulary": corpus.vocabulary.bytes.map(String.init).joined(separator: " "),
            "corpus": corpus.name,
        ]
    }

    public func report(_ split: DataSplit) throws -> SplitEvaluation {
        try evaluator.evaluate(
            model, symbols: corpus[split], streams: configuration.evaluation.reportedStreams, name: split.rawValue)
    }

    public static func dataName(ofWeights url: URL) throws -> String? {
        try Checkpoint(at: url).weights().metadata["corpus"]
    }

    /// Reads the weights of a checkpoint with the vocabulary that they were trained on.
    public static func evaluate(
        _ weights: URL, split: DataSplit, configuration: CharacterConfiguration, data corpus: CharacterCorpus,
        progress: any ProgressReporter, interruption: Interruption
    ) throws -> TrainedEvaluation {
        let trained = try TrainedCharacterModel(try Checkpoint(at: weights))
        guard trained.vocabulary == corpus.vocabulary else {
            throw CheckpointError.otherData(
                what: "the vocabulary", expected: trained.vocabulary.description, found: corpus.vocabulary.description)
        }
        let demand = TextDemand(
            key: "--streams", text: "the \(split.rawValue) split of \(corpus.displayName)",
            characters: corpus[split].count, streams: configuration.evaluation.reportedStreams,
            sequenceLength: configuration.training.sequenceLength)
        try demand.check()
        var need = MemoryNeed()
        demand.add(to: &need, trained.model.configuration, vocabularySize: corpus.vocabulary.count)
        try need.require()
        let evaluator = CharacterEvaluator(
            sequenceLength: configuration.training.sequenceLength, interruption: interruption, progress: progress)
        let result = try evaluator.evaluate(
            trained.model, symbols: corpus[split], streams: configuration.evaluation.reportedStreams,
            name: split.rawValue)
        return TrainedEvaluation(
            result: result,
            model: "\(grouped(trained.model.parameterCount)) parameters" + convertedNote(trained.convertedType))
    }

    public static func reading(_ result: SplitEvaluation) -> String {
        "\(grouped(result.predictions)) characters as "
            + (result.streams == 1 ? "one sequence" : "\(result.streams) streams")
    }
}

extension CorpusName {
    /// Distinct symbols of the corpus.
    public var vocabularySize: Int {
        switch self {
        case .ptb: 50
        case .enwik8: 205
        case .text8: 27
        case .sample: 28
        }
    }
}
