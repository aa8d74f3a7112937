import ArgumentParser
import Datasets
import ExperimentCommands
import ExperimentKit
import Foundation

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train one configuration and report its validation and test figures.",
        discussion: """
            CONFIG is a path or a name from `char-hyperlstm list`. Any key can be set anew:

              char-hyperlstm train table3-lstm --set training.steps=1000 --set model.units=512

            The record then lists what differs from the paper's settings, and RESULTS.md gives such a run no verdict
            against the paper's number.
            """)

    @Argument(help: "A configuration: a YAML file, or a name from `list`.")
    var config: String
    @OptionGroup var data: DataOptions
    @Option(name: .customLong("set"), help: "key.path=value, may be repeated.")
    var overrides: [String] = []
    @Option(help: "Train this seed only. Default: every seed of the configuration.")
    var seed: Int?
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var out: OutOptions

    func validate() throws {
        if let seed, seed < 0 { throw ValidationError("--seed expects a whole number of at least 0, found \(seed)") }
    }

    func run() throws {
        let file = try configurationFile(config, experiment: CharacterWork.experiment, overrides: overrides)
        let decoded = try CharacterConfiguration(file.root)
        let corpus = try data.corpus(decoded.corpus)
        try threads.configure()
        catchSignals()
        var runs: [CharacterRun] = []
        for seed in seed.map({ [$0] }) ?? decoded.training.seeds {
            runs.append(try characterRuns.train(file, seed: seed, data: corpus, out: out.url))
        }
        try writeResult(RunTable(runs).text)
    }
}

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Go on with a run that was stopped or killed, from its latest checkpoint.")

    @Argument(help: ArgumentHelp("The run's folder, OUT/CONFIG/SEED.", valueName: "run"))
    var runFolder: String
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions

    func run() throws {
        let folder = URL(fileURLWithPath: runFolder, isDirectory: true)
        let configuration = try CharacterRun.configuration(of: folder)
        let corpus = try data.corpus(configuration.corpus)
        try threads.configure()
        catchSignals()
        let resumed = try characterRuns.resume(folder, data: corpus)
        try writeResult(RunTable([resumed]).text)
    }
}
