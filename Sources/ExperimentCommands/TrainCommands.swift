import ArgumentParser
import ExperimentKit
import Foundation

/// `train`: one configuration, one run for each of its seeds.
public struct Train<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "train",
            abstract: "Train one configuration and report its validation and test figures.",
            discussion: """
                CONFIG is a path or a name from `\(Work.program) list`. Any key can be set anew:

                  \(Work.program) train CONFIG --set training.steps=1000 --seed 0

                The record then lists what differs from the row's full settings, and RESULTS.md gives such a run no verdict \
                against the paper's number. With --name it has a folder and a line in tables of its own:

                  \(Work.program) train CONFIG --set training.batch=64 --name batch-64
                """)
    }

    @Argument(help: "A configuration: a YAML file, or a name from `list`.", completion: .configurations(of: Work.self))
    var config: String
    @OptionGroup var data: DataOptions
    @Option(name: .customLong("set"), help: "key.path=value, may be repeated.")
    var overrides: [String] = []
    @Option(help: "What to call the run, its folder and its record. Default: the configuration's name.")
    var name: String?
    @Option(parsing: .unconditional, help: "Train this seed only. Default: every seed of the configuration.")
    var seed: Int?
    @Flag(help: "Keep a run that is finished and resume one that is not, in place of refusing its folder.")
    var orResume = false
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var out: OutOptions
    @OptionGroup var project: ProjectOption

    public init() {}

    public func validate() throws {
        try require("--seed", seed, in: 0...StableJSON.greatestInteger)
        if let name, name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) == nil {
            throw ValidationError(
                "--name expects letters, digits, '.', '_' and '-', the first a letter or digit, found '\(name)'")
        }
    }

    public func run() throws {
        try threads.set()
        try together(on: Work.self, data: data) { processes in
            let configuration = try namedConfiguration(config, of: Work.self, overrides: overrides, name: name)
            let opened = try data.open(configuration.values, of: Work.self)
            // Before that, when nothing is begun, a signal ends the process at once.
            catchSignals()
            threads.describe()
            let runs = Runs<Work>(
                processes: processes, options: data.arguments + threads.arguments + project.arguments)
            let seeds = seed.map { [$0] } ?? configuration.values.seeds
            // Before the first of them takes hours.
            if !orResume { try runs.requireFree(configuration, seeds: seeds, out: out.url) }
            let done = try seeds.map { seed in
                orResume
                    ? try runs.trainOrResume(configuration, seed: seed, data: opened, out: out.url)
                    : try runs.train(configuration, seed: seed, data: opened, out: out.url)
            }
            try writeResult(runTable(done.map { ($0.configuration, $0.record) }, of: Work.self))
        }
    }
}

/// `resume`: one run, from its latest checkpoint.
public struct Resume<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "resume",
            abstract: "Go on with a run that was stopped or killed, from its latest checkpoint.",
            discussion: """
                A run that ended because a number was not finite goes on from the last checkpoint that is, for example \
                with another rate:

                  \(Work.program) resume RUN --set training.learningRate=0.0005

                The record keeps the change among what differs from the row's full settings, and for each sitting.
                """)
    }

    @Argument(
        help: ArgumentHelp("The run's folder, OUT/CONFIG/SEED, or OUT/CONFIG with one seed.", valueName: "run"),
        completion: .runFolders)
    var runFolder: String
    @OptionGroup var data: DataOptions
    @Option(
        name: .customLong("set"),
        help: "training.learningRate=value or training.clipNorm=value from here on, may be repeated.")
    var overrides: [String] = []
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        try threads.set()
        try together(on: Work.self, data: data) { processes in
            let folder = try onlySeed(in: URL(fileURLWithPath: runFolder, isDirectory: true))
            let opened = try data.open(try TrainingRun<Work>.configuration(of: folder), of: Work.self)
            // Before that, when nothing is begun, a signal ends the process at once.
            catchSignals()
            threads.describe()
            let runs = Runs<Work>(
                processes: processes, options: data.arguments + threads.arguments + project.arguments)
            let run = try runs.resume(folder, overrides: overrides, data: opened)
            try writeResult(runTable([(run.configuration, run.record)], of: Work.self))
        }
    }
}
