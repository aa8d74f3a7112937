import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation

struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let a trained model write.",
        discussion: "Prints the prompt and what follows it. Needs no data: a checkpoint knows its vocabulary.")

    @Argument(help: "A run's folder or a checkpoint's.")
    var checkpoint: String
    @Option(help: "The text to go on from; each character must be in the model's vocabulary.")
    var prompt: String = ""
    @Option(help: "Characters to write.")
    var length: Int = 500
    @Option(help: "1 draws from the model's distribution, less is bolder in its habits, 0 always takes the likeliest.")
    var temperature: Double = 1
    @Option(help: "Seed of the draws.")
    var seed: UInt64 = 0
    @OptionGroup var threads: ThreadOptions

    func validate() throws {
        if length < 0 { throw ValidationError("--length expects a whole number of at least 0, found \(length)") }
        guard temperature >= 0, temperature.isFinite else {
            throw ValidationError("--temperature expects a number of at least 0, found \(temperature)")
        }
    }

    func run() throws {
        let checkpoint = try Checkpoint(at: URL(fileURLWithPath: checkpoint, isDirectory: true))
        try threads.configure()
        let trained = try TrainedCharacterModel(checkpoint)
        let text = try trained.sample(prompt: prompt, length: length, temperature: temperature, seed: seed)
        // Bytes, not a String: what a model of bytes writes need not be UTF-8.
        try writeResult(bytes: Array(prompt.utf8) + text + [UInt8(ascii: "\n")])
    }
}
