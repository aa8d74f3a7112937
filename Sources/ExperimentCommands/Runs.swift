import ArgumentParser
import ExperimentKit
import Foundation

/// Brings runs of one experiment to their end, from the beginning or from where they stopped, and says what it does.
public struct Runs<Work: ExperimentWork>: Sendable {
    public typealias Run = TrainingRun<Work>
    private let unit: ProgressUnit

    public init(unit: ProgressUnit) { self.unit = unit }

    /// Begins a run and brings it to its end.
    public func train(_ file: ConfigurationFile, seed: Int, data: Work.Data, out: URL) throws -> Run {
        let run = try Run(
            beginning: file, seed: seed, data: data, out: out, code: .current(in: ProjectFolder.locate()?.url),
            progress: progress("\(file.name) seed \(seed)", unit: unit), interruption: interruption)
        note(
            "\(file.name), seed \(seed): \(grouped(run.record.parameterCount)) parameters,"
                + " \(run.record.data.displayName)")
        for line in run.record.data.notes { note("note: \(line)") }
        for difference in run.record.differences {
            note("  differs from its base: \(difference.key) \(difference.base) → \(difference.value)")
        }
        note("  in \(run.folder.path)")
        try finish(run)
        return run
    }

    /// Brings a run in a folder to its end.
    public func resume(_ folder: URL, data: Work.Data) throws -> Run {
        let label = "\(folder.deletingLastPathComponent().lastPathComponent) seed \(folder.lastPathComponent)"
        let run = try Run(
            resuming: folder, data: data, progress: progress(label, unit: unit), interruption: interruption)
        if run.record.status == .finished {
            note("\(label): finished already, in \(folder.path)")
            return run
        }
        try finish(run)
        return run
    }

    /// Keeps a run that is finished, resumes one that is not, begins one that is not there.
    ///
    /// - Throws: `UserError` if the folder holds a run of another version of the file.
    public func trainOrResume(_ file: ConfigurationFile, seed: Int, data: Work.Data, out: URL) throws -> Run {
        let folder = Run.folder(in: out, configuration: file.name, seed: seed)
        guard FileManager.default.fileExists(atPath: folder.appendingPathComponent("record.json").path) else {
            return try train(file, seed: seed, data: data, out: out)
        }
        // A run of an older version of the file is another run; it must not pass for this one.
        let kept = try ConfigurationFile(contentsOf: folder.appendingPathComponent("config.yaml"))
        guard kept.root == file.root else {
            throw UserError(
                description: "\(folder.path) holds a run of another version of \(file.name): remove it, or give --out")
        }
        return try resume(folder, data: data)
    }

    /// Runs to the end, or stops with 128 + signal and the command that goes on.
    private func finish(_ run: Run) throws {
        switch try run.run() {
        case .finished: break
        case .interrupted(let signal):
            note("stopped with a checkpoint; go on with:\n  \(Work.experiment) resume \(run.folder.path)")
            throw ExitCode(128 + signal)
        }
    }
}

/// Writes an experiment's section of RESULTS.md and its figures, or with `check` fails where they are not what the
/// records give.
public func writeResults(_ results: some ResultsSection, check: Bool) throws {
    guard let project = ProjectFolder.locate() else {
        _ = try experimentFolder(results.experiment)
        return
    }
    if check {
        let stale = try results.staleFiles(project: project)
        guard stale.isEmpty else {
            throw UserError(
                description: "not in step with the records: \(stale.joined(separator: ", ")); run"
                    + " `\(results.experiment) results`")
        }
        note("RESULTS.md and the figures of \(results.experiment) are in step with the records")
    } else {
        for path in try results.write(project: project) { note("wrote \(path)") }
    }
}
