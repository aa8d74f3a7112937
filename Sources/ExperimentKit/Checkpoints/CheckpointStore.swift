import Foundation
import Safetensors

/// The checkpoints of one run: the latest, to resume from, and the best, to report.
///
/// A checkpoint is several files that must not fall out of step. They are written into `step-N.partial`, the folder is
/// renamed to `step-N`, and only then does `index.json`, replaced atomically, name it: whenever the process dies or the
/// disk is full, the index names checkpoints that are whole.
final class CheckpointStore {
    /// The folder `checkpoints` of the run.
    let url: URL
    private let indexFile: URL

    private struct Index: Codable {
        var latest: String?
        var best: String?
    }

    private var index: Index
    /// Held while checkpoints are written.
    var lock: RunLock?

    /// - Throws: `CheckpointError.file` for an index that is there and cannot be read, and for checkpoints without one:
    ///   to take it for none would be to overwrite the checkpoints that it names. `RecordError.unreadable` for a folder
    ///   that cannot be looked at.
    init(runFolder: URL) throws {
        url = RunFolder(url: runFolder).checkpoints
        indexFile = url.appendingPathComponent("index.json")
        guard try Files.exists(indexFile) else {
            // A process killed within its first checkpoint leaves that one without an index, and nothing else.
            let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
            let orphans = names.filter { $0.hasPrefix("step-") && !$0.hasSuffix(".partial") && $0 != Self.name(0) }
            if let newest = orphans.max(by: { $0.compare($1, options: .numeric) == .orderedAscending }) {
                let best = Self.bestStep(of: url.appendingPathComponent(newest)).flatMap { step in
                    orphans.first { $0 == Self.name(step) || $0.hasPrefix(Self.name(step) + "-") }
                }
                let index = "{\"latest\": \"\(newest)\"" + (best.map { ", \"best\": \"\($0)\"" } ?? "") + "}"
                throw CheckpointError.file(
                    path: indexFile.path,
                    reason: "missing beside checkpoints; to go on from the newest, write \(index) into it")
            }
            index = Index()
            return
        }
        do {
            index = try StableJSON.decode(Index.self, from: [UInt8](Data(contentsOf: indexFile)))
        } catch {
            throw CheckpointError.file(
                path: indexFile.path, reason: "no readable index of checkpoints: \(StableJSON.fault(error))")
        }
        if let latest = index.latest, try !Files.exists(url.appendingPathComponent(latest)) {
            throw CheckpointError.file(
                path: indexFile.path,
                reason:
                    "names \(latest), which is not there: put that folder back, or name another that is there, with the"
                    + " \"best\" that its \(CheckpointFile.state) tells")
        }
    }

    /// Checks that the index names the checkpoint of the best validation, as the latest checkpoint's state tells it.
    /// Without it a run could fail at its end; with another one its record would report weights that were not selected.
    ///
    /// - Throws: `CheckpointError.file`, also for weights of the best that cannot be read; `SafetensorsError`.
    func requireBest(ofStep step: Int?) throws {
        guard let step else { return }
        let found = try best?.weights().metadata["step"]
        guard best == nil || found ?? String(step) != String(step) else { return }
        throw CheckpointError.file(
            path: indexFile.path,
            reason: "names " + (index.best.map { "\"best\": \"\($0)\"" } ?? "no \"best\" checkpoint")
                + ", but the best validation was that of step \(grouped(step)): set \"best\" to"
                + " \"\(Self.name(step))\", and copy that folder here from where the run was copied")
    }

    /// The checkpoint to resume from; nil before the first.
    var latest: Checkpoint? { index.latest.map { Checkpoint(url: url.appendingPathComponent($0)) } }
    /// The checkpoint with the best validation; nil before the first validation.
    var best: Checkpoint? { index.best.map { Checkpoint(url: url.appendingPathComponent($0)) } }

    /// What to do to go back to the best checkpoint; nil where there is none, or it is the latest.
    var wayBackToBest: String? {
        // A stop right behind the best checkpoint writes the same weights once more.
        guard let best = index.best, self.best?.step != latest?.step else { return nil }
        return "write {\"latest\": \"\(best)\", \"best\": \"\(best)\"} into"
            + " \(indexFile.path) to go back to the best validation"
    }

    /// Writes a checkpoint, makes it the latest (and the best), and removes those that are neither any more.
    ///
    /// - Throws: `CheckpointError.file` with the system's reason; the checkpoints before it stand as they were.
    func write(_ content: CheckpointContent, step: Int, isBest: Bool) throws {
        try lock?.check()
        let name = Self.name(step)
        // A stop right after a checkpoint writes a second one of its step. What the index names is never overwritten:
        // the second is put beside it.
        let folderName = name == index.latest || name == index.best ? nextFreeName(name) : name
        let partial = url.appendingPathComponent(folderName + ".partial", isDirectory: true)
        let folder = url.appendingPathComponent(folderName, isDirectory: true)
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            try? FileManager.default.removeItem(at: partial)
            try? FileManager.default.removeItem(at: folder)
            try FileManager.default.createDirectory(at: partial, withIntermediateDirectories: false)
            try content.write(to: partial)
            guard rename(partial.path, folder.path) == 0 else {
                throw AtomicFileError(path: folder.path, operation: .rename, code: errno)
            }
            let next = Index(latest: folderName, best: isBest ? folderName : index.best)
            // Its folder is brought to the disk with it, and with that the rename above.
            try writeFileAtomically(path: indexFile.path, bytes: try StableJSON.encode(next))
            index = next
        } catch {
            // Room for whatever comes next, even if it is only the record that says what went wrong.
            try? FileManager.default.removeItem(at: partial)
            throw CheckpointError.file(
                path: folder.path,
                reason: "the checkpoint could not be written (\(error)); the earlier checkpoints are untouched")
        }
        removeAllOthers()
    }

    /// The step of the best validation that a checkpoint's state names, if it can be read.
    private static func bestStep(of checkpoint: URL) -> Int? {
        struct State: Decodable { let training: TrainingState }
        let file = checkpoint.appendingPathComponent(CheckpointFile.state)
        return try? StableJSON.decode(State.self, from: Files.bytes(of: file)).training.best?.step
    }

    /// `step-0000123`
    private static func name(_ step: Int) -> String {
        "step-" + String(repeating: "0", count: max(0, 7 - String(step).count)) + String(step)
    }

    private func nextFreeName(_ name: String) -> String {
        var number = 2
        while "\(name)-\(number)" == index.latest || "\(name)-\(number)" == index.best { number += 1 }
        return "\(name)-\(number)"
    }

    /// Removes the checkpoints that the index no longer names, and what a killed process left half written.
    private func removeAllOthers() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        for name in names where name != index.latest && name != index.best && Self.isOwn(name) {
            try? FileManager.default.removeItem(at: url.appendingPathComponent(name))
        }
    }

    /// Whether a name is one that the store gives to a checkpoint or to an unfinished file. Anything else, such as a
    /// copy that somebody put beside the checkpoints, is not the store's to remove.
    private static func isOwn(_ name: String) -> Bool {
        name.wholeMatch(of: /step-[0-9]{7,}(-[0-9]+)?|.+\.partial|\..*\.tmp/) != nil
    }
}
