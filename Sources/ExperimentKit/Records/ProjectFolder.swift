import Foundation

/// The checkout that holds configurations, committed records and RESULTS.md.
public struct ProjectFolder: Equatable, Sendable {
    public let url: URL

    /// Names the checkout, for a program that lies elsewhere.
    public static let variable = "HYPERNETWORKS_PROJECT"

    /// Looks for a checkout: the folder that `HYPERNETWORKS_PROJECT` names; without it from the working directory
    /// upward, then from the program's own place (`.build/release/…`) upward.
    ///
    /// - Returns: Nil if there is none; runs are possible without one, tables are not.
    public static func locate() -> ProjectFolder? {
        if let named = ProcessInfo.processInfo.environment[variable], !named.isEmpty {
            return ProjectFolder(at: URL(fileURLWithPath: named, isDirectory: true))
        }
        let workingDirectory = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
        let program = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
        for start in [workingDirectory, program] {
            var folder = start?.standardizedFileURL
            while let candidate = folder, candidate.path != "/" {
                if let project = ProjectFolder(at: candidate) { return project }
                folder = candidate.deletingLastPathComponent()
            }
        }
        return nil
    }

    /// Parts that a checkout of this suite has, and another Swift package with experiments has not.
    public static let marks = ["Package.swift", "experiments", "Sources/ExperimentKit"]

    /// - Returns: Nil if the folder is no checkout.
    public init?(at folder: URL) {
        for mark in Self.marks
        where !FileManager.default.fileExists(atPath: folder.appendingPathComponent(mark).path) { return nil }
        url = folder
    }

    init(url: URL) { self.url = url }

    /// The folder of one experiment.
    public func experiment(_ name: String) -> URL {
        url.appendingPathComponent("experiments", isDirectory: true).appendingPathComponent(name, isDirectory: true)
    }

    /// The folder of runs that are not committed: ignored by git.
    public var runs: URL { url.appendingPathComponent("runs", isDirectory: true) }
    /// The script of every task of a job array on a Slurm cluster.
    public var arrayTemplate: URL { url.appendingPathComponent("cluster/array.slurm") }
    public var data: URL { url.appendingPathComponent("data", isDirectory: true) }
}
