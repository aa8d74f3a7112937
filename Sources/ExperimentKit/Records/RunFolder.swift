import Foundation
import Safetensors

/// The content of a run's folder: absent, whole, damaged and another program's are told apart before anything is written.
public struct RunFolder {
    let url: URL

    public init(url: URL) { self.url = url }

    var configuration: URL { url.appendingPathComponent("config.yaml") }
    public var record: URL { url.appendingPathComponent("record.json") }
    public var log: URL { url.appendingPathComponent("steps.jsonl") }
    var checkpoints: URL { url.appendingPathComponent("checkpoints", isDirectory: true) }

    /// Whether a run has been begun here. What only lists runs asks this; what writes asks `requireFree` or `requireRun`.
    public var holdsRecord: Bool { FileManager.default.fileExists(atPath: record.path) }

    /// The names in a folder, in no order; none where there is no folder.
    ///
    /// - Throws: `RecordError.unreadable` where there is one that cannot be read: what cannot be seen is not taken for absent.
    package static func names(in url: URL) throws -> [String] {
        guard try isFolder(url) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: url.path)
        } catch {
            throw RecordError.unreadable(path: url.path, reason: error.localizedDescription)
        }
    }

    /// The folders in a folder, in the order of their names, numbers by value.
    ///
    /// - Throws: `RecordError.unreadable`, as `names(in:)`.
    public static func folders(in url: URL) throws -> [URL] {
        try names(in: url).filter { !$0.hasPrefix(".") }
            .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
            .map { url.appendingPathComponent($0, isDirectory: true) }
            .filter(isFolder)
    }

    /// The same of a folder that need not be the suite's; none where it cannot be read.
    package static func readableFolders(in url: URL) -> [URL] { (try? folders(in: url)) ?? [] }

    /// Whether there is something at a path.
    ///
    /// - Throws: `RecordError.unreadable` where the system does not say: what cannot be seen is not taken for absent.
    package static func exists(_ url: URL) throws -> Bool { try mode(of: url) != nil }

    private static func isFolder(_ url: URL) throws -> Bool { try mode(of: url).map { $0 & S_IFMT } == S_IFDIR }

    /// The type and permissions of what is at a path, of a link those of what it leads to; nil for nothing.
    private static func mode(of url: URL) throws -> mode_t? {
        var status = stat()
        if stat(url.path, &status) == 0 { return status.st_mode }
        guard errno == ENOENT || errno == ENOTDIR else {
            throw RecordError.unreadable(path: url.path, reason: String(cString: strerror(errno)))
        }
        return nil
    }

    /// The folders OUT/CONFIG/SEED, in the order of their names, whatever they hold.
    ///
    /// - Parameter damaged: Told of a folder that cannot be read.
    package static func seeds(in out: URL, damaged: (any Error) -> Void) -> [URL] {
        func folders(_ folder: URL) -> [URL] {
            do {
                return try Self.folders(in: folder)
            } catch {
                damaged(error)
                return []
            }
        }
        return folders(out).flatMap(folders)
    }

    /// The folders of runs below OUT or OUT/CONFIG: OUT/CONFIG/SEED. Others that lie there need not be readable.
    static func runs(below folder: URL) -> [URL] {
        (readableFolders(in: folder) + seeds(in: folder) { _ in }).filter { RunFolder(url: $0).holdsRecord }
    }

    /// The content of a file.
    ///
    /// - Throws: `RecordError.unreadable`.
    package static func bytes(of url: URL) throws(RecordError) -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: url))
        } catch {
            throw .unreadable(path: url.path, reason: error.localizedDescription)
        }
    }

    /// Writes a file whole or not at all: what stood there before stays until the new one takes its place.
    ///
    /// - Parameter bytes: Makes the content.
    /// - Throws: `RecordError.unwritable`, with what `bytes` throws too.
    package static func write(to url: URL, _ bytes: () throws -> [UInt8]) throws(RecordError) {
        do {
            try writeFileAtomically(path: url.path, bytes: try bytes())
        } catch let error as AtomicFileError {
            throw .unwritable(path: url.path, reason: error.reason)
        } catch {
            throw .unwritable(path: url.path, reason: "\(error)")
        }
    }

    /// Makes the folder and those above it.
    ///
    /// - Throws: `RecordError.unwritable`, naming the file that stands where a folder is needed.
    package func make() throws {
        var missing: [URL] = [], folder = url.standardizedFileURL
        while try !Self.exists(folder), folder.path != "/" {
            missing.append(folder)
            folder.deleteLastPathComponent()
        }
        var status = stat()
        guard stat(folder.path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw RecordError.unwritable(
                path: folder.path, reason: "expected a folder, found a file; name another")
        }
        for next in missing.reversed() where mkdir(next.path, 0o777) != 0 && errno != EEXIST {
            throw RecordError.unwritable(path: next.path, reason: String(cString: strerror(errno)))
        }
    }

    /// Holds the folder to being free for a new run.
    ///
    /// - Throws: `RecordError.runExists`; `.unreadable` for a record that is there and damaged; `.incomplete` for a
    ///   run without its record.
    package func requireFree(experiment: String) throws {
        if try Self.exists(record) {
            let existing = try RunRecord(contentsOf: record)
            throw RecordError.runExists(
                path: url.path, step: existing.training.stepsDone, experiment: existing.experiment)
        }
        // A configuration alone is what a process leaves that was killed before its first record.
        for other in [log, checkpoints] where try Self.exists(other) {
            throw RecordError.incomplete(
                path: url.path, missing: record.lastPathComponent, found: other.lastPathComponent)
        }
    }

    /// Holds the folder to being a run of a program.
    ///
    /// - Throws: `RecordError.noRun`, `.incomplete`, `.unreadable`, `.otherProgram`.
    package func requireRun(experiment: String) throws {
        guard try Self.exists(record) else {
            for other in [configuration, log, checkpoints] where try Self.exists(other) {
                throw RecordError.incomplete(
                    path: url.path, missing: record.lastPathComponent, found: other.lastPathComponent)
            }
            throw RecordError.noRun(path: url.path)
        }
        guard try Self.exists(configuration) else {
            throw RecordError.incomplete(
                path: url.path, missing: configuration.lastPathComponent, found: record.lastPathComponent)
        }
        let found = try RunRecord(contentsOf: record).experiment
        guard found == experiment else {
            throw RecordError.otherProgram(path: url.path, expected: experiment, found: found)
        }
    }

    /// Holds a run without a checkpoint to having done nothing yet; the first checkpoint comes before the first step.
    ///
    /// - Throws: `RecordError.incomplete` where it has: starting over would erase what it did.
    func requireNothingDone(_ record: RunRecord) throws {
        guard try record.training.stepsDone == 0 && StepLog.read(log).isEmpty else {
            throw RecordError.incomplete(
                path: url.path, missing: "checkpoints/index.json", found: "a log and a record of steps done")
        }
    }

    /// Removes what a killed process left half written. Only for who holds the folder's lock.
    func removeLitter() {
        for folder in [url, checkpoints] {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
            where name.hasPrefix(".") && name.hasSuffix(".tmp") || name.hasSuffix(".partial") {
                try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
            }
        }
    }
}
