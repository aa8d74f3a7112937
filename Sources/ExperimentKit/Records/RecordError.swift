import Foundation

/// A fault of a run folder or a file in it.
public enum RecordError: Error, Equatable, CustomStringConvertible {
    case unreadable(path: String, reason: String)
    case unwritable(path: String, reason: String)
    /// `train` into a folder that already holds a run.
    case runExists(path: String, step: Int, experiment: String)
    /// `resume` of a folder that holds none.
    case noRun(path: String)
    /// A part of a run is missing: nothing is begun anew over the rest.
    case incomplete(path: String, missing: String, found: String)
    /// A run of another program.
    case otherProgram(path: String, expected: String, found: String)
    /// Another process works in the folder; nil where its lock does not say who.
    case busy(path: String, host: String?, process: Int32?, since: String?)
    /// Another process took the folder over while this one was suspended.
    case lockLost(path: String)
    /// The configuration in the folder is not the one that its checkpoints were made with.
    case configurationEdited(path: String, keys: [String])
    /// The same, before the first checkpoint.
    case configurationReplaced(path: String)
    /// `resume --set` of a run whose training is over.
    case trained(path: String, keys: [String])
    /// `resume --set` of a key that a run keeps from its beginning to its end.
    case unchangeable(path: String, keys: [String], changeable: [String])

    /// A file or folder that the system refuses to read.
    ///
    /// - Parameter code: The value of `errno`.
    static func readFailure(path: String, code: Int32) -> RecordError {
        .unreadable(path: path, reason: String(cString: strerror(code)))
    }

    /// A file or folder that the system refuses to write.
    ///
    /// - Parameter code: The value of `errno`.
    package static func writeFailure(path: String, code: Int32) -> RecordError {
        .unwritable(path: path, reason: String(cString: strerror(code)))
    }

    var isOfOtherProgram: Bool {
        if case .otherProgram = self { true } else { false }
    }

    public var description: String {
        switch self {
        case .unreadable(let path, let reason): return "\(path): cannot be read: \(reason)"
        case .unwritable(let path, let reason): return "\(path): cannot be written: \(reason)"
        case .runExists(let path, let step, let experiment):
            return
                "\(path) already holds a run, at step \(step): go on with `\(shellCommand(experiment, "resume", path))`,"
                + " or with all seeds by --or-resume; or choose another --out or --name, or remove the folder"
        case .noRun(let path):
            let isFolder = (try? FileManager.default.contentsOfDirectory(atPath: path)) != nil
            let isThere = FileManager.default.fileExists(atPath: path)
            let runs = RunFolder.runs(below: URL(fileURLWithPath: path, isDirectory: true))
            return "\(path) holds no run: "
                + (isFolder ? "there is no record.json in it" : isThere ? "it is a file" : "there is no such folder")
                + "; expected a run's folder, OUT/CONFIG/SEED" + (runs.first.map { ", such as \($0.path)" } ?? "")
        case .incomplete(let path, let missing, let found):
            return "\(path): an incomplete run: \(missing) is missing beside \(found); put it back,"
                + " or remove the folder to begin anew"
        case .otherProgram(let path, let expected, let found):
            return "\(path): expected a run of \(expected), found one of \(found)"
        case .busy(let path, let host, let process, let since):
            return "\(path): process \(process.map(String.init) ?? "?") on \(host ?? "a host that it does not name")"
                + " works in this folder\(since.map { " since \($0)" } ?? ""); wait for it, or stop it there; if it"
                + " is gone for certain, remove that file"
        case .lockLost(let path):
            return "\(path): no longer this process's: another took the folder over while this one was suspended;"
                + " nothing more is written"
        case .configurationEdited(let path, let keys):
            return "\(path): edited since the run's last checkpoint: \(keys.joined(separator: ", ")); put the old"
                + " values back, or begin a run with the new ones"
        case .configurationReplaced(let path):
            return "\(path): edited since the run was begun: expected the file whose checksum record.json has; put it"
                + " back, or remove the run's folder and begin anew, for no step was done"
        case .trained(let path, let keys):
            return "\(path): the training of this run is over, so \(keys.joined(separator: ", ")) can no longer"
                + " change: begin another with `train … --set …`"
        case .unchangeable(let path, let keys, let changeable):
            return "\(path): a run may change \(changeable.joined(separator: " and ")) while it is under way, not"
                + " \(keys.joined(separator: ", ")): begin another run with it"
        }
    }
}
