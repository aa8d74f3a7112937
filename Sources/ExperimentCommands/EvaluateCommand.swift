import ArgumentParser
import Datasets
import ExperimentKit
import Foundation

/// Options of one experiment's `evaluate` that say how a split is read.
public protocol EvaluationOptions: ParsableArguments {
    associatedtype Work: Experiment

    /// Puts the options into the configuration that the split is read by.
    func apply(to configuration: inout Work.Configuration)
}

/// For experiments whose configurations say all about it.
public struct NoEvaluationOptions<Work: Experiment>: EvaluationOptions {
    public init() {}
    public func apply(to configuration: inout Work.Configuration) {}
}

/// `evaluate`: one split, with trained weights.
public struct Evaluate<Options: EvaluationOptions>: ParsableCommand {
    public typealias Work = Options.Work

    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "evaluate",
            abstract: "Evaluate trained weights on a split and print the figure.",
            discussion: """
                MODEL is a run's folder (its best checkpoint is taken), a folder checkpoints/step-…, a name of committed \
                weights, or a .safetensors file of weights.
                """)
    }

    @Argument(
        help: "A run's folder, a checkpoint's, a name of committed weights, or a file of weights.",
        completion: .models(of: Work.program))
    var model: String
    @Option(help: "train, validation or test.")
    var split: DataSplit = .test
    @Option(
        help: "The configuration whose data to read. Default: the run's own.",
        completion: .configurations(of: Work.self))
    var config: String?
    @Flag(help: "Print one JSON document.")
    var json = false
    @OptionGroup var options: Options
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let url = try modelLocation(model, of: Work.self)
        var configuration = try configuration(of: url)
        options.apply(to: &configuration)
        let opened = try data.open(configuration, of: Work.self)
        let description = Work.describe(opened, configuration)
        noteOtherData(than: url, description)
        try threads.configure()
        catchSignals()
        do {
            let evaluation = try Work.evaluate(
                url, split: split, configuration: configuration, data: opened,
                progress: progress("evaluate", of: Work.self), interruption: interruption)
            let result = evaluation.result
            if let name = result.notFinite {
                throw UserError(
                    description: "\(url.path): the \(name) of the \(split.rawValue) split is not finite:"
                        + " a weight is not, or it is far too large")
            }
            guard !json else { return try writeResult(try document(evaluation, description)) }
            try writeResult(
                "\(description.displayName), \(split.rawValue): \(Work.metric.text(result)),"
                    + " loss \(fixed(result.lossNats, 4)) nats, \(Work.reading(result)), \(evaluation.model)")
        } catch let interrupted as Interrupted {
            throw ExitCode(128 + interrupted.signal)
        }
    }

    private func document(_ evaluation: TrainedEvaluation, _ data: DataDescription) throws -> JSONValue {
        let value = Work.metric.value(evaluation.result)
        return .object([
            "weights": .text(model), "model": .text(evaluation.model), "data": .text(data.name),
            "officialData": .boolean(data.official), "split": .text(split.rawValue),
            "metric": .text(Work.metric.name), "value": .optional(value),
            "result": try JSONValue(encoding: evaluation.result),
        ])
    }

    /// Warns where the data here is not what the run was trained on: its train and validation splits may hold other
    /// images or characters than the run's.
    private func noteOtherData(than weights: URL, _ found: DataDescription) {
        let folder = weights.pathExtension == "safetensors" ? weights.deletingLastPathComponent() : weights
        guard split != .test, config == nil, let own = owningRun(of: folder)?.record.data,
            own.isOther(than: found)
        else { return }
        note(
            "warning: \(own.displayName) of the run and \(found.displayName) here differ in their content: the"
                + " \(split.rawValue) split may not be the run's")
    }

    /// The run's own configuration, or the one that was named.
    private func configuration(of url: URL) throws -> Work.Configuration {
        if let config { return try namedConfiguration(config, of: Work.self).values }
        if url.pathExtension == "safetensors" { return try configuration(ofWeights: url) }
        return try Work.Configuration(try Checkpoint(at: url).configuration())
    }

    /// A file of weights names the data that it was trained on. The run's configuration, where it lies beside the file,
    /// knows how to read it, else any committed one of this data.
    private func configuration(ofWeights url: URL) throws -> Work.Configuration {
        let name = try Work.dataName(ofWeights: url)
        func reads(_ configuration: Work.Configuration) -> Bool {
            name.map { DataDescription.isName($0, of: configuration.dataName) } ?? false
        }
        let own = url.deletingLastPathComponent().appendingPathComponent("config.yaml")
        if try Files.exists(own) {
            do {
                let values = try Work.Configuration(ConfigurationFile(contentsOf: own).root)
                if reads(values) { return values }
            } catch {
                note("warning: the configuration beside the weights is left out: \(error)")
            }
        }
        let all = try NamedConfiguration<Work.Configuration>.all(in: try configurationFolder(of: Work.self))
        guard let found = all.first(where: { reads($0.values) }) else {
            throw UserError(
                description:
                    name.map {
                        "\(url.path): says that it was trained on '\($0)', and no configuration reads that; give --config"
                    }
                    ?? "\(url.path): names no data that it was trained on: a file of another program than \(Work.program)?"
            )
        }
        // For images the configuration sets the validation split, so its section `data` has more keys than the data
        // set's name. The splits of a text are fixed.
        let isDividedByTheRun = found.file.root.leaves.count { $0.keyPath.hasPrefix("data.") } > 1
        if split != .test, isDividedByTheRun {
            note(
                "note: \(url.path) does not say how its run divided the data: the split of \(found.name) is used;"
                    + " --config names another")
        }
        return found.values
    }
}

extension DataSplit: ExpressibleByArgument {}
