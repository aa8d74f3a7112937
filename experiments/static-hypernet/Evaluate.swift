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
            MODEL is a run's folder (its best checkpoint is taken), a folder checkpoints/step-…, a name of committed
            weights, such as hyper-wide-resnet-40-1, or a .safetensors file of weights, such as one that `bake` wrote.
            """)

    @Argument(help: "A run's folder, a checkpoint's, a name of committed weights, or a file of weights.")
    var model: String
    @Option(help: "train, validation or test.")
    var split: Split = .test
    @Option(help: "The configuration whose data to read. Default: the run's own.")
    var config: String?
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions

    func run() throws {
        let url = try modelLocation(model, experiment: ImageWork.experiment)
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
        if url.pathExtension == "safetensors" { return try configuration(ofWeights: url) }
        return try ImageConfiguration(try Checkpoint(at: url).configuration())
    }

    /// A file of weights names the data that it was trained on; the committed configurations know how to read it.
    private func configuration(ofWeights url: URL) throws -> ImageConfiguration {
        let dataset = try TrainedImageModel(at: url).dataset
        let configs = try experimentFolder(ImageWork.experiment).appendingPathComponent("configs")
        for file in ConfigurationFile.all(in: configs) {
            let decoded = try ImageConfiguration(try ConfigurationFile(contentsOf: file).root)
            let name = decoded.data.dataset.rawValue
            // An unofficial archive has a name that begins with the official one's.
            if dataset == name || dataset?.hasPrefix("\(name)-") == true { return decoded }
        }
        throw UserError(
            description:
                "\(url.path): says that it was trained on '\(dataset ?? "nothing")', and no configuration reads"
                + " that; give --config")
    }
}
