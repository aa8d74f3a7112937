import ArgumentParser
import Compute
import Datasets
import ExperimentKit
import Foundation

/// `--project`, shared by all commands: which checkout the program belongs to, for a program that lies elsewhere.
public struct ProjectOption: ParsableArguments {
    @Option(
        name: .customLong("project"),
        help: ArgumentHelp(
            "The checkout with the configurations, records and samples. Default: $\(ProjectFolder.variable), else from the working directory and from the program upward.",
            valueName: "dir"), completion: .directory)
    var folder: String?

    public init() {}

    /// The option for another call.
    var arguments: [String] { folder.map { ["--project", absolutePath($0)] } ?? [] }

    /// Sets the variable that says the same, for this process and those that it starts.
    ///
    /// - Throws: `ValidationError`; `UserError` where the variable was set before and names no checkout: no other
    ///   folder is taken in its place.
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

    /// The option for another call; an empty one counts as not given.
    var arguments: [String] {
        guard let dataFolder, !dataFolder.isEmpty else { return [] }
        return ["--data", absolutePath(dataFolder)]
    }

    /// The folder chosen; the default is the checkout's, wherever the command is called.
    public var folder: DataFolder {
        let chosen = DataFolder.resolve(option: dataFolder)
        guard let project = ProjectFolder.locate() else { return chosen }
        let isHere = project.url.standardizedFileURL.path == FileManager.default.currentDirectoryPath
        return DataFolder(
            path: chosen.origin == .standard ? project.data.path : chosen.path, origin: chosen.origin,
            checkout: isHere ? nil : project.url.standardizedFileURL.path)
    }
}

/// `--threads`, shared by the commands that compute.
public struct ThreadOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Threads to compute with. Default: OPENBLAS_NUM_THREADS, else the least of the physical cores, the process's affinity, its share of the cores among processes started together, its control group's quota, SLURM_CPUS_PER_TASK and OMP_NUM_THREADS."
        ))
    public var threads: Int?

    public init() {}

    public func validate() throws { try require("--threads", threads, in: 1...ThreadChoice.most) }

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
struct OutOptions: ParsableArguments {
    @Option(
        name: .customLong("out"),
        help: "The folder that gets CONFIG/SEED/. Default: runs/ in the checkout, which git ignores.")
    var outFolder: String?

    init() {}

    /// A script's variable that is not set is no folder.
    func validate() throws {
        guard outFolder != "" else { throw ValidationError("--out expects a folder, found nothing") }
    }

    var url: URL {
        if let outFolder { return URL(fileURLWithPath: outFolder, isDirectory: true) }
        return ProjectFolder.locate()?.runs ?? URL(fileURLWithPath: "runs", isDirectory: true)
    }
}

// MARK: - Ranges

/// Checks that the value of an option lies in a range; nil passes.
///
/// - Throws: `ValidationError`.
public func require(_ option: String, _ value: Int?, in range: ClosedRange<Int>) throws {
    guard let value, !range.contains(value) else { return }
    let bounds = "from \(grouped(range.lowerBound)) to \(grouped(range.upperBound))"
    throw ValidationError("\(option) expects a whole number \(bounds), found \(value)")
}

/// The same for a range without an upper end.
public func require(_ option: String, _ value: Int?, in range: PartialRangeFrom<Int>) throws {
    guard let value, !range.contains(value) else { return }
    throw ValidationError("\(option) expects a whole number of at least \(range.lowerBound), found \(value)")
}
