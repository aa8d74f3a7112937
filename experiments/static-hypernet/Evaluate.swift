import ArgumentParser
import Datasets
import ExperimentCommands
import ExperimentKit
import Foundation

struct Evaluate: ParsableCommand {
    enum Split: String, ExpressibleByArgument, CaseIterable {
        case train, validation, test
    }

    static let configuration = CommandConfiguration(
        abstract: "Read a split with a checkpoint or a baked network and print its error and loss.",
        discussion: """
            MODEL is a run's folder (its best checkpoint is taken), a folder checkpoints/step-…, or a .safetensors file
            of weights, such as one that `bake` wrote; a file alone needs --config, which says what data to read.
            """)

    @Argument(help: "A run's folder, a checkpoint's, or a file of weights.")
    var model: String
    @Option(help: "train, validation or test.")
    var split: Split = .test
    @Option(help: "The configuration whose data to read. Default: the run's own.")
    var config: String?
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions

    func run() throws {
        let url = URL(fileURLWithPath: model)
        let configuration = try configuration(of: url)
        let dataset = try data.images(configuration.data)
        try threads.configure()
        catchSignals()
        let trained = try TrainedImageModel(at: url)
        let set = split == .train ? dataset.train : split == .validation ? dataset.validation : dataset.test
        guard trained.model.imageShape == [set.height, set.width, set.channels] else {
            throw CheckpointError.otherData(
                what: "the images of \(dataset.displayName)", expected: "\(trained.model.imageShape)",
                found: "\([set.height, set.width, set.channels])")
        }
        let evaluator = ImageEvaluator(interruption: interruption, progress: progress("evaluate", unit: .images))
        do {
            let result = try evaluator.evaluate(
                trained.model, set, normalisation: trained.normalisation, batch: configuration.evaluation.batch,
                name: split.rawValue)
            try writeResult(
                "\(dataset.displayName), \(split.rawValue): error \(fixed(result.errorPercent ?? .nan, 2)) %,"
                    + " loss \(fixed(result.lossNats, 4)) nats, \(grouped(result.predictions)) images,"
                    + " \(grouped(trained.model.parameterCount)) parameters, kernels"
                    + " \(trained.configuration.kernels.rawValue)")
        } catch let interrupted as Interrupted {
            throw ExitCode(128 + interrupted.signal)
        }
    }

    /// The run's own configuration, or the one that was named.
    private func configuration(of url: URL) throws -> ImageConfiguration {
        if let config {
            return try ImageConfiguration(try configurationFile(config, experiment: ImageWork.experiment).root)
        }
        guard url.pathExtension != "safetensors" else {
            throw UserError(description: "\(url.path): a file of weights does not say what data to read; give --config")
        }
        return try ImageConfiguration(try Checkpoint(at: url).configuration())
    }
}
