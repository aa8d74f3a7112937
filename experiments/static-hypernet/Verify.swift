import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation
import ImageExperiments

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read the test split with every committed set of weights and compare with the records.",
        discussion: """
            Takes seconds for each network. Fails if a figure differs from its record by more than rounding: five images \
            of 10,000 whose two best classes have nearly the same score may change sides; or if weights cannot be read.
            """)

    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    func run() throws {
        try verifyCommittedWeights(of: ImageExperiment.self, data: data, threads: threads, tolerance: 0.05 + 1e-9) {
            kept, _ in
            try read(kept)
        }
    }

    private func read(_ kept: CommittedRun) throws -> VerifiedReading {
        let configuration = try ImageConfiguration(try Checkpoint(at: kept.folder).configuration())
        let dataset = try data.open(configuration, of: ImageExperiment.self)
        let trained = try TrainedImageModel(at: kept.folder)
        noteConverted(kept.name, from: trained.convertedType)
        let evaluator = ImageEvaluator(
            interruption: interruption, progress: progress(kept.name, of: ImageExperiment.self))
        let result = try evaluator.evaluate(
            trained.model, dataset.test, normalization: trained.normalization, batch: configuration.evaluation.batch,
            name: "test")
        return .read(result.errorPercent ?? .nan)
    }
}
