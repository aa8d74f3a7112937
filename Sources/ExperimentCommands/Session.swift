import ArgumentParser
import Compute
import Datasets
import ExperimentKit
import Foundation

/// An error that the user can act on, in one line.
public struct UserError: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) { self.description = description }
}

/// `--project`, shared by all commands: which checkout the program belongs to, for a program that lies elsewhere.
public struct ProjectOption: ParsableArguments {
    @Option(
        name: .customLong("project"),
        help: ArgumentHelp(
            "The checkout with the configurations, records and samples. Default: $\(ProjectFolder.variable), else from the working directory and from the program upwards.",
            valueName: "dir"), completion: .directory)
    var folder: String?

    public init() {}

    /// The option for another call.
    var arguments: [String] { folder.map { ["--project", absolutePath($0)] } ?? [] }

    /// Sets the variable that says the same, for this process and those that it starts.
    ///
    /// - Throws: `ValidationError`; `UserError` where the variable was set before and names no checkout: no other folder is
    ///   taken in its place.
    public func validate() throws {
        let expected =
            "expects a checkout of the project, a folder with \(ProjectFolder.marks.joined(separator: ", "));"
        guard let folder else {
            let named = ProcessInfo.processInfo.environment[ProjectFolder.variable] ?? ""
            guard named.isEmpty || ProjectFolder.locate() != nil else {
                throw UserError(description: "\(ProjectFolder.variable) \(expected) found none at '\(named)'")
            }
            return
        }
        guard let project = ProjectFolder(at: URL(fileURLWithPath: folder, isDirectory: true)) else {
            throw ValidationError("--project \(expected) found none at '\(folder)'")
        }
        setenv(ProjectFolder.variable, absolutePath(project.url.path), 1)
    }
}

/// `--data`, shared by the commands that read data.
public struct DataOptions: ParsableArguments {
    @Option(
        name: .customLong("data"),
        help: "The data folder, see data/README.md. Default: $HYPERNETWORKS_DATA, else data/.")
    public var dataFolder: String?

    public init() {}

    /// The option for another call.
    var arguments: [String] { dataFolder.map { ["--data", absolutePath($0)] } ?? [] }

    /// The folder chosen; the default is the checkout's, wherever the command is called.
    public var folder: DataFolder {
        let chosen = DataFolder.resolve(option: dataFolder)
        guard chosen.origin == .standard, let project = ProjectFolder.locate() else { return chosen }
        return DataFolder(path: project.data.path, origin: .standard)
    }
}

/// `--threads`, shared by the commands that compute.
public struct ThreadOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Threads to compute with. Default: OPENBLAS_NUM_THREADS, else the least of the physical cores, the process's affinity, its share of the cores among processes started together, its control group's quota, SLURM_CPUS_PER_TASK and OMP_NUM_THREADS."
        ))
    public var threads: Int?

    public init() {}

    public func validate() throws {
        if let threads, !(1...ThreadChoice.most ~= threads) {
            throw ValidationError("--threads expects a whole number from 1 to \(ThreadChoice.most), found \(threads)")
        }
    }

    /// The option for another call.
    var arguments: [String] { threads.map { ["--threads", "\($0)"] } ?? [] }

    /// Sets the threads up and says what computes.
    public func configure() throws {
        try set()
        describe()
    }

    /// Sets the threads up.
    func set() throws { try ComputeEnvironment.configure(threads: threads) }

    /// Says what computes.
    func describe() {
        let choice = ComputeEnvironment.threadChoice
        note(
            "\(ComputeEnvironment.blasDescription); \(ComputeEnvironment.simdName); "
                + "\(choice.count) \(choice.count == 1 ? "thread" : "threads") (\(choice.reason))")
        for warning in ComputeEnvironment.warnings { note("warning: \(warning)") }
    }
}

/// A folder's path from the root, for a call from another working directory.
private func absolutePath(_ folder: String) -> String {
    URL(fileURLWithPath: folder, isDirectory: true).absoluteURL.path
}

/// `--out`, shared by the commands that write runs.
public struct OutOptions: ParsableArguments {
    @Option(
        name: .customLong("out"),
        help: "The folder that gets CONFIG/SEED/. Default: runs/ in the checkout, which git ignores.")
    public var outFolder: String?

    public init() {}

    public var url: URL {
        if let outFolder { return URL(fileURLWithPath: outFolder, isDirectory: true) }
        return ProjectFolder.locate()?.runs ?? URL(fileURLWithPath: "runs", isDirectory: true)
    }
}

/// An experiment's own folder in the checkout.
///
/// - Throws: `UserError` outside a checkout.
public func experimentFolder(_ experiment: String) throws -> URL { try projectFolder().experiment(experiment) }

/// The checkout.
///
/// - Throws: `UserError` outside of one.
public func projectFolder() throws -> ProjectFolder {
    if let project = ProjectFolder.locate() { return project }
    throw UserError(
        description: "no checkout of the project from the working directory and from the program upwards: name it with"
            + " --project DIR")
}

/// Refuses folders that the environment names in other bytes than UTF-8: as texts they would be other folders.
///
/// - Throws: `UserError`.
func requireReadableVariables() throws {
    for name in [ProjectFolder.variable, DataFolder.environmentVariable] {
        guard let value = getenv(name), String(validatingCString: value) == nil else { continue }
        throw UserError(
            description: "\(name), '\(String(cString: value))', is not UTF-8 text: rename the folder, or name it"
                + " through a symbolic link")
    }
}

// MARK: - What a person sees

public func progress(_ label: String, display: MetricDisplay) -> TextProgress {
    TextProgress(
        label: label, display: display, isTerminal: isatty(STDERR_FILENO) != 0,
        width: { terminalWidth(of: STDERR_FILENO) }, write: show)
}

// MARK: - Stopping

/// Set by the signals of `catchSignals()`. Global because a C signal handler can reach nothing else.
public let interruption = Interruption()

/// Stops with a checkpoint at the first signal that asks for an end: Ctrl-C, SIGTERM, a terminal or connection that is
/// gone (SIGHUP), and SIGUSR1 and SIGUSR2, with which schedulers announce that time is up. The second of the same kind
/// kills as usual; one of another kind asks for the same once more, since schedulers send several.
///
/// A signal that whoever started the program ignores stays ignored, as `nohup` wants it.
public func catchSignals() {
    // Made here, if it is not yet: a signal handler must not allocate memory.
    _ = interruption
    // Whoever started this process may have left them blocked, and a blocked signal is never heard.
    var caughtSignals = sigset_t()
    sigemptyset(&caughtSignals)
    for caught in [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2] {
        var inherited = sigaction()
        sigaction(caught, nil, &inherited)
        guard !isIgnored(inherited) else { continue }
        sigaddset(&caughtSignals, caught)
        signal(caught) { number in
            interruption.request(signal: number)
            signal(number, SIG_DFL)
        }
    }
    pthread_sigmask(SIG_UNBLOCK, &caughtSignals, nil)
}

private func isIgnored(_ action: sigaction) -> Bool {
    #if canImport(Darwin)
        let handler = action.__sigaction_u.__sa_handler
    #else
        let handler = action.__sigaction_handler.sa_handler
    #endif
    // Functions cannot be compared; SIG_IGN is the address 1.
    return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}
