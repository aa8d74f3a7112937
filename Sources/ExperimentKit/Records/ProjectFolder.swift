import Foundation

/// The checkout that holds configurations, committed records and RESULTS.md.
public struct ProjectFolder: Equatable, Sendable {
    public let url: URL

    /// Names the checkout, for a program that lies elsewhere.
    public static let variable = "HYPERNETWORKS_PROJECT"

    /// Looks for a checkout: the folder that `HYPERNETWORKS_PROJECT` names; without it from the working directory upwards,
    /// then from the program's own place (`.build/release/…`) upwards.
    ///
    /// - Returns: nil if there is none; runs are possible without one, tables are not.
    public static func locate(
        workingDirectory: URL = URL(fileURLWithPath: FileManager.default.currentDirectoryPath),
        program: URL? = Bundle.main.executableURL,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> ProjectFolder? {
        if let named = environment[variable], !named.isEmpty {
            let folder = URL(fileURLWithPath: named, isDirectory: true)
            return isCheckout(folder) ? ProjectFolder(url: folder) : nil
        }
        for start in [workingDirectory, program?.resolvingSymlinksInPath().deletingLastPathComponent()] {
            var folder = start?.standardizedFileURL
            while let candidate = folder, candidate.path != "/" {
                if isCheckout(candidate) { return ProjectFolder(url: candidate) }
                folder = candidate.deletingLastPathComponent()
            }
        }
        return nil
    }

    /// Whether a folder holds this suite, and not just any Swift package with experiments.
    private static func isCheckout(_ folder: URL) -> Bool {
        ["Package.swift", "experiments", "Sources/ExperimentKit"].allSatisfy {
            FileManager.default.fileExists(atPath: folder.appendingPathComponent($0).path)
        }
    }

    public init(url: URL) { self.url = url }

    /// The folder of one experiment.
    public func experiment(_ name: String) -> URL {
        url.appendingPathComponent("experiments", isDirectory: true).appendingPathComponent(name, isDirectory: true)
    }

    public var results: URL { url.appendingPathComponent("RESULTS.md") }
    /// The folder of runs that are not committed: ignored by git.
    public var runs: URL { url.appendingPathComponent("runs", isDirectory: true) }
    /// The script of every task of a job array on a Slurm cluster.
    public var arrayTemplate: URL { url.appendingPathComponent("cluster/array.slurm") }
    public var data: URL { url.appendingPathComponent("data", isDirectory: true) }
}
