import Datasets
import ExperimentKit
import HyperNetworks

/// The demands that reading a text in parallel streams makes on the text and on memory.
struct TextDemand {
    /// The key or option of the number of streams.
    let key: String
    /// The text's name, for people.
    let text: String
    let characters: Int
    let streams: Int
    let sequenceLength: Int
    /// Parts of the streams that are computed apart from each other, and how many of them at the same time.
    var shards = 1, shardsAtOnce = 1
    var isTraining = false

    /// Of a training step, of validation and of the reported figures.
    ///
    /// - Parameter shardsAtOnce: Shards of a batch that this process computes at the same time.
    static func all(
        of configuration: CharacterConfiguration, _ corpus: CharacterCorpus, shardsAtOnce: Int = 1
    ) -> [TextDemand] {
        let training = configuration.training, evaluation = configuration.evaluation
        func reading(_ split: DataSplit, _ key: String, streams: Int, atMost limit: Int? = nil) -> TextDemand {
            let characters = corpus[split].count
            return TextDemand(
                key: key, text: "the \(split.rawValue) split of \(corpus.displayName)",
                characters: min(characters, limit ?? characters), streams: streams,
                sequenceLength: training.sequenceLength)
        }
        var step = reading(.train, "training.batch", streams: training.batch)
        (step.shards, step.shardsAtOnce) = (configuration.loop.shards, shardsAtOnce)
        step.isTraining = true
        return [
            step,
            reading(
                .validation, "evaluation.validationStreams", streams: evaluation.validationStreams,
                atMost: evaluation.validationCharacters),
            reading(.validation, "evaluation.reportedStreams", streams: evaluation.reportedStreams),
            reading(.test, "evaluation.reportedStreams", streams: evaluation.reportedStreams),
        ]
    }

    /// The keys that the size of a model follows.
    static func sizeKeys(_ model: CharacterModelConfiguration) -> [String] {
        ["model.layers", "model.units"]
            + (model.cell.features.contains(.hyperCell) ? ["model.hyperUnits", "model.embeddingSize"] : [])
    }

    /// - Throws: `CorpusError.tooShort` if a stream would have nothing to predict.
    func check() throws {
        _ = try CharacterStreams.length(characters: characters, streams: streams, name: "\(key): \(text)")
    }

    private var streamsAtOnce: Int { streams / shards * shardsAtOnce }
    /// Characters of each stream that are read together.
    private var length: Int { min(sequenceLength, max(1, (characters - 1) / streams)) }

    /// Floats that a model must hold while it reads one sequence of the streams. A lower bound.
    func numbers(_ model: CharacterModelConfiguration, _ vocabularySize: Int) -> Double {
        let count =
            isTraining
            ? model.activationCount(vocabularySize: vocabularySize)
            : model.evaluationActivationCount(vocabularySize: vocabularySize)
        return Double(streamsAtOnce) * Double(length) * Double(count)
    }

    func add(to need: inout MemoryNeed, _ model: CharacterModelConfiguration, vocabularySize: Int) {
        need.add(
            "\(isTraining ? "a training step" : "reading \(text)"), \(grouped(streamsAtOnce)) × \(grouped(length)) characters",
            numbers: numbers(model, vocabularySize), keys: [key, "training.sequenceLength"] + Self.sizeKeys(model))
    }
}
