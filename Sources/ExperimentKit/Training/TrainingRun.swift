import Compute
import Datasets
import Foundation
import NeuralNetwork
import Processes

/// The end of a call of `TrainingRun.run()`.
public enum TrainingRunEnd: Equatable, Sendable {
    case finished
    case interrupted(signal: Int32)
}

/// One run of one configuration with one seed: training, selection by validation, the reported figures, the record.
///
/// Its folder `<out>/<configuration>/<seed>` holds
///
///     config.yaml     the resolved configuration        record.json     what was run, where, and what came out
///     steps.jsonl     a line for each logged step       checkpoints/    the latest and the best (not for git)
public final class TrainingRun<Work: Experiment> {
    public let folder: URL
    public let configuration: Work.Configuration
    public private(set) var record: RunRecord
    private let data: Work.Data
    private let resolvedYAML: String
    private let progress: any ProgressReporter
    private let interruption: Interruption
    private let isResumed: Bool
    /// Held from before the folder is looked at until `run()` ends; nil for a run that is finished.
    private var lock: RunLock?

    private var files: RunFolder { RunFolder(url: folder) }

    // MARK: - Beginning and resuming

    /// Begins a run: makes its folder, with the resolved configuration and a first record.
    ///
    /// - Parameter processes: Those that will share the work.
    /// - Throws: `RecordError.runExists` if the folder already holds one; `RecordError.unwritable`;
    ///   `ShardError.shards`, `MemoryError`, or what `Experiment.check` throws, before the folder is made.
    public init(
        beginning configuration: NamedConfiguration<Work.Configuration>, seed: Int, data: Work.Data, out: URL,
        code: RunRecord.Code,
        progress: any ProgressReporter, interruption: Interruption, processes: Int = 1
    ) throws {
        try RunTeam<Work>.requireFeasible(configuration.values, data, processes: processes)
        let file = configuration.file
        self.configuration = configuration.values
        folder = RunFolder.url(of: file.name, seed: seed, in: out)
        self.data = data
        self.progress = progress
        self.interruption = interruption
        isResumed = false
        resolvedYAML = file.root.yaml
        record = RunRecord(
            experiment: Work.program, configuration: file, decoded: self.configuration, unit: Work.unit, seed: seed,
            code: code, data: Work.describe(data, self.configuration),
            parameterCount: Work.parameterCount(self.configuration, data))
        try Files.makeFolder(folder)
        lock = try RunLock(folder: folder)
        try files.requireFree(experiment: Work.program)
        files.removeLitter()
        try writeConfiguration()
        try writeRecord()
    }

    /// The configuration of a run in a folder, so that its data can be opened.
    ///
    /// - Throws: `RecordError` where it is no whole run of this program, `ConfigurationError`.
    public static func configuration(of folder: URL) throws -> Work.Configuration {
        let files = RunFolder(url: folder)
        try files.requireRun(experiment: Work.program)
        return try Work.Configuration(try ConfigurationFile(contentsOf: files.configuration).root)
    }

    /// The keys in which the run in a folder differs from a configuration. Changes made by `resume --set` do not count,
    /// nor do keys that change no figure.
    ///
    /// - Throws: `RecordError` where it is no whole run of this program, `ConfigurationError`.
    public static func differences(of folder: URL, from configuration: ConfigurationFile) throws -> [String] {
        let files = RunFolder(url: folder)
        try files.requireRun(experiment: Work.program)
        let changes = try RunRecord(contentsOf: files.record).changes ?? []
        let found = try ConfigurationFile(contentsOf: files.configuration).root
        let wanted = try configuration.root.overlaid(with: changes)
        return Work.Configuration.differences(of: found, from: wanted).map(\.key)
    }

    /// Keys that a run may change while it is under way: enough to go on from a step after which numbers are not
    /// finite.
    static var changeable: [String] { ["training.learningRate", "training.clipNorm"] }

    /// Goes on with the run in a folder from its latest checkpoint; the folder's own `config.yaml` says how.
    ///
    /// - Parameters:
    ///   - overrides: `key.path=value` texts for this sitting and all later ones, of the keys in `changeable`; the
    ///     record keeps them.
    ///   - processes: Those that will share the work.
    /// - Throws: `RecordError` where it is no whole run of this program, another process works in it, its configuration
    ///   was edited, or `overrides` have other keys; `CheckpointError.otherData` if the data are not those it was begun
    ///   with; `ShardError.shards`; `MemoryError`.
    public init(
        resuming folder: URL, overrides: [String] = [], data: Work.Data, progress: any ProgressReporter,
        interruption: Interruption, processes: Int = 1
    ) throws {
        self.folder = folder
        self.data = data
        self.progress = progress
        self.interruption = interruption
        isResumed = true
        let files = RunFolder(url: folder)
        try files.requireRun(experiment: Work.program)
        record = try RunRecord(contentsOf: files.record)
        if record.status != .finished {
            lock = try RunLock(folder: folder)
            // Another process may have finished it before the lock was taken.
            record = try RunRecord(contentsOf: files.record)
            files.removeLitter()
            if record.status == .finished { lock = nil }
        }
        let written = try ConfigurationFile(contentsOf: files.configuration).root
        let latest = try CheckpointStore(runFolder: folder).latest
        let agreed = try Self.agreedConfiguration(written, files, record, latest: latest)
        let root = try agreed.overlaid(with: overrides)
        configuration = try Work.Configuration(root)
        resolvedYAML = root.yaml
        let changed = ConfigurationFile.differences(of: root, from: agreed).map(\.key)
        try requireChangeable(changed, stepsDone: latest?.step ?? record.training.stepsDone)
        record.training.unitsPerStep = configuration.unitsPerStep
        record.training.unit = Work.unit
        try requireSameData()
        guard record.status != .finished else { return }
        try RunTeam<Work>.requireFeasible(configuration, data, processes: processes)
        if !changed.isEmpty {
            record.change(overrides, from: agreed, to: root)
            try writeRecord()
        }
        if resolvedYAML != written.yaml { try writeConfiguration() }
    }

    /// What a run goes on with: the configuration of its last checkpoint, with the record's changes.
    ///
    /// `resume --set` writes the record first. A process killed right after that leaves config.yaml, or the checkpoint,
    /// with the old value. So a key counts as edited only where config.yaml differs both from the last checkpoint's
    /// configuration and from that with the record's changes.
    ///
    /// - Parameter written: config.yaml.
    /// - Throws: `RecordError.configurationEdited`, `.configurationReplaced`; `CheckpointError`.
    private static func agreedConfiguration(
        _ written: ConfigurationNode, _ files: RunFolder, _ record: RunRecord, latest: Checkpoint?
    ) throws -> ConfigurationNode {
        let last = try latest?.configuration() ?? written
        let agreed = try last.overlaid(with: record.changes ?? [])
        func edits(of tree: ConfigurationNode) -> [String] {
            ConfigurationFile.differences(of: written, from: tree).map(\.key)
        }
        let edited = edits(of: last).filter(Set(edits(of: agreed)).contains)
        guard edited.isEmpty else {
            throw RecordError.configurationEdited(path: files.configuration.path, keys: edited)
        }
        // Before the first checkpoint only the record knows what the run was begun with.
        if latest == nil, let begun = record.configurationSHA256, begun != Checksum.sha256([UInt8](agreed.yaml.utf8)) {
            throw RecordError.configurationReplaced(path: files.configuration.path)
        }
        return agreed
    }

    /// - Throws: `RecordError.trained` where no step follows that a changed key could concern; `.unchangeable`.
    private func requireChangeable(_ keys: [String], stepsDone: Int) throws {
        let isTrained =
            record.training.stoppedEarly && stepsDone >= record.training.stepsDone
            || stepsDone >= configuration.loop.steps
        guard !isTrained || keys.isEmpty else { throw RecordError.trained(path: folder.path, keys: keys) }
        let others = keys.filter { key in !Self.changeable.contains { key == $0 || key.hasPrefix("\($0).") } }
        guard others.isEmpty else {
            throw RecordError.unchangeable(path: folder.path, keys: others, changeable: Self.changeable)
        }
    }

    /// - Throws: `CheckpointError.otherData` where the run was begun with other data.
    private func requireSameData() throws {
        let found = Work.describe(data, configuration)
        guard record.data.isOther(than: found) else { return }
        func sums(_ data: DataDescription) -> String {
            data.contentSHA256 ?? data.files.map { String($0.sha256.prefix(12)) }.joined(separator: " ")
        }
        throw CheckpointError.otherData(
            what: "the checksums of \(record.data.displayName)", expected: sums(record.data), found: sums(found))
    }

    /// - Throws: `RecordError`, `.lockLost` where another process has taken the folder over.
    private func writeRecord() throws {
        try lock?.check()
        try record.write(to: files.record)
    }

    private func writeConfiguration() throws {
        try Files.write([UInt8](resolvedYAML.utf8), to: files.configuration)
    }

    // MARK: - Running

    /// Trains to the end, chooses the checkpoint by validation, reads the reported splits, completes the record.
    ///
    /// - Parameter processes: Those that share the work; the others follow (`follow(_:open:)`).
    /// - Precondition: It is called once; `init(resuming:)` goes on with a run.
    /// - Throws: `TrainingError` (the record says so); `ShardError`, `CheckpointError`, `RecordError`.
    public func run(with processes: any ProcessGroup = OneProcess()) throws -> TrainingRunEnd {
        if record.status == .finished { return .finished }
        precondition(lock != nil, "a run is run once; init(resuming:) goes on with it")
        defer { lock = nil }
        let updates = try RunTeam<Work>(processes).lead(
            configurationYAML: resolvedYAML, name: record.configuration, configuration: configuration, data: data,
            seed: UInt64(record.seed), progress: progress, interruption: interruption)
        defer { updates.end() }
        let work = updates.task, settings = configuration.loop
        let checkpoints = try CheckpointStore(runFolder: folder), log = StepLog(url: files.log)
        (checkpoints.lock, log.lock) = (lock, lock)
        defer { (checkpoints.lock, log.lock) = (nil, nil) }
        let loop = TrainingLoop(
            updates: updates, checkpoints: checkpoints, stepLog: log, progress: progress,
            interruption: interruption, configurationYAML: resolvedYAML,
            modelMetadata: try work.modelMetadata(), metric: Work.metric,
            onMilestone: { [self] state in try update(from: state) })
        if isResumed {
            if checkpoints.latest != nil {
                try loop.restore()
            } else {
                // Killed before its first checkpoint: starting over is the same as going on from step 0.
                try files.requireNothingDone(record)
                try log.truncate(
                    toStep: 0, hasValidation: false, interval: settings.logEvery,
                    planned: settings.steps)
            }
            progress.report(.note("resumed at step \(grouped(loop.state.step)) of \(grouped(settings.steps))"))
        }
        beginSitting(atStep: loop.state.step, processes: processes.count)
        try update(from: loop.state)

        do {
            let end = try loop.run()
            record.training.stoppedEarly = end == .stoppedEarly
            updates.end()
            try report(work, checkpoints: checkpoints)
        } catch let interrupted as Interrupted {
            return try stop(signal: interrupted.signal)
        } catch let error as TrainingError {
            record.status = .notFinite
            record.stopReason = error.reason
            try writeRecord()
            throw error
        }
        return .finished
    }

    /// Enters a sitting into the record, and says how it differs from the one before.
    private func beginSitting(atStep step: Int, processes: Int) {
        let sitting = RunRecord.Sitting.current(
            fromStep: step, code: isResumed ? .current : record.code, processes: processes, changes: record.changes)
        // What it goes on from was computed by the last sitting that did steps.
        let before = record.sittings?.last { $0.fromStep < step }
        if let note = sitting.differences(from: before, shards: configuration.loop.shards) {
            progress.report(.note(note))
        }
        if let reason = sitting.code.unknownBecause {
            progress.report(.note("note: the commit of the code is unknown: \(reason)"))
        }
        record.sittings = (record.sittings ?? []) + [sitting]
        let environment = RunRecord.Environment.current
        if record.environments.last != environment { record.environments.append(environment) }
        record.status = .running
        record.stopReason = nil
        // Training goes on from an earlier checkpoint, which somebody put in place of the last: the best may be
        // another, and so may the end.
        if step < record.training.stepsDone {
            record.validation = nil
            record.training.stoppedEarly = false
        }
    }

    /// Takes part in the runs of the first process until it has no more.
    ///
    /// - Parameter open: Opens the data of a configuration.
    public static func follow(
        _ processes: any ProcessGroup, open: (Work.Configuration) throws -> Work.Data
    ) throws {
        try RunTeam<Work>(processes).follow(open: open)
    }

    /// Reads the reported figures with the best checkpoint: validation, then the test split, once.
    private func report(_ work: Work, checkpoints: CheckpointStore) throws {
        guard let best = checkpoints.best else { throw CheckpointError.noCheckpoint(path: folder.path) }
        try best.restore(work.tensors)
        let step = record.training.selectedStep ?? record.training.stepsDone
        func read(_ split: DataSplit) throws -> SplitEvaluation {
            let result = try work.report(split)
            if let name = result.notFinite {
                throw TrainingError.notFinite(what: "\(split.rawValue) \(name)", step: step, lastCheckpoint: nil)
            }
            // Read as during training it was reported then.
            if split != .validation || result.lossNats != record.training.selectionValidation?.lossNats {
                progress.report(.evaluated(split: split.rawValue, step: step, result: result, isBest: false))
            }
            record.training.wallSeconds += result.seconds
            return result
        }
        if record.validation == nil {
            record.validation = try read(.validation)
            // A split can take hours to read; a stop while the test split is read leaves this one done.
            try writeRecord()
        }
        record.test = try read(.test)
        record.status = .finished
        try writeRecord()
    }

    private func stop(signal: Int32) throws -> TrainingRunEnd {
        record.status = .interrupted
        record.stopReason = "signal \(signal)"
        try writeRecord()
        progress.report(.note("stopped at step \(grouped(record.training.stepsDone)) with a checkpoint"))
        return .interrupted(signal: signal)
    }

    private func update(from state: TrainingState) throws {
        record.training.stepsDone = state.step
        record.training.selectedStep = state.best?.step
        record.training.selectionValidation = state.best?.validation
        record.training.trainingSeconds = state.trainingSeconds
        record.training.secondsPerStep = state.step > 0 ? state.trainingSeconds / Double(state.step) : nil
        record.training.wallSeconds = state.wallSeconds + (record.validation?.seconds ?? 0)
        try writeRecord()
    }
}
