import Compute
import Datasets
import ExperimentKit
import Foundation
import HyperNetworks

/// A character model out of a checkpoint, with the vocabulary it was trained on; needs no data.
public struct TrainedCharacterModel {
    public let model: CharacterModel
    public let vocabulary: Vocabulary
    public let checkpoint: Checkpoint
    /// The type of number that the file holds, if another than F32; the model has the weights converted.
    public let convertedType: String?

    /// - Throws: `CheckpointError` if the checkpoint is damaged or its weights do not fit its own configuration.
    public init(_ checkpoint: Checkpoint) throws {
        let file = try checkpoint.weights(), metadata = file.metadata
        let path = checkpoint.weightsURL.path
        guard let json = metadata["model"], let bytes = metadata["vocabulary"] else {
            throw CheckpointError.file(
                path: path,
                reason: "the metadata 'model' and 'vocabulary' are missing: no file of a model of characters")
        }
        let configuration: CharacterModelConfiguration
        do {
            configuration = try StableJSON.decode(CharacterModelConfiguration.self, from: [UInt8](json.utf8))
        } catch {
            throw CheckpointError.file(path: path, reason: "the metadata 'model' describes no model of characters")
        }
        let words = bytes.split(separator: " "), found = words.compactMap { UInt8($0) }
        vocabulary = Vocabulary(of: found)
        // Row n of the weights is the n-th of them.
        guard found.count == words.count, vocabulary.bytes == found else {
            throw CheckpointError.file(
                path: path,
                reason: "the metadata 'vocabulary' expected numbers of bytes, 0 to 255, in ascending order, found"
                    + " '\(bytes)'")
        }
        try Self.check(
            configuration, vocabulary, path: path, weights: file.entries.reduce(0) { $0 + $1.values.count })
        model = CharacterModel(configuration: configuration, vocabularySize: vocabulary.count, seed: 0)
        self.checkpoint = checkpoint
        convertedType = file.convertedType
        try Checkpoint.restore(model.tensors, from: file)
    }

    /// Checks that a model can be built and has as many parameters as the checkpoint, before its memory is asked for.
    private static func check(
        _ configuration: CharacterModelConfiguration, _ vocabulary: Vocabulary, path: String, weights: Int
    ) throws {
        do {
            try configuration.validate()
        } catch {
            throw CheckpointError.file(path: path, reason: "the metadata 'model' describes no model: \(error)")
        }
        guard vocabulary.count > 0 else {
            throw CheckpointError.file(path: path, reason: "the metadata 'vocabulary' names no byte")
        }
        let count = configuration.parameterCount(vocabularySize: vocabulary.count)
        guard count == weights else {
            throw CheckpointError.file(
                path: path,
                reason: "the metadata 'model' and 'vocabulary' describe \(grouped(count)) weights, the file holds "
                    + "\(grouped(weights))")
        }
    }

    /// Lets the model continue a text.
    ///
    /// - Parameters:
    ///   - prompt: The text before it; may be empty, then the first character is drawn uniformly.
    ///   - length: Characters to draw.
    ///   - temperature: The logits are divided by it; 1 draws from the model's own distribution, 0 takes the most
    ///     probable character each time.
    ///   - seed: Of the draws.
    ///   - observe: Called after each step with the byte that the model read and its state afterwards.
    /// - Returns: The drawn bytes, without the prompt.
    /// - Throws: `DatasetError.unknownSymbol` for a prompt with a character that the vocabulary does not have; what
    ///   `observe` throws, at once.
    public func sample(
        prompt: String, length: Int, temperature: Double, seed: UInt64,
        observe: (_ read: UInt8, _ state: RecurrentState) throws -> Void = { _, _ in }
    ) throws -> [UInt8] {
        var random = RandomStream(seed: seed, stream: Self.samplingStream)
        var text = try vocabulary.encode(prompt: prompt)
        let promptLength = text.count
        if text.isEmpty, length > 0 {
            text.append(UInt8(min(vocabulary.count - 1, Int(random.uniform(1)[0] * Float(vocabulary.count)))))
        }
        var state = model.zeroState(batch: 1)
        let weights = model.packedWeights(batch: 1)
        var position = 0
        while text.count - promptLength < length {
            let logits = model.step(symbols: [Int32(text[position])], state: &state, weights: weights)
            try observe(vocabulary.bytes[Int(text[position])], state)
            position += 1
            if position == text.count {
                text.append(Self.draw(logits.floats, temperature: temperature, uniform: Double(random.uniform(1)[0])))
            }
        }
        return vocabulary.decode(text[promptLength...])
    }

    /// Neither the initial values' nor the dropout's stream of random numbers.
    private static let samplingStream: UInt64 = 0x73616d70_6c650000

    /// The symbol at which the running sum of softmax(logits / temperature) passes `uniform`.
    package static func draw(_ logits: [Float], temperature: Double, uniform: Double) -> UInt8 {
        let greatest = logits.indices.max { logits[$0] < logits[$1] } ?? 0
        guard temperature > 0 else { return UInt8(greatest) }
        let weights = logits.map { exp(Double($0 - logits[greatest]) / temperature) }
        var left = uniform * weights.reduce(0, +)
        for (symbol, weight) in weights.enumerated() {
            left -= weight
            if left < 0 { return UInt8(symbol) }
        }
        return UInt8(greatest)
    }
}
