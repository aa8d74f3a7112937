import Foundation

/// The folder under which every data set has its own, and how it was chosen.
public struct DataFolder: Equatable, Sendable {
    /// The source of the folder's name.
    public enum Origin: String, Equatable, Sendable {
        /// The command line's `--data DIR`.
        case option
        /// The environment variable `HYPERNETWORKS_DATA`.
        case environment
        /// Nobody: `data` in the working directory.
        case standard

        var explanation: String {
            switch self {
            case .option: return "given by --data"
            case .environment: return "given by the variable \(DataFolder.environmentVariable)"
            case .standard: return "the default"
            }
        }
    }

    /// The environment variable that names the folder where no option does.
    public static let environmentVariable = "HYPERNETWORKS_DATA"

    /// The folder, as given (a relative one is joined to the working directory, and `~` is the user's own).
    public let path: String
    /// The source of its name.
    public let origin: Origin
    /// The checkout whose `make data` and `data/download.sh` download the data; nil for the working directory.
    public let checkout: String?

    public init(path: String, origin: Origin, checkout: String? = nil) {
        self.path = path
        self.origin = origin
        self.checkout = checkout
    }

    /// Chooses the folder: the option, else the variable, else `data`. Nothing is looked up on the disk.
    ///
    /// - Parameters:
    ///   - option: The value of `--data`, nil where it was not given; an empty one counts as not given.
    ///   - environment: The process's variables; an empty `HYPERNETWORKS_DATA` counts as not set.
    ///   - workingDirectory: What a relative path is relative to.
    public static func resolve(
        option: String?,
        environment: [String: String] = ProcessInfo.processInfo.environment,
        workingDirectory: String = FileManager.default.currentDirectoryPath
    ) -> DataFolder {
        func absolute(_ path: String) -> String {
            // As `URL(fileURLWithPath:)` reads it for every other folder, whether or not a shell has done so before.
            let path = (path as NSString).expandingTildeInPath
            return path.hasPrefix("/") ? path : (workingDirectory as NSString).appendingPathComponent(path)
        }
        if let option, !option.isEmpty { return DataFolder(path: absolute(option), origin: .option) }
        if let value = environment[environmentVariable], !value.isEmpty {
            return DataFolder(path: absolute(value), origin: .environment)
        }
        return DataFolder(path: absolute("data"), origin: .standard)
    }

    /// The path of a file given relative to the folder.
    func appending(_ relativePath: String) -> String { (path as NSString).appendingPathComponent(relativePath) }

    /// The first of some places, relative to the folder, where there is a file; nil where there is none.
    func first(of places: [String]) -> String? {
        places.first { FileManager.default.fileExists(atPath: appending($0)) }
    }

    /// The place of each file that is there, and the places of those that are not.
    ///
    /// - Parameter files: The places where each may be, relative to the folder.
    func find(_ files: [[String]]) -> (paths: [String], missing: [[String]]) {
        let found = files.map { (places: $0, path: first(of: $0)) }
        return (found.compactMap(\.path), found.filter { $0.path == nil }.map(\.places))
    }

    /// The error that a data set is in none of some places, relative to the folder.
    ///
    /// - Parameter download: What `data/download.sh` calls the data set; nil for a sample.
    func missing(_ title: String, download: String?, tried places: [String]) -> DatasetError {
        .missing(
            title: title, folder: self, remedy: remedy(download: download), pathsTried: places.map(appending))
    }

    private func remedy(download: String?) -> String {
        guard let download else { return "The sample is part of the repository, in data/sample/." }
        return "`\(downloadCommand(for: [download]))` downloads it" + (origin == .standard ? "." : " there.")
    }

    /// What to type to download data sets into this folder.
    ///
    /// - Parameter names: What `data/download.sh` calls them; empty for all.
    public func downloadCommand(for names: [String]) -> String {
        func quoted(_ path: String) -> String { "'" + path.replacing("'", with: "'\\''") + "'" }
        switch origin {
        case .standard: return "make " + (checkout.map { "-C \(quoted($0)) " } ?? "") + "data"
        case .option, .environment:
            let script = checkout.map { quoted(($0 as NSString).appendingPathComponent("data/download.sh")) }
            return ([script ?? "data/download.sh", "--data", quoted(path)] + names).joined(separator: " ")
        }
    }
}
