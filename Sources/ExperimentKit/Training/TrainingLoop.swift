import Compute
import Foundation
import NeuralNetwork

/// The loop's own state between two steps; with the parameters, the optimizer and the task's position it is all that a
/// resumed run needs to go on bit by bit as if it had never stopped.
struct TrainingState: Codable, Equatable, Sendable {
    /// The best validation so far.
    struct Best: Codable, Equatable, Sendable {
        let step: Int
        let validation: SplitEvaluation
    }

    /// Updates taken.
    var step = 0
    /// The validation that belongs to `step` has not been read yet (a stop came first).
    var validationDue = false
    var best: Best?
    var evaluationsSinceBest = 0
    /// Seconds spent in training steps only.
    var trainingSeconds = 0.0
    /// Seconds of everything: steps, evaluations, checkpoints; over all sittings.
    var wallSeconds = 0.0
}

/// The end of a call of the loop.
enum TrainingEnd: Equatable, Sendable {
    case allSteps
    /// `patience` evaluations brought nothing better.
    case stoppedEarly
}

/// Why training ended before its last step.
public enum TrainingError: Error, Equatable, CustomStringConvertible {
    /// A loss, a gradient or a number of the model is NaN or infinite; no checkpoint holds it.
    case notFinite(what: String, step: Int, lastCheckpoint: String?)
    /// The same of the very weights that the latest checkpoint holds.
    ///
    /// - Parameter wayBack: What to do to go on from an earlier checkpoint; nil where there is none.
    case notFiniteAgain(what: String, step: Int, checkpoint: String, wayBack: String?)

    /// What happened, for a record: without advice and without paths.
    var reason: String {
        switch self {
        case .notFinite(let what, let step, _), .notFiniteAgain(let what, let step, _, _): "the \(what) at step \(step)"
        }
    }

    public var description: String {
        switch self {
        case .notFinite(let what, let step, let lastCheckpoint):
            let kept =
                lastCheckpoint.map {
                    "; the last good checkpoint is kept: \($0), and `resume` goes on from it, with another rate by"
                        + " --set training.learningRate=…"
                } ?? ""
            return "the \(what) is not finite at step \(step)\(kept)"
        case .notFiniteAgain(let what, let step, let checkpoint, let wayBack):
            let advice =
                wayBack.map { "\($0), and `resume` with another rate by --set training.learningRate=…" }
                ?? (step <= 1
                    ? "its weights are the initial ones, so begin another run with another seed or other settings"
                    : "begin another run with another rate")
            return
                "the \(what) is not finite at step \(step), and the latest checkpoint, \(checkpoint), gives it again,"
                + " whatever the rate: \(advice)"
        }
    }
}

/// Steps, evaluations and checkpoints of one run, for any task.
///
/// One step: the loss of the next batch, its gradient, clipping by global norm, the optimizer's update.
/// Validation chooses the best checkpoint; the test split is none of the loop's business.
final class TrainingLoop<Task: TrainingTask> {
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

    private(set) var state = TrainingState()
    /// The carried tensors of the latest checkpoint, of the whole batch; nil at the start of a run.
    private var restored: [NamedTensor]?
    /// The step of the latest checkpoint; nil before the first.
    private var checkpointedStep: Int?

    private var task: Task { updates.task }
    private var optimizer: any CheckpointedOptimizer { updates.optimizer }
    private var settings: TrainingLoopSettings { updates.settings }

    /// - Parameters:
    ///   - updates: The parameters and what moves them.
    ///   - checkpoints: Where they go; a run that has some is resumed from the latest by `restore()`.
    ///   - stepLog: The run's `steps.jsonl`.
    ///   - configurationYAML: The resolved configuration, kept in every checkpoint.
    ///   - metric: What validations are compared by.
    ///   - modelMetadata: What a reader of the weights needs beside them; goes into the header of the weights' file.
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
    /// - Throws: `Interrupted`; `TrainingError`; what the task, the checkpoints and the log throw.
    func run() throws -> TrainingEnd {
        // Not the hours that a machine sleeps.
        let start = SuspendingClock.now
        let wallSecondsBefore = state.wallSeconds
        var speed = SpeedEstimate()
        func updateWallSeconds() {
            state.wallSeconds = wallSecondsBefore + (SuspendingClock.now - start).seconds
        }
        try updates.share(step: state.step, carried: restored)
        // A run that fails in its first steps still has a place to go back to.
        if checkpoints.latest == nil { try writeCheckpoint(isBest: false) }

        while true {
            do {
                if state.validationDue { try validate(updateWallSeconds) }
                if state.step >= settings.steps { return .allSteps }
                if let patience = settings.patience, state.evaluationsSinceBest >= patience { return .stoppedEarly }
                try interruption.check()
            } catch let stop as Interrupted {
                updateWallSeconds()
                try writeCheckpoint(isBest: false)
                try onMilestone(state)
                throw stop
            }

            let stepStart = SuspendingClock.now
            let update: TrainingStep<Task>.Result
            do {
                update = try updates.take(state.step + 1)
            } catch TrainingError.notFinite(let what, let step, _) {
                throw notFinite(what, step: step)
            }
            let seconds = (SuspendingClock.now - stepStart).seconds
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

    /// What the weights of `state.step` gave.
    private func notFinite(_ what: String, step: Int) -> TrainingError {
        guard let latest = checkpoints.latest, checkpointedStep == state.step else {
            return .notFinite(what: what, step: step, lastCheckpoint: checkpoints.latest?.path)
        }
        return .notFiniteAgain(what: what, step: step, checkpoint: latest.path, wayBack: checkpoints.wayBackToBest)
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
        // A checkpoint is on the disk when it is written; so must be the lines that lead to it.
        try stepLog.synchronize()
        try checkpoints.write(
            CheckpointContent(
                model: task.tensors, optimizer: optimizer.state,
                carried: carried, metadata: metadata, state: try StableJSON.encode(stateFile),
                configurationYAML: configurationYAML),
            step: state.step, isBest: isBest)
        checkpointedStep = state.step
    }

    /// Goes back to the latest checkpoint: parameters, optimizer, task and log.
    ///
    /// - Throws: `CheckpointError` if there is none or it belongs to another model or other data;
    ///   `RecordError.unreadable` for a number that no run can have written.
    func restore() throws {
        guard let latest = checkpoints.latest else { throw CheckpointError.noCheckpoint(path: checkpoints.url.path) }
        let stateFile = try latest.state(CheckpointState<Task.Position>.self)
        let path = latest.url.appendingPathComponent(CheckpointFile.state).path
        try stateFile.checkNumbers(steps: settings.steps, path: path)
        try checkpoints.requireBest(ofStep: stateFile.training.best?.step)
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
        checkpointedStep = state.step
        // A log with a hole would end as a run that nobody can read.
        try stepLog.truncate(
            toStep: state.step,
            hasValidation: !state.validationDue && settings.validate.contains(step: state.step, of: settings.steps),
            interval: settings.logEvery, planned: settings.steps)
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
