import ArgumentParser
import Datasets
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
        let file = try configurationFile(config, overrides: overrides)
        let decoded = try CharacterConfiguration(file.root)
        let corpus = try data.corpus(decoded.corpus)
        try threads.configure()
        catchSignals()
        var runs: [CharacterRun] = []
        for seed in seed.map({ [$0] }) ?? decoded.training.seeds {
            runs.append(try trainToEnd(file, seed: seed, corpus: corpus, out: out.url))
        }
        print(RunTable(runs).text)
    }
}

/// Begins a run and brings it to its end.
func trainToEnd(_ file: ConfigurationFile, seed: Int, corpus: CharacterCorpus, out: URL) throws -> CharacterRun {
    let run = try CharacterRun(
        beginning: file, seed: seed, corpus: corpus, out: out, code: .current(in: ProjectFolder.locate()?.url),
        progress: progress("\(file.name) seed \(seed)"), interruption: interruption)
    note("\(file.name), seed \(seed): \(grouped(run.record.parameterCount)) parameters, \(corpus.displayName)")
    for line in corpus.source.notes { note("note: \(line)") }
    for difference in run.record.differences {
        note("  differs from its base: \(difference.key) \(difference.base) → \(difference.value)")
    }
    note("  in \(run.folder.path)")
    try finish(run)
    return run
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
        let resumed = try resumeToEnd(folder, corpus: corpus)
        print(RunTable([resumed]).text)
    }
}

/// Brings a run in a folder to its end.
func resumeToEnd(_ folder: URL, corpus: CharacterCorpus) throws -> CharacterRun {
    let label = "\(folder.deletingLastPathComponent().lastPathComponent) seed \(folder.lastPathComponent)"
    let run = try CharacterRun(
        resuming: folder, corpus: corpus, progress: progress(label), interruption: interruption)
    if run.record.environments.last?.threads != nil,
        run.record.environments.last?.threads != RunRecord.Environment.current.threads
    {
        note("note: another number of threads than before; the run goes on, but not bit by bit as it would have")
    }
    try finish(run)
    return run
}
