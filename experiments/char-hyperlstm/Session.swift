import ArgumentParser
import Compute
import Datasets
import ExperimentKit
import Foundation

/// An error that the user can act on, in one line.
struct UserError: Error, CustomStringConvertible {
    let description: String
}

/// `--data`, shared by the commands that read a corpus.
struct DataOptions: ParsableArguments {
    @Option(
        name: .customLong("data"),
        help: "The data folder (ptb/ptb.train.txt.gz …). Default: $HYPERNETWORKS_DATA, else data/.")
    var dataFolder: String?

    /// The folder chosen; the default is the checkout's, wherever the command is called.
    var folder: DataFolder {
        let chosen = DataFolder.resolve(option: dataFolder)
        guard chosen.origin == .standard, let project = ProjectFolder.locate() else { return chosen }
        return DataFolder(path: project.data.path, origin: .standard)
    }

    /// Opens a corpus. The sample is part of the checkout and is found there whatever the data folder is.
    func corpus(_ name: CorpusName) throws -> CharacterCorpus {
        if name == .sample, let project = ProjectFolder.locate() {
            do {
                return try CharacterCorpus.open(.sample, dataFolder: folder)
            } catch DatasetError.missing {
                return try CharacterCorpus.open(
                    .sample, dataFolder: DataFolder(path: project.data.path, origin: .standard))
            }
        }
        return try CharacterCorpus.open(name, dataFolder: folder)
    }
}

/// `--threads`, shared by the commands that compute.
struct ThreadOptions: ParsableArguments {
    @Option(help: "Threads to compute with, at least 1. Default: the physical cores.")
    var threads: Int?

    func validate() throws {
        if let threads, threads < 1 {
            throw ValidationError("--threads expects a whole number of at least 1, found \(threads)")
        }
    }

    /// Sets the threads up and says what computes.
    func configure() throws {
        try ComputeEnvironment.configure(threads: threads)
        note("\(ComputeEnvironment.blasDescription); \(ComputeEnvironment.simdName); \(ComputeEnvironment.threads) threads")
        for warning in ComputeEnvironment.warnings { note("warning: \(warning)") }
    }
}

/// `--out`, shared by the commands that write runs.
struct OutOptions: ParsableArguments {
    @Option(
        name: .customLong("out"),
        help: "The folder that gets CONFIG/SEED/. Default: runs/ in the checkout, which git ignores.")
    var outFolder: String?

    var url: URL {
        if let outFolder { return URL(fileURLWithPath: outFolder, isDirectory: true) }
        return ProjectFolder.locate()?.runs ?? URL(fileURLWithPath: "runs", isDirectory: true)
    }
}

/// The experiment's own folder in the checkout.
///
/// - Throws: `UserError` outside a checkout.
func experimentFolder() throws -> URL {
    guard let project = ProjectFolder.locate() else {
        throw UserError(
            description: "no checkout of the project around the working directory: Package.swift and experiments/ are"
                + " looked for from there upwards")
    }
    return project.experiment("char-hyperlstm")
}

/// A configuration by path, or by its name in `experiments/char-hyperlstm/configs`.
func configurationFile(_ name: String, overrides: [String] = []) throws -> ConfigurationFile {
    if FileManager.default.fileExists(atPath: name), name.hasSuffix(".yaml") {
        return try ConfigurationFile(contentsOf: URL(fileURLWithPath: name), overrides: overrides)
    }
    let configs = try experimentFolder().appendingPathComponent("configs")
    return try ConfigurationFile(
        contentsOf: try ConfigurationFile.locate(name, in: configs), overrides: overrides)
}

// MARK: - What a person sees

/// A line on stderr: stdout is kept for results, so that they can be piped.
func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

func progress(_ label: String) -> TextProgress {
    TextProgress(label: label, isTerminal: isatty(STDERR_FILENO) != 0) { text in
        FileHandle.standardError.write(Data(text.utf8))
    }
}

// MARK: - Stopping

/// Set by Ctrl-C and SIGTERM. Global because a C signal handler can reach nothing else.
let interruption = Interruption()

/// The first signal asks for a checkpoint and a stop, the second kills as usual.
func catchSignals() {
    for caught in [SIGINT, SIGTERM] {
        signal(caught) { number in
            interruption.request(signal: number)
            signal(number, SIG_DFL)
        }
    }
}

/// Runs to the end, or stops with 128 + signal and the command that goes on.
func finish(_ run: CharacterRun) throws {
    switch try run.run() {
    case .finished: break
    case .interrupted(let signal):
        note("stopped with a checkpoint; go on with:\n  char-hyperlstm resume \(run.folder.path)")
        throw ExitCode(128 + signal)
    }
}
