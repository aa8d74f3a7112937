import Compute
import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork

/// One run of one configuration of characters with one seed.
public typealias CharacterRun = TrainingRun<CharacterWork>

/// What a run on characters does: a character model, a corpus, Adam.
public final class CharacterWork: ExperimentWork {
    public static let experiment = "char-hyperlstm"

    public let task: CharacterTask
    public let optimizer: any CheckpointedOptimizer
    private let configuration: CharacterConfiguration
    private let corpus: CharacterCorpus
    private let evaluator: CharacterEvaluator

    public static func describe(_ corpus: CharacterCorpus, _ configuration: CharacterConfiguration) -> RunRecord.Data {
        RunRecord.Data(corpus, name: configuration.corpus)
    }

    public static func parameterCount(_ configuration: CharacterConfiguration, _ corpus: CharacterCorpus) -> Int {
        configuration.model.parameterCount(vocabularySize: corpus.vocabulary.count)
    }

    public init(
        configuration: CharacterConfiguration, data corpus: CharacterCorpus, seed: UInt64,
        progress: any ProgressReporter, interruption: Interruption
    ) throws {
        self.configuration = configuration
        self.corpus = corpus
        let model = CharacterModel(
            configuration: configuration.model, vocabularySize: corpus.vocabulary.count,
            inputInitialValues: configuration.inputInitialValues, seed: seed)
        evaluator = CharacterEvaluator(
            sequenceLength: configuration.training.sequenceLength, interruption: interruption, progress: progress)
        task = try CharacterTask(
            model: model, configuration: configuration, corpus: corpus, seed: seed, evaluator: evaluator)
        optimizer = configuration.training.adam.optimizer(model.parameters)
    }

    /// The model's configuration and the bytes of the vocabulary in order.
    public func modelMetadata() throws -> [String: String] {
        let json = String(decoding: try StableJSON.encodeLine(configuration.model), as: UTF8.self)
        return [
            "model": json.trimmingCharacters(in: .newlines),
            "vocabulary": corpus.vocabulary.bytes.map(String.init).joined(separator: " "),
            "corpus": corpus.name,
        ]
    }

    public func report(_ split: ReportedSplit) throws -> SplitEvaluation {
        try evaluator.evaluate(
            task.model, symbols: split == .test ? corpus.test : corpus.validation,
            streams: configuration.evaluation.reportedStreams, name: split.rawValue)
    }
}

extension RunRecord.Data {
    init(_ corpus: CharacterCorpus, name: CorpusName) {
        self.init(
            corpus: name, name: corpus.name, displayName: corpus.displayName, official: corpus.source.isOfficial,
            files: corpus.source.files, contentSHA256: corpus.source.contentSHA256, notes: corpus.source.notes,
            trainingCharacters: corpus.train.count,
            validationCharacters: corpus.validation.count, testCharacters: corpus.test.count,
            vocabularySize: corpus.vocabulary.count, entropyRateBits: corpus.entropyRateBits)
    }
}
