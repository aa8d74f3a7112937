import ArgumentParser
import CharacterExperiments
import ExperimentCommands
import ExperimentKit
import Figures
import Foundation
import PaperFigures

struct FiguresCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "figures",
        abstract: "Draw what happens while a model writes: Figures 4 and 5, and the weight scaling d_h.",
        discussion: """
            figure-4-gate-changes-MODEL  a written text, and how much each gate changed
            figure-5-cell-outputs        histograms of φ(c_t) while writing
            weight-scaling-MODEL         d_h of every gate over a passage

            Each as SVG; pictures made of pixels as PNG too. Without MODEL the committed weights of every row are drawn, \
            of several budgets the longest. In a terminal: `sample MODEL --gates`.
            """)

    @Argument(
        help: "Runs' folders, checkpoints' folders, or names of committed weights.",
        completion: .models(of: CharacterExperiment.program))
    var models: [String] = []
    @OptionGroup var figures: FigureOptions
    @Option(
        help: """
            The text to begin with; each character must be in every model's vocabulary. Default: '\
            \(TrainedCharacterModel.defaultPrompt)', none for a model that does not have its characters.
            """)
    var prompt: String?
    @Option(parsing: .unconditional, help: "Characters to write for Figures 4 and 5, 2 to 10,000.")
    var length: Int = 396
    @Option(parsing: .unconditional, help: "Seed of the draws.")
    var seed: UInt64 = 0
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    /// Characters of the passage over which d_h is shown.
    static let passage = 96
    /// Characters that a model can be looked into for: the states of all stay in memory, and a change takes two.
    static let lengths = 2...10_000

    func validate() throws { try require("--length", length, in: Self.lengths) }

    func run() throws {
        let locations = try modelLocations(models, of: CharacterExperiment.self)
        try threads.configure()
        let folder = try FigureFolder(figures, experiment: CharacterExperiment.program, isWhole: models.isEmpty)
        var traces: [(name: String, trace: CharacterTrace)] = []
        for (name, url) in locations {
            let trained = try TrainedCharacterModel(try Checkpoint(at: url)), name = shortName(name)
            noteConverted(name, from: trained.convertedType)
            let trace = try trained.trace(
                prompt: prompt ?? trained.defaultPrompt, length: length, temperature: 1, seed: seed
            ).trace
            guard !trace.cellOutputs.isEmpty else {
                note("\(name): nothing to draw, for its first layer has no cell state c")
                continue
            }
            traces.append((name, trace))
            if let figure = trace.figure4(name: name) {
                try folder.write("figure-4-gate-changes-\(name)", figure.svg)
            }
            if let figure = trace.prefix(Self.passage).weightScaling(name: name) {
                try folder.write("weight-scaling-\(name)", figure)
            }
        }
        if !traces.isEmpty { try folder.write("figure-5-cell-outputs", CharacterTrace.figure5(traces).svg) }
        try folder.finish()
    }
}

extension TrainedCharacterModel {
    /// What pictures begin with. Without a prompt the first character is drawn evenly from the vocabulary, and after a
    /// rare one models without layer normalization write no words: docs/shortfalls.md.
    static let defaultPrompt = "the "

    /// `defaultPrompt`, or nothing for a model that does not have its characters.
    var defaultPrompt: String { (try? vocabulary.encode(prompt: Self.defaultPrompt)) == nil ? "" : Self.defaultPrompt }

    /// Lets the model write and looks into its first layer while it does.
    ///
    /// - Returns: The written bytes, as of `sample`, and what was seen.
    func trace(
        prompt: String, length: Int, temperature: Double, seed: UInt64
    ) throws -> (text: [UInt8], trace: CharacterTrace) {
        var trace = CharacterTrace(of: model)
        let text = try sample(prompt: prompt, length: length, temperature: temperature, seed: seed) { byte, state in
            trace.record(String(decoding: [byte], as: UTF8.self), state)
        }
        return (text, trace)
    }
}

/// What the weights of a HyperLSTM do while it writes, as `figures` draws it.
enum CharacterModelPictures: CheckpointPictures {
    typealias Work = CharacterExperiment

    static func pictures(of checkpoint: Checkpoint, name: String) throws -> [CheckpointPicture] {
        let trained = try TrainedCharacterModel(checkpoint)
        let trace = try trained.trace(
            prompt: trained.defaultPrompt, length: FiguresCommand.passage, temperature: 1, seed: 0
        ).trace
        guard let changes = trace.figure4(name: name), let scaling = trace.weightScaling(name: name) else { return [] }
        return [CheckpointPicture("gateChanges", svg: changes.svg), CheckpointPicture("weightScaling", scaling)]
    }
}
