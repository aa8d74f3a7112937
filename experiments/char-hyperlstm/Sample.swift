import ArgumentParser
import CharacterExperiments
import ExperimentCommands
import ExperimentKit
import Foundation

struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let a trained model write.",
        discussion: "Prints the prompt and what follows it. Needs no data: a checkpoint knows its vocabulary.")

    @Argument(
        help: "A run's folder, a checkpoint's, or a name of committed weights, such as layer-norm-hyperlstm.",
        completion: .models(of: CharacterExperiment.program))
    var checkpoint: String
    @Option(help: "The text to go on from; each character must be in the model's vocabulary.")
    var prompt: String = ""
    @Option(parsing: .unconditional, help: "Characters to write, at most 10,000,000; at most 10,000 with --gates.")
    var length: Int = 500
    @Option(
        parsing: .unconditional,
        help:
            "1 draws from the model's distribution, less keeps closer to the likeliest characters, 0 always takes the likeliest."
    )
    var temperature: Double = 1
    @Option(parsing: .unconditional, help: "Seed of the draws.")
    var seed: UInt64 = 0
    @Flag(help: "Show under each character how much each gate's recurrent weights changed (Figure 4).")
    var gates = false
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    func validate() throws {
        let lengths = gates ? FiguresCommand.lengths : 0...10_000_000
        try require(gates ? "--length with --gates" : "--length", length, in: lengths)
        guard temperature >= 0, temperature.isFinite else {
            throw ValidationError("--temperature expects a number of at least 0, found \(temperature)")
        }
    }

    func run() throws {
        let location = try modelLocation(checkpoint, of: CharacterExperiment.self)
        let checkpoint = try Checkpoint(at: location)
        try threads.configure()
        let trained = try TrainedCharacterModel(checkpoint)
        noteConverted(self.checkpoint, from: trained.convertedType)
        if gates {
            try showGates(of: trained, name: shortName(location.path))
            return
        }
        // Shown while the model writes, and as bytes: what a model of bytes writes need not be UTF-8.
        var pending = length == 0 ? Array(prompt.utf8) : []
        let text = try trained.sample(prompt: prompt, length: length, temperature: temperature, seed: seed) { byte, _ in
            pending.append(byte)
            guard pending.count == 64 else { return }
            try writeResult(bytes: pending)
            pending = []
        }
        // The last one was drawn and not read.
        try writeResult(bytes: pending + text.suffix(1) + [UInt8(ascii: "\n")])
    }

    /// Figure 4 in the terminal: in colors where there is one that shows them.
    private func showGates(of trained: TrainedCharacterModel, name: String) throws {
        let trace = try trained.trace(prompt: prompt, length: length, temperature: temperature, seed: seed).trace
        guard let figure = trace.figure4(name: name) else {
            throw UserError(
                description: "\(name): a model without a HyperLSTM in its first layer; --gates shows what a hyper cell"
                    + " changes there")
        }
        let environment = ProcessInfo.processInfo.environment
        let isTerminal = isatty(STDOUT_FILENO) != 0
        let colored = isTerminal && environment["NO_COLOR"] == nil && environment["TERM"] != "dumb"
        try writeResult(figure.terminal(columns: terminalWidth(of: STDOUT_FILENO) ?? 80, colored: colored))
    }
}
