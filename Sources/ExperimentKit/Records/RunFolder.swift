import Foundation

/// The content of a run's folder: absent, whole, damaged and another program's are told apart before anything is
/// written.
public struct RunFolder {
    let url: URL

    public init(url: URL) { self.url = url }

    var configuration: URL { url.appendingPathComponent("config.yaml") }
    public var record: URL { url.appendingPathComponent("record.json") }
    public var log: URL { url.appendingPathComponent("steps.jsonl") }
    var checkpoints: URL { url.appendingPathComponent("checkpoints", isDirectory: true) }

    /// Whether a run has been begun here. What only lists runs asks this; what writes asks `requireFree` or
    /// `requireRun`.
    public var holdsRecord: Bool { FileManager.default.fileExists(atPath: record.path) }

    /// OUT/CONFIG/SEED.
    package static func url(of configuration: String, seed: Int, in out: URL) -> URL {
        out.appendingPathComponent(configuration, isDirectory: true).appendingPathComponent(
            "\(seed)", isDirectory: true)
    }

    /// `CONFIG/SEED`.
    package var name: String { "\(url.deletingLastPathComponent().lastPathComponent)/\(url.lastPathComponent)" }

    /// The folders OUT/CONFIG/SEED, in the order of their names, whatever they hold.
    ///
    /// - Parameter damaged: Told of a folder that cannot be read.
    package static func seeds(in out: URL, damaged: (any Error) -> Void) -> [URL] {
        func folders(_ folder: URL) -> [URL] {
            Files.unlessDamaged(damaged) { try Files.folders(in: folder) } ?? []
        }
        return folders(out).flatMap(folders)
    }

    /// The folders of runs below OUT or OUT/CONFIG: OUT/CONFIG/SEED. Others that lie there need not be readable.
    static func runs(below folder: URL) -> [URL] {
        (Files.readableFolders(in: folder) + seeds(in: folder) { _ in }).filter { RunFolder(url: $0).holdsRecord }
    }

    /// Checks that the folder is free for a new run.
    ///
    /// - Throws: `RecordError.runExists`; `.unreadable` for a record that is there and damaged; `.incomplete` for a
    ///   run without its record.
    package func requireFree(experiment: String) throws {
        if try Files.exists(record) {
            let existing = try RunRecord(contentsOf: record)
            throw RecordError.runExists(
                path: url.path, step: existing.training.stepsDone, experiment: existing.experiment)
        }
        // A configuration alone is what a process leaves that was killed before its first record.
        for other in [log, checkpoints] where try Files.exists(other) {
            throw RecordError.incomplete(
                path: url.path, missing: record.lastPathComponent, found: other.lastPathComponent)
        }
    }

    /// Checks that no process works on a run that is here and not finished.
    ///
    /// - Throws: `RecordError.busy`; `.unreadable`, `.unwritable` where the folder's lock cannot be asked.
    package func requireNobodyAtWork() throws {
        guard holdsRecord, try RunRecord(contentsOf: record).status != .finished else { return }
        _ = try RunLock(folder: url)
    }

    /// Checks that the folder holds a run of the program `experiment`.
    ///
    /// - Throws: `RecordError.noRun`, `.incomplete`, `.unreadable`, `.otherProgram`.
    package func requireRun(experiment: String) throws {
        guard try Files.exists(record) else {
            for other in [configuration, log, checkpoints] where try Files.exists(other) {
                throw RecordError.incomplete(
                    path: url.path, missing: record.lastPathComponent, found: other.lastPathComponent)
            }
            throw RecordError.noRun(path: url.path)
        }
        guard try Files.exists(configuration) else {
            throw RecordError.incomplete(
                path: url.path, missing: configuration.lastPathComponent, found: record.lastPathComponent)
        }
        let found = try RunRecord(contentsOf: record).experiment
        guard found == experiment else {
            throw RecordError.otherProgram(path: url.path, expected: experiment, found: found)
        }
    }

    /// Checks that a run without a checkpoint has taken no step: the first checkpoint is written before the first step.
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
