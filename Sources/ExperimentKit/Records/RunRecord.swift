import Compute
import Datasets
import Foundation
import SourceCommit

/// `record.json`: everything that a reader of a result needs to judge it, and a rerun needs to repeat it.
public struct RunRecord: Codable, Equatable, Sendable {
    /// How far a run has come.
    public enum Status: String, Codable, Sendable {
        /// Training was under way when the record was last written; a killed run stays so until it is resumed.
        case running
        /// Stopped by a signal, with a checkpoint.
        case interrupted
        /// A number was NaN or infinite: a loss, a gradient, a figure or a tensor; `stopReason` says which.
        case notFinite = "not finite"
        /// Trained to its end (the last step or an early stop) and evaluated.
        case finished
    }

    /// The code that ran: what the program was built from.
    public struct Code: Codable, Equatable, Sendable {
        /// `unknown` where it was not built from a git working tree.
        public let commit: String
        /// Whether tracked or new files other than records and results differed from the commit; nil if unknown.
        public let treeDirty: Bool?
        /// Why the commit is unknown; nil where it is known, and in records from before it was written down.
        public var unknownBecause: String?
    }

    /// One call of the program that worked on the run: a resumed run may go on elsewhere and with other code. Of
    /// several processes that share the work, the host, kernels and threads are those of the first.
    public struct Sitting: Codable, Equatable, Sendable {
        /// When it began: ISO 8601, UTC.
        public let began: String
        /// Steps that the run had taken by then.
        public let fromStep: Int
        public let code: Code
        /// The suite's version; nil in records from before it was written down.
        public let version: String?
        /// SHA-256 of the program's own file: what ran, whatever the checkout around it says.
        public let programSHA256: String?
        /// The kind of host, not its name.
        public let cpu: String
        public let cores: Int
        public let memoryGiB: Int
        public let simd: String
        /// OpenBLAS's kernels; nil in records from before they were written down.
        public let blasCore: String?
        public let threads: Int
        /// Processes that shared the work of a step.
        public let processes: Int
        /// The record's `changes` by then.
        public var changes: [String]?
    }

    /// The machine and the libraries, of the first process.
    public struct Environment: Codable, Equatable, Sendable {
        public let swift: String
        public let operatingSystem: String
        public let cpu: String
        public let simd: String
        public let threads: Int
        /// Why so many; nil in records from before it was written down.
        public let threadsReason: String?
        /// The whole sentence: version, kernels in use and how they were chosen.
        public let blas: String
        public let blasVersion: String
        public let blasCore: String
    }

    /// The course of training: its length, the checkpoint selected, and the time that it took.
    public struct Training: Codable, Equatable, Sendable {
        /// Steps that the configuration asks for.
        public let stepsPlanned: Int
        public var stepsDone: Int
        public var stoppedEarly: Bool
        /// The step whose checkpoint has the best validation.
        public var selectedStep: Int?
        /// The validation that selected it, read as the configuration says.
        public var selectionValidation: SplitEvaluation?
        /// Predictions that a step learns from, and what they are; nil in records from before these keys.
        public var unitsPerStep: Int?
        public var unit: String?
        /// Seconds of training steps alone, and per step.
        public var trainingSeconds: Double
        public var secondsPerStep: Double?
        /// Seconds of everything, over all sittings, the reported evaluations included.
        public var wallSeconds: Double
    }

    /// 1. A later one is refused: it may mean something else by a key.
    public let formatVersion: Int
    public let experiment: String
    public let configuration: String
    public let budget: String
    /// The differences from the paper's own settings of the row, computed; empty for the paper's budget.
    public private(set) var differences: [ConfigurationFile.Difference]
    /// Changes by `resume --set` since the run was begun, as `key.path=value` in order; nil for none.
    public private(set) var changes: [String]?
    /// SHA-256 of the run's `config.yaml`; nil in records from before it was written down.
    public private(set) var configurationSHA256: String?
    public let seed: Int
    public var status: Status
    /// The reason why a run did not finish.
    public var stopReason: String?
    public let code: Code
    /// One entry a sitting: a resumed run may go on elsewhere.
    public var environments: [Environment]
    /// In order; nil in records from before they were written down.
    public var sittings: [Sitting]?
    public let data: DataDescription
    public let parameterCount: Int
    public var training: Training
    /// The reported figures, read with the selected checkpoint; the test split is read once, after the selection. That
    /// of validation is there before the run is finished, while the test split is read.
    public var validation: SplitEvaluation?
    public var test: SplitEvaluation?

    /// - Throws: `RecordError.unwritable`; the record before it stands as it was.
    public func write(to url: URL) throws { try Files.write(try StableJSON.encode(self), to: url) }

    /// - Throws: `RecordError.unreadable`, for a number that no run can have written too: it names the key.
    public init(contentsOf url: URL) throws {
        let bytes = try Files.bytes(of: url)
        struct Format: Decodable { let formatVersion: Int }
        do {
            let format = try StableJSON.decode(Format.self, from: bytes).formatVersion
            guard format == 1 else {
                throw RecordError.unreadable(
                    path: url.path,
                    reason: "of format \(format), where this version of the suite knows 1: use a later one")
            }
            self = try StableJSON.decode(RunRecord.self, from: bytes)
        } catch let error as RecordError {
            throw error
        } catch {
            throw RecordError.unreadable(path: url.path, reason: StableJSON.fault(error))
        }
        try checkNumbers(path: url.path)
    }

    private func checkNumbers(path: String) throws(RecordError) {
        let check = NumberCheck(path: path)
        try check.count("seed", seed, upTo: .max)
        try check.count("parameterCount", parameterCount)
        try check.count("training.stepsPlanned", training.stepsPlanned)
        try check.count("training.stepsDone", training.stepsDone)
        try check.count("training.selectedStep", training.selectedStep)
        try check.split("training.selectionValidation", training.selectionValidation)
        try check.count("training.unitsPerStep", training.unitsPerStep)
        try check.seconds("training.trainingSeconds", training.trainingSeconds)
        try check.seconds("training.secondsPerStep", training.secondsPerStep)
        try check.seconds("training.wallSeconds", training.wallSeconds)
        for (index, environment) in environments.enumerated() {
            try check.count("environments[\(index)].threads", environment.threads)
        }
        for (index, sitting) in (sittings ?? []).enumerated() {
            try check.count("sittings[\(index)].fromStep", sitting.fromStep)
            try check.count("sittings[\(index)].cores", sitting.cores)
            try check.count("sittings[\(index)].memoryGiB", sitting.memoryGiB)
            try check.count("sittings[\(index)].threads", sitting.threads)
            try check.count("sittings[\(index)].processes", sitting.processes)
        }
        try check.split("validation", validation)
        try check.split("test", test)
    }
}

extension RunRecord {
    init(
        experiment: String, configuration: ConfigurationFile, decoded: some RunConfiguration, unit: String, seed: Int,
        code: Code, data: DataDescription, parameterCount: Int
    ) {
        formatVersion = 1
        self.experiment = experiment
        self.configuration = configuration.name
        budget = decoded.budget
        differences = configuration.differences.filter {
            !type(of: decoded).leavesFiguresUnchanged($0.key, in: configuration.root)
        }
        configurationSHA256 = Checksum.sha256([UInt8](configuration.root.yaml.utf8))
        self.seed = seed
        status = .running
        self.code = code
        environments = []
        self.data = data
        self.parameterCount = parameterCount
        training = Training(
            stepsPlanned: decoded.loop.steps, stepsDone: 0, stoppedEarly: false,
            unitsPerStep: decoded.unitsPerStep, unit: unit,
            trainingSeconds: 0, wallSeconds: 0)
    }

    /// Adds what `resume --set` changes.
    mutating func change(_ overrides: [String], from before: ConfigurationNode, to after: ConfigurationNode) {
        changes = (changes ?? []) + overrides
        configurationSHA256 = Checksum.sha256([UInt8](after.yaml.utf8))
        for change in ConfigurationFile.differences(of: after, from: before) {
            let base = differences.first { $0.key == change.key }?.base ?? change.base
            differences.removeAll { $0.key == change.key }
            guard base != change.value else { continue }
            differences.append(.init(key: change.key, base: base, value: change.value))
        }
    }

    /// Keys of the length of training, its rate and the reading of splits: whatever they are, the model, the data and
    /// the work of a step are the same.
    static func isLengthOrReading(_ key: String) -> Bool {
        ["training.steps", "training.learningRate", "training.patience", "evaluation."].contains { key.hasPrefix($0) }
    }

    /// Whether a key changes neither the model, nor its training, nor the figures; of shards
    /// `RunConfiguration.leavesFiguresUnchanged` may know otherwise.
    public static func leavesFiguresUnchanged(_ key: String) -> Bool {
        [
            "budget", "training.seeds", "training.shards", "training.logEvery", "training.checkpointEvery",
            "evaluation.batch", "reproduces.tolerance",
        ].contains(key)
    }
}

extension RunRecord.Environment {
    /// The machine as it is now; after `ComputeEnvironment.configure`.
    public static var current: RunRecord.Environment {
        RunRecord.Environment(
            swift: compilerVersion, operatingSystem: ProcessInfo.processInfo.operatingSystemVersionString,
            cpu: ComputeEnvironment.cpuName, simd: ComputeEnvironment.simdName, threads: ComputeEnvironment.threads,
            threadsReason: ComputeEnvironment.threadChoice.reason, blas: ComputeEnvironment.blasDescription,
            blasVersion: ComputeEnvironment.blasVersion, blasCore: ComputeEnvironment.blasCoreName)
    }

    /// The compiler that built this program; the language offers no finer number than this at compile time.
    private static var compilerVersion: String {
        #if compiler(>=6.5)
            return "Swift 6.5 or later"
        #elseif compiler(>=6.4)
            return "Swift 6.4"
        #elseif compiler(>=6.3)
            return "Swift 6.3"
        #else
            return "Swift 6.2"
        #endif
    }
}

extension RunRecord.Code {
    /// The code that this program was built from.
    public static var current: RunRecord.Code {
        RunRecord.Code(
            commit: SourceCommit.hash ?? "unknown", treeDirty: SourceCommit.hasChanges,
            unknownBecause: SourceCommit.unknownBecause)
    }
}

extension RunRecord.Sitting {
    /// This process, about to work on a run; after `ComputeEnvironment.configure`.
    static func current(
        fromStep step: Int, code: RunRecord.Code, processes: Int, changes: [String]?
    ) -> RunRecord.Sitting {
        let machine = ProcessInfo.processInfo
        return RunRecord.Sitting(
            began: Date().formatted(.iso8601), fromStep: step, code: code, version: Software.version,
            programSHA256: Software.programSHA256,
            cpu: ComputeEnvironment.cpuName, cores: machine.processorCount,
            memoryGiB: Int(machine.physicalMemory >> 30), simd: ComputeEnvironment.simdName,
            blasCore: ComputeEnvironment.blasCoreName, threads: ComputeEnvironment.threads, processes: processes,
            changes: changes)
    }

    /// Differences of this sitting from the one before that change the figures' last digits; nil for none.
    ///
    /// The same seed gives the same numbers only with the same code, kernels and number of threads.
    ///
    /// - Parameter shards: Parts of a batch; more than one are computed alike by any number of threads.
    func differences(from before: RunRecord.Sitting?, shards: Int) -> String? {
        guard let before else { return nil }
        var found: [String] = []
        if code.commit != before.code.commit {
            found.append("code \(before.code.commit.prefix(12)) → \(code.commit.prefix(12))")
        } else if programSHA256 != before.programSHA256 {
            found.append("another build of the program")
        }
        if simd != before.simd { found.append("instruction set \(before.simd) → \(simd)") }
        if let core = blasCore, let other = before.blasCore, core != other {
            found.append("OpenBLAS kernels \(other) → \(core)")
        }
        if threads != before.threads, shards == 1 { found.append("threads \(before.threads) → \(threads)") }
        guard !found.isEmpty else { return nil }
        return "note: not as in the sitting before: \(found.joined(separator: ", "));"
            + " the run goes on, but not bit by bit as it would have"
    }
}
