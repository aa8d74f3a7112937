import Compute
import Foundation
import NeuralNetwork

/// The part of a configuration that the loop itself reads.
public struct TrainingLoopSettings: Equatable, Sendable {
    public let steps: Int
    public let learningRate: LearningRateSchedule
    /// Greatest global norm of the gradient; nil leaves it as it is.
    public let clipNorm: Double?
    public let validate: EvaluationSchedule
    /// Evaluations without a better one after which training stops; nil never stops early.
    public let patience: Int?
    public let logEvery: Int
    public let checkpointEvery: Int
    /// Equal parts that a batch is computed in (`TrainingStep`): a power of two.
    public let shards: Int
    /// Most shards: a process alone has a thread for each.
    static let mostShards = 1024

    public init(
        steps: Int, learningRate: LearningRateSchedule, clipNorm: Double?, validate: EvaluationSchedule,
        patience: Int?, logEvery: Int, checkpointEvery: Int, shards: Int = 1
    ) {
        self.steps = steps
        self.learningRate = learningRate
        self.clipNorm = clipNorm
        self.validate = validate
        self.patience = patience
        self.logEvery = logEvery
        self.checkpointEvery = checkpointEvery
        self.shards = shards
    }

    /// Reads the keys `ConfigurationKeys.trainingLoop` except `seeds`, and `ConfigurationKeys.validation`.
    ///
    /// - Parameters:
    ///   - training: The section `training`.
    ///   - evaluation: The section `evaluation`.
    ///   - batch: The batch of a step, which the shards divide.
    /// - Throws: `ConfigurationError`.
    public init(
        training: ConfigurationReader, evaluation: ConfigurationReader, batch: Int
    ) throws(ConfigurationError) {
        self.init(
            steps: try training.integer("steps", atLeast: 1),
            learningRate: try training.learningRate("learningRate"),
            clipNorm: try training.optionalNumber("clipNorm", in: 1e-9...1e9),
            validate: try evaluation.evaluationSchedule("validateAt"),
            patience: try training.optionalInteger("patience", atLeast: 1),
            logEvery: try training.integer("logEvery", atLeast: 1),
            checkpointEvery: try training.integer("checkpointEvery", atLeast: 1),
            shards: try training.shards("shards", ofBatch: batch))
    }

    /// The keys of the section `training` that files of earlier versions lack, with what held then.
    public static let younger: [String: ConfigurationNode.Content] = [
        "shards": .scalar(text: "1", type: .integer)
    ]
}

extension ConfigurationKeys {
    /// The sections of every experiment's configuration.
    public static let experiment: ConfigurationKeys = [
        "budget": "`paper` for a row's own settings, else the name of the smaller budget",
        "reproduces": "the row of the paper whose figure this is held to; null for none",
        "data": "what is read", "model": "what is trained", "training": "how it is trained",
        "evaluation": "how splits are read",
        "deviations": "where the paper is silent, see [deviations.md](deviations.md)",
    ]

    /// The keys of the section `training` that the loop reads, whatever it trains.
    public static let trainingLoop: ConfigurationKeys = [
        "steps": "training steps in all",
        "learningRate":
            "the rate: a number; stages, `[{untilStep, rate}, …]`; or a rise and a fall, `{peak, final, warmUpSteps, totalSteps}`,"
            + " with `holdUntilStep` too",
        "clipNorm": "greatest global norm of the gradient, which is scaled down to it; null leaves it as it is",
        "patience": "validations without a better one after which training stops; null never stops early",
        "seeds": "seeds of the initial values, the order of the data and dropout: one run for each",
        "logEvery": "training steps between two lines of `steps.jsonl`",
        "checkpointEvery": "training steps between two checkpoints; every validation writes one too",
        "shards":
            "equal parts that each batch is computed in, a power of two: one run on many processes, see"
            + " [cluster.md](cluster.md); the same bits on any number of threads and processes, but not those of another"
            + " number of shards",
    ]

    /// The key of the section `evaluation` that the loop reads.
    public static let validation: ConfigurationKeys = [
        "validateAt":
            "training steps between two validations, or the list of those that one follows; the last always has one"
    ]
}

extension ConfigurationReader {
    /// Parts of a batch: a power of two that divides it, up to `TrainingLoopSettings.mostShards`.
    ///
    /// - Throws: `ConfigurationError`.
    fileprivate func shards(_ key: String, ofBatch batch: Int) throws(ConfigurationError) -> Int {
        let shards = try integer(key, atLeast: 1, atMost: TrainingLoopSettings.mostShards)
        guard shards & (shards - 1) == 0, batch % shards == 0 else {
            throw invalid(key, expected: "a power of two that divides the batch of \(batch)", found: "\(shards)")
        }
        return shards
    }
}

/// The loop's own state between two steps; with the parameters, the optimizer and the task's position it is all that a
/// resumed run needs to go on bit by bit as if it had never stopped.
public struct TrainingState: Codable, Equatable, Sendable {
    public struct Best: Codable, Equatable, Sendable {
        public let step: Int
        public let validation: SplitEvaluation
    }

    /// Updates taken.
    public var step = 0
    /// The validation that belongs to `step` has not been read yet (a stop came first).
    public var validationDue = false
    public var best: Best?
    public var evaluationsSinceBest = 0
    /// Seconds spent in training steps only.
    public var trainingSeconds = 0.0
    /// Seconds of everything: steps, evaluations, checkpoints; over all sittings.
    public var wallSeconds = 0.0

    public init() {}
}

/// The end of a call of the loop.
public enum TrainingEnd: Equatable, Sendable {
    case allSteps
    /// `patience` evaluations brought nothing better.
    case stoppedEarly
    /// A checkpoint was written; the run can be resumed.
    case interrupted(signal: Int32)
}

public enum TrainingError: Error, Equatable, CustomStringConvertible {
    /// A loss, a gradient or a number of the model is NaN or infinite; no checkpoint holds it.
    case notFinite(what: String, step: Int, lastCheckpoint: String?)

    public var description: String {
        switch self {
        case .notFinite(let what, let step, let lastCheckpoint):
            let kept =
                lastCheckpoint.map {
                    "; the last good checkpoint is kept: \($0), and `resume` goes on from it, with another rate by"
                        + " --set training.learningRate=…"
                } ?? ""
            return "the \(what) is not finite at step \(step)\(kept)"
        }
    }
}

/// Steps, evaluations and checkpoints of one run, for any task.
///
/// One step: the loss of the next batch, its gradient, clipping by global norm, the optimizer's update.
/// Validation chooses the best checkpoint; the test split is none of the loop's business.
public final class TrainingLoop<Task: TrainingTask> {
    private let updates: TrainingStep<Task>
    private let checkpoints: CheckpointStore
    private let stepLog: StepLog
    private let progress: any ProgressReporter
    private let interruption: Interruption
    private let configurationYAML: String
    private let modelMetadata: [String: String]
    private let metric: Metric
    /// Called after each evaluation and checkpoint, so that the run's record keeps up.
    private let onMilestone: (TrainingState) throws -> Void

    public private(set) var state = TrainingState()
    /// The carried tensors of the latest checkpoint, of the whole batch; nil at the start of a run.
    private var restored: [NamedTensor]?

    private var task: Task { updates.task }
    private var optimizer: any CheckpointedOptimizer { updates.optimizer }
    private var settings: TrainingLoopSettings { updates.settings }

    /// - Parameters:
    ///   - updates: the parameters and what moves them.
    ///   - checkpoints: where they go; a run that has some is resumed from the latest by `restore()`.
    ///   - stepLog: the run's `steps.jsonl`.
    ///   - configurationYAML: the resolved configuration, kept in every checkpoint.
    ///   - metric: what validations are compared by.
    ///   - modelMetadata: what a reader of the weights needs beside them; goes into the header of the weights' file.
    init(
        updates: TrainingStep<Task>, checkpoints: CheckpointStore,
        stepLog: StepLog, progress: any ProgressReporter, interruption: Interruption, configurationYAML: String,
        modelMetadata: [String: String], metric: Metric, onMilestone: @escaping (TrainingState) throws -> Void
    ) {
        self.updates = updates
        self.checkpoints = checkpoints
        self.stepLog = stepLog
        self.progress = progress
        self.interruption = interruption
        self.configurationYAML = configurationYAML
        self.modelMetadata = modelMetadata
        self.metric = metric
        self.onMilestone = onMilestone
    }

    // MARK: - Running

    /// Trains until the last step, an early stop or an interruption, with a checkpoint at the end of each.
    ///
    /// - Throws: `TrainingError.notFinite`; what the task, the checkpoints and the log throw.
    public func run() throws -> TrainingEnd {
        let start = ContinuousClock.now
        let wallSecondsBefore = state.wallSeconds
        var speed = SpeedEstimate()
        func updateWallSeconds() {
            state.wallSeconds = wallSecondsBefore + (ContinuousClock.now - start).seconds
        }
        try updates.share(step: state.step, carried: restored)
        // A run that fails in its first steps still has a place to go back to.
        if checkpoints.latest == nil { try writeCheckpoint(isBest: false) }

        while true {
            if state.validationDue {
                do {
                    try validate(updateWallSeconds)
                } catch let interrupted as Interrupted {
                    updateWallSeconds()
                    try writeCheckpoint(isBest: false)
                    try onMilestone(state)
                    return .interrupted(signal: interrupted.signal)
                }
            }
            if let patience = settings.patience, state.evaluationsSinceBest >= patience { return .stoppedEarly }
            if state.step >= settings.steps { return .allSteps }
            if let signal = interruption.signal {
                updateWallSeconds()
                try writeCheckpoint(isBest: false)
                try onMilestone(state)
                return .interrupted(signal: signal)
            }

            let stepStart = ContinuousClock.now
            let update = try updates.take(state.step + 1, lastCheckpoint: checkpoints.latest?.path)
            let seconds = (ContinuousClock.now - stepStart).seconds
            state.step += 1
            state.trainingSeconds += seconds
            state.validationDue = settings.validate.contains(step: state.step, of: settings.steps)
            updateWallSeconds()
            speed.add(seconds: seconds)
            if state.step % settings.logEvery == 0 || state.step == settings.steps || state.step == 1 {
                try stepLog.append(
                    StepRecord(
                        step: state.step, seconds: state.wallSeconds, lossNats: update.lossNats,
                        objective: update.objective, rate: update.rate, gradientNorm: update.gradientNorm))
            }
            // Evaluations and checkpoints, of all sittings.
            let overhead = (state.wallSeconds - state.trainingSeconds) / Double(state.step)
            progress.report(
                .step(
                    StepProgress(
                        step: state.step, steps: settings.steps, lossNats: update.lossNats,
                        unitsPerSecond: Double(task.unitsPerStep) / speed.secondsPerStep,
                        secondsLeft: Double(settings.steps - state.step) * (speed.secondsPerStep + max(0, overhead)))))
            if state.step % settings.checkpointEvery == 0, !state.validationDue {
                try writeCheckpoint(isBest: false)
                try onMilestone(state)
            }
        }
    }

    private func notFinite(_ what: String, step: Int) -> TrainingError {
        .notFinite(what: what, step: step, lastCheckpoint: checkpoints.latest?.path)
    }

    private func validate(_ updateWallSeconds: () -> Void) throws {
        let validation = try task.validate()
        if let name = validation.notFinite { throw notFinite("validation \(name)", step: state.step) }
        let isBest = metric.isBetter(validation, than: state.best?.validation)
        if isBest {
            state.best = TrainingState.Best(step: state.step, validation: validation)
            state.evaluationsSinceBest = 0
        } else {
            state.evaluationsSinceBest += 1
        }
        state.validationDue = false
        updateWallSeconds()
        try stepLog.append(StepRecord(step: state.step, seconds: state.wallSeconds, validation: validation))
        progress.report(.evaluated(split: "validation", step: state.step, result: validation, isBest: isBest))
        try writeCheckpoint(isBest: isBest)
        try onMilestone(state)
    }

    // MARK: - Checkpoints

    /// - Throws: `TrainingError.notFinite`, so that the checkpoint before it stays the latest; `CheckpointError`.
    private func writeCheckpoint(isBest: Bool) throws {
        let carried = updates.carriedTensors()
        for (name, tensor) in task.tensors + optimizer.state + carried
        where !tensor.floats.allSatisfy(\.isFinite) {
            throw notFinite("tensor '\(name)'", step: state.step)
        }
        let stateFile = CheckpointState(
            training: state, optimizerStepCount: optimizer.stepCount, position: task.position,
            checksums: CheckpointFile.sums)
        var metadata = modelMetadata
        metadata["step"] = String(state.step)
        try checkpoints.write(
            CheckpointContent(
                model: task.tensors, optimizer: optimizer.state,
                carried: carried, metadata: metadata, state: try StableJSON.encode(stateFile),
                configurationYAML: configurationYAML),
            step: state.step, isBest: isBest)
    }

    /// Goes back to the latest checkpoint: parameters, optimizer, task and log.
    ///
    /// - Throws: `CheckpointError` if there is none or it belongs to another model or other data;
    ///   `RecordError.unreadable` for a number that no run can have written.
    public func restore() throws {
        guard let latest = checkpoints.latest else { throw CheckpointError.noCheckpoint(path: checkpoints.url.path) }
        let stateFile = try latest.state(CheckpointState<Task.Position>.self)
        let path = latest.url.appendingPathComponent(CheckpointFile.state).path
        try stateFile.checkNumbers(steps: settings.steps, path: path)
        try latest.restore(task.tensors)
        try latest.restore(optimizer.state, from: CheckpointFile.optimizer)
        optimizer.stepCount = stateFile.optimizerStepCount
        let carried = try latest.tensors(CheckpointFile.carried)
        do {
            try task.restore(position: stateFile.position, carried: carried)
        } catch let error as CheckpointError {
            // The task knows what the files held, and not where they lie.
            let name = if case .otherModel = error { CheckpointFile.carried } else { CheckpointFile.state }
            throw CheckpointError.file(path: latest.url.appendingPathComponent(name).path, reason: "\(error)")
        }
        restored = carried
        state = stateFile.training
        try stepLog.truncate(toStep: state.step, keepingItsValidation: !state.validationDue)
    }
}

/// The state file of a checkpoint.
struct CheckpointState<Position: Codable & Sendable>: Codable {
    let training: TrainingState
    let optimizerStepCount: Int
    let position: Position
    /// The file with the sums of the checkpoint's files; nil from before there was one.
    let checksums: String?

    /// Holds every number to what a run of so many steps can have written: a checkpoint may have no checksums. The
    /// largest that pass leave room for all that is added to them later.
    ///
    /// - Throws: `RecordError.unreadable` naming the key.
    func checkNumbers(steps: Int, path: String) throws(RecordError) {
        let check = NumberCheck(path: path)
        try check.count("training.step", training.step, upTo: steps)
        try check.count("training.best.step", training.best?.step, upTo: steps)
        try check.count("training.evaluationsSinceBest", training.evaluationsSinceBest, upTo: steps)
        try check.count("optimizerStepCount", optimizerStepCount, upTo: steps)
        try check.split("training.best.validation", training.best?.validation)
        try check.seconds("training.trainingSeconds", training.trainingSeconds)
        try check.seconds("training.wallSeconds", training.wallSeconds)
        for (key, number) in Self.counts(in: position, key: "position") { try check.count(key, number, upTo: 1 << 60) }
    }

    /// The whole numbers in a value and in what it consists of, by key; of a stream of random numbers its position
    /// alone: its other numbers may be any.
    private static func counts(in value: Any, key: String) -> [(key: String, number: Int)] {
        if let number = value as? Int { return [(key, number)] }
        if let random = value as? RandomStream { return [("\(key).position", Int(clamping: random.position))] }
        return Mirror(reflecting: value).children.flatMap { counts(in: $0.value, key: "\(key).\($0.label ?? "")") }
    }
}

/// Seconds of a step, smoothed over the last twenty or so; the first step is left out once there are others, because
/// it also pays for the buffers that all later steps reuse.
private struct SpeedEstimate {
    private var count = 0
    private(set) var secondsPerStep = 0.0

    mutating func add(seconds: Double) {
        count += 1
        secondsPerStep =
            count <= 2 ? seconds : secondsPerStep + (seconds - secondsPerStep) * max(0.1, 1 / Double(count))
    }
}

extension Duration {
    /// The duration in seconds.
    public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
