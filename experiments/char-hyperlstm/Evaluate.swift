import ArgumentParser
import Datasets
import ExperimentCommands
import ExperimentKit
import Foundation

struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a split with a checkpoint and print its loss in nats and bits per character.",
        discussion: """
            CHECKPOINT is a run's folder (its best checkpoint is taken), a folder checkpoints/step-…, or a name of
            committed weights, such as layer-norm-hyperlstm.
            With --streams 1, the default, the split is one sequence, as in the paper.
            """)

    @Argument(help: "A run's folder, a checkpoint's, or a name of committed weights.")
    var checkpoint: String
    @Option(help: "train, validation or test.")
    var split: CorpusSplit = .test
    @Option(help: "Parallel streams that the split is read as; more are faster and a little worse.")
    var streams: Int = 1
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions

    func validate() throws {
        if streams < 1 { throw ValidationError("--streams expects a whole number of at least 1, found \(streams)") }
    }

    func run() throws {
        let checkpoint = try Checkpoint(
            at: try modelLocation(checkpoint, experiment: CharacterWork.experiment))
        let configuration = try CharacterConfiguration(try checkpoint.configuration())
        let corpus = try data.corpus(configuration.corpus)
        try threads.configure()
        catchSignals()
        let trained = try TrainedCharacterModel(checkpoint)
        guard trained.vocabulary == corpus.vocabulary else {
            throw CheckpointError.otherData(
                what: "the vocabulary", expected: trained.vocabulary.description, found: corpus.vocabulary.description)
        }
        let evaluator = CharacterEvaluator(
            sequenceLength: configuration.training.sequenceLength, interruption: interruption,
            progress: progress("evaluate", unit: .characters))
        do {
            let result = try evaluator.evaluate(
                trained.model, symbols: corpus[split], streams: streams, name: split.rawValue)
            let reading = streams == 1 ? "one sequence" : "\(streams) streams"
            try writeResult(
                "\(corpus.displayName), \(split.rawValue): \(fixed(result.bits, 4)) bits per character,"
                    + " \(fixed(result.lossNats, 4)) nats, \(grouped(result.predictions)) characters as \(reading)")
        } catch let interrupted as Interrupted {
            throw ExitCode(128 + interrupted.signal)
        }
    }
}

extension CorpusSplit: ExpressibleByArgument {}
