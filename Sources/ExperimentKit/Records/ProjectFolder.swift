import Foundation

/// The checkout that holds configurations, committed records and RESULTS.md.
public struct ProjectFolder: Equatable, Sendable {
    public let url: URL

    /// Looks for the folder with `Package.swift` and `experiments/`: from the working directory upwards, then from the
    /// program's own place (`.build/release/…`) upwards.
    ///
    /// - Returns: nil if there is none; runs are possible without one, tables are not.
    public static func locate(
        workingDirectory: URL = URL(fileURLWithPath: FileManager.default.currentDirectoryPath),
        program: URL? = Bundle.main.executableURL
    ) -> ProjectFolder? {
        for start in [workingDirectory, program?.resolvingSymlinksInPath().deletingLastPathComponent()] {
            var folder = start?.standardizedFileURL
            while let candidate = folder, candidate.path != "/" {
                let names = ["Package.swift", "experiments"].map { candidate.appendingPathComponent($0).path }
                if names.allSatisfy(FileManager.default.fileExists(atPath:)) { return ProjectFolder(url: candidate) }
                folder = candidate.deletingLastPathComponent()
            }
        }
        return nil
    }

    public init(url: URL) { self.url = url }

    /// The folder of one experiment.
    public func experiment(_ name: String) -> URL {
        url.appendingPathComponent("experiments", isDirectory: true).appendingPathComponent(name, isDirectory: true)
    }

    public var results: URL { url.appendingPathComponent("RESULTS.md") }
    /// Where runs go that are nobody's record: ignored by git.
    public var runs: URL { url.appendingPathComponent("runs", isDirectory: true) }
    public var data: URL { url.appendingPathComponent("data", isDirectory: true) }
}
