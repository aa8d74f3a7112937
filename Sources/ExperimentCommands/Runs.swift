import ArgumentParser
import Datasets
import ExperimentKit
import Foundation
import Processes

/// Brings runs of one experiment to their end, from the beginning or from where they stopped, and says what it does.
struct Runs<Work: Experiment> {
    typealias Run = TrainingRun<Work>

    /// Those that share the work of a step.
    var processes: any ProcessGroup = OneProcess()
    /// Options of this call that one that goes on with a run is to be given too.
    var options: [String] = []

    /// Begins a run and brings it to its end.
    func train(
        _ configuration: NamedConfiguration<Work.Configuration>, seed: Int, data: Work.Data, out: URL
    ) throws -> Run {
        let name = configuration.name
        let run = try Run(
            beginning: configuration, seed: seed, data: data, out: out,
            code: .current,
            progress: progress("\(name) seed \(seed)", of: Work.self), interruption: interruption,
            processes: processes.count)
        note("\(name), seed \(seed): \(grouped(run.record.parameterCount)) parameters, \(run.record.data.displayName)")
        for line in run.record.data.notes { note("note: \(line)") }
        for difference in run.record.differences.bySection {
            note("  differs from its base: \(difference.key) \(difference.base) → \(difference.value)")
        }
        note("  in \(run.folder.path)")
        try finish(run)
        return run
    }

    /// Checks that the folders of a configuration's runs are free for new runs.
    ///
    /// - Throws: `RecordError`; `.busy` where another process works on a run that is there.
    func requireFree(
        _ configuration: NamedConfiguration<Work.Configuration>, seeds: [Int], out: URL
    ) throws {
        for seed in seeds {
            let folder = RunFolder(url: RunFolder.url(of: configuration.name, seed: seed, in: out))
            try folder.requireNobodyAtWork()
            try folder.requireFree(experiment: Work.program)
        }
    }

    /// Brings a run in a folder to its end.
    ///
    /// - Parameter overrides: What changes from here on.
    func resume(_ folder: URL, overrides: [String] = [], data: Work.Data) throws -> Run {
        // As the record says it: the folder may have been given another name.
        let begun = try RunRecord(contentsOf: RunFolder(url: folder).record)
        let label = "\(begun.configuration) seed \(begun.seed)"
        let run = try Run(
            resuming: folder, overrides: overrides, data: data, progress: progress(label, of: Work.self),
            interruption: interruption, processes: processes.count)
        if run.record.status == .finished {
            note("\(label): finished already, in \(folder.path)")
            return run
        }
        try finish(run)
        return run
    }

    /// Keeps a run that is finished, resumes one that is not, begins one that is not there.
    ///
    /// - Throws: `UserError` if the folder holds a run of another version of the file.
    func trainOrResume(
        _ configuration: NamedConfiguration<Work.Configuration>, seed: Int, data: Work.Data, out: URL
    ) throws -> Run {
        let folder = RunFolder.url(of: configuration.name, seed: seed, in: out)
        guard RunFolder(url: folder).holdsRecord else {
            return try train(configuration, seed: seed, data: data, out: out)
        }
        try Self.require(configuration, seed: seed, in: folder)
        return try resume(folder, data: data)
    }

    /// Checks that the run in a folder is of this configuration, and not of another version of its file, and of this
    /// seed: somebody may have copied or renamed the folder.
    ///
    /// - Throws: `UserError`; `RecordError` where it is no whole run.
    static func require(_ configuration: NamedConfiguration<Work.Configuration>, seed: Int, in folder: URL) throws {
        let keys = try Run.differences(of: folder, from: configuration.file)
        guard keys.isEmpty else {
            throw UserError(
                description:
                    "\(folder.path) holds a run of another version of \(configuration.name), with other values of"
                    + " \(keys.joined(separator: ", ")): remove it, or give --out or --name")
        }
        let found = try RunRecord(contentsOf: RunFolder(url: folder).record).seed
        guard found == seed else {
            throw UserError(
                description:
                    "\(folder.path) holds a run of seed \(found), expected seed \(seed), as the folder is called: rename it"
                    + " to its own seed, or remove it")
        }
    }

    /// Runs to the end, or stops with 128 + signal and the command that goes on.
    private func finish(_ run: Run) throws {
        switch try run.run(with: processes) {
        case .finished: break
        case .interrupted(let signal):
            note("go on with:\n  \(shellCommand(Work.program, "resume", run.folder.path, options: options))")
            throw ExitCode(128 + signal)
        }
    }
}

extension DataOptions {
    /// Refuses a folder on the command line that is none: without it a sample would be read from the checkout in
    /// silence.
    private func require(_ folder: DataFolder) throws {
        guard folder.origin == .option else { return }
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder)
        guard !isFolder.boolValue else { return }
        throw UserError(
            description: "--data expects a folder that holds the data sets, see data/README.md; \(folder.path) is "
                + (exists ? "a file" : "not there"))
    }

    /// Opens a configuration's data. The generated samples are part of the checkout and are found there whatever the
    /// data folder is.
    public func open<Work: Experiment>(_ configuration: Work.Configuration, of experiment: Work.Type) throws
        -> Work.Data
    {
        let folder = folder
        try require(folder)
        do {
            return try Work.open(configuration, in: folder)
        } catch let error as DatasetError where error.isMissing {
            let isSample = Work.datasetGroups.contains { $0.sampleDataNames.contains(configuration.dataName) }
            guard isSample, let project = ProjectFolder.locate() else { throw error }
            return try Work.open(configuration, in: DataFolder(path: project.data.path, origin: .standard))
        }
    }
}

extension DatasetError {
    /// Whether there is no such data, rather than damaged data.
    var isMissing: Bool { if case .missing = self { true } else { false } }
}

/// A configuration by path, or by its name in the experiment's `configs`, decoded.
///
/// - Throws: `ConfigurationError`; `UserError` for a configuration of another program.
func namedConfiguration<Work: Experiment>(
    _ configuration: String, of experiment: Work.Type, overrides: [String] = [], name: String? = nil
) throws -> NamedConfiguration<Work.Configuration> {
    // A file needs no checkout.
    var isFolder: ObjCBool = false
    let isFile = FileManager.default.fileExists(atPath: configuration, isDirectory: &isFolder) && !isFolder.boolValue
    let url: URL
    if isFile {
        url = URL(fileURLWithPath: configuration)
    } else {
        do {
            url = try ConfigurationFile.locate(configuration, in: try configurationFolder(of: experiment))
        } catch let error as ConfigurationError {
            try requireNoneOfOthers(configuration, than: Work.program)
            throw error
        }
    }
    let file = try ConfigurationFile(contentsOf: url, overrides: overrides, name: name)
    if let program = file.header.command?.split(separator: " ").first.map(String.init),
        otherPrograms(than: Work.program).contains(where: { $0.lastPathComponent == program })
    {
        throw UserError(description: "\(url.path): a configuration of \(program), expected one of \(Work.program)")
    }
    return try NamedConfiguration(file)
}

/// Checks that no other program has a configuration of a name.
///
/// - Throws: `UserError`.
private func requireNoneOfOthers(_ name: String, than program: String) throws {
    for folder in otherPrograms(than: program)
    where (try? ConfigurationFile.locate(name, in: folder.appendingPathComponent("configs"))) != nil {
        throw UserError(
            description: "'\(name)' is a configuration of \(folder.lastPathComponent), expected one of \(program)")
    }
}

/// The folders of the checkout's other experiments that have configurations.
private func otherPrograms(than program: String) -> [URL] {
    guard let own = ProjectFolder.locate()?.experiment(program) else { return [] }
    return Files.readableFolders(in: own.deletingLastPathComponent()).filter { folder in
        folder.lastPathComponent != program
            && Files.readableFolders(in: folder).contains { $0.lastPathComponent == "configs" }
    }
}

/// The folder of an experiment's committed configurations.
func configurationFolder<Work: Experiment>(of experiment: Work.Type) throws -> URL {
    try experimentFolder(Work.program).appendingPathComponent("configs")
}

/// The table that a command prints when its runs are done: our figures, and the paper's beside them.
func runTable<Work: Experiment>(_ runs: [(configuration: Work.Configuration, record: RunRecord)], of: Work.Type)
    -> String
{
    "\n" + RunTable<Work>(runs).text(width: terminalWidth(of: STDOUT_FILENO))
}
