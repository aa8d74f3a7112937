import ArgumentParser
import CharacterExperiments
import ExperimentCommands
import ExperimentKit
import Foundation

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read the test split with every committed set of weights and compare with the records.",
        discussion: """
            Fails if a figure differs from its record by more than 0.0002 bits per character (another order of sums and \
            half precision change less), or if weights cannot be read. A split read as one sequence takes a minute or \
            two for a large model on two free cores: the time is said first, and --characters reads the beginning \
            alone, which says that the weights work, no more.
            """)

    @Option(
        parsing: .unconditional,
        help: "Read this many characters of each split at most, or two of each stream where these are more.")
    var characters: Int?
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    func validate() throws { try require("--characters", characters, in: 2...) }

    func run() throws {
        try verifyCommittedWeights(of: CharacterExperiment.self, data: data, threads: threads, tolerance: 2e-4) {
            kept, recorded in
            try read(kept, streams: recorded.streams)
        }
    }

    private func read(_ kept: CommittedRun, streams: Int) throws -> VerifiedReading {
        let checkpoint = try Checkpoint(at: kept.folder)
        let configuration = try CharacterConfiguration(try checkpoint.configuration())
        let corpus = try data.open(configuration, of: CharacterExperiment.self)
        let trained = try TrainedCharacterModel(checkpoint)
        noteConverted(kept.name, from: trained.convertedType)
        guard trained.vocabulary == corpus.vocabulary else {
            throw CheckpointError.otherData(
                what: "the vocabulary", expected: trained.vocabulary.description, found: corpus.vocabulary.description)
        }
        let evaluator = CharacterEvaluator(
            sequenceLength: configuration.training.sequenceLength, interruption: interruption,
            progress: progress(kept.name, of: CharacterExperiment.self))
        func evaluate(_ symbols: some Sequence<UInt8>) throws -> SplitEvaluation {
            try evaluator.evaluate(trained.model, symbols: Array(symbols), streams: streams, name: "test")
        }
        // The time of the whole from that of its first part, which is long enough for every stream to have a step or
        // two.
        let part = min(corpus.test.count, 10 * streams + 2000)
        let first = try evaluate(corpus.test.prefix(part))
        let wanted = min(max(characters ?? corpus.test.count, 2 * streams), corpus.test.count)
        let seconds = first.seconds / Double(part) * Double(wanted)
        note("\(kept.name): \(grouped(wanted)) characters, about \(durationText(seconds: seconds))")
        let result = try evaluate(corpus.test.prefix(wanted))
        return wanted == corpus.test.count
            ? .read(result.bits) : .readPart(result.bits, of: "the first \(grouped(wanted)) characters")
    }
}
