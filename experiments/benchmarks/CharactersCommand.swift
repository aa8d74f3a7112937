import ArgumentParser
import CharacterExperiments
import ExperimentCommands
import ExperimentKit
import Foundation
import HyperNetworks

/// Times what goes one character at a time: drawing a text, and reading a split as one sequence.
struct CharactersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "characters",
        abstract: "Times a Layer Norm HyperLSTM, 1000 units, one character at a time.",
        discussion: "Every character needs all weights once, 20 MB: the rate at which they can be read bounds both. "
            + "Prints a line of JSON: characters/s drawn and read, GB/s of weights, GB/s of a copy.")

    @Option(help: "Threads; without it what the process may use.") var threads: Int?
    @Option(help: "Characters to draw, and to read.") var count = 2000

    @Flag(help: "Print where the time of drawing a character goes instead.") var profile = false

    func validate() throws { try require("--count", count, in: 1...mostTimed) }

    func run() throws {
        try ComputeEnvironment.configure(threads: threads)
        let vocabulary = 50
        let configuration = StepKind.lnHyperLSTM.characterModel(units: 1000, keep: 1)
        let model = CharacterModel(configuration: configuration, vocabularySize: vocabulary, seed: 0)
        var random = RandomStream(seed: 1, stream: 1), symbol: Int32 = 0, text: [Int32] = []
        var state = model.zeroState(batch: 1)
        let weights = model.packedWeights(batch: 1)
        func draw(_ count: Int) {
            for _ in 0..<count {
                let logits = model.step(symbols: [symbol], state: &state, weights: weights).floats
                symbol = Int32(
                    TrainedCharacterModel.draw(logits, temperature: 1, uniform: Double(random.uniform(1)[0])))
                text.append(symbol)
            }
        }
        draw(20)
        if profile {
            try writeResult(ProfileTable(steps: count) { draw(1) }.text, terminator: "")
            return
        }
        let drawing = Self.seconds { draw(count) }
        text = Array(text.suffix(count))
        var noDropout: RandomStream?
        let reading = (0..<3).map { _ in
            Self.seconds {
                withoutGradient { _ = model.logits(inputs: text, batch: 1, state: &state, dropout: &noDropout) }
            }
        }.min()!
        let gigabytes = Double(model.parameterCount * MemoryLayout<Float>.stride) * 1e-9
        let measurement = CharactersMeasurement(
            sampled_per_s: (Double(count) / drawing).rounded(), read_per_s: (Double(count) / reading).rounded(),
            sampling_gb_per_s: (gigabytes * Double(count) / drawing * 10).rounded() / 10,
            reading_gb_per_s: (gigabytes * Double(count) / reading * 10).rounded() / 10,
            copy_gb_per_s: (ComputeEnvironment.measureCopy() * 10).rounded() / 10)
        try writeResult(bytes: try StableJSON.encodeLine(measurement))
    }

    private static func seconds(_ body: () -> Void) -> Double {
        let start = DispatchTime.now().uptimeNanoseconds
        body()
        return Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
    }
}

/// The output of `characters`.
struct CharactersMeasurement: Codable {
    let sampled_per_s: Double
    let read_per_s: Double
    let sampling_gb_per_s: Double
    let reading_gb_per_s: Double
    /// Reading and writing counted.
    let copy_gb_per_s: Double
}

/// The output of PyTorch's program about sampling.
struct PeerSampling: Codable {
    let mode: String
    let characters_per_s: Double
}
