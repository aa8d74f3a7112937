import Datasets
import Foundation
import NeuralNetwork
import TestSupport
import Testing

@testable import ExperimentKit

/// A configuration that trains within seconds, as `tiny.yaml` in a folder of its own, and the data that it names.
struct ExperimentTest<Work: Experiment> {
    let folder: TemporaryFolder
    let file: ConfigurationFile
    let dataFolder: DataFolder
    let data: Work.Data

    var configuration: Work.Configuration {
        get throws { try Work.Configuration(file.root) }
    }

    var dataDescription: DataDescription {
        get throws { try Work.describe(data, configuration) }
    }

    /// What a run of the configuration trains.
    func work(shard: BatchShard = .whole) throws -> Work {
        try Work(
            configuration: try configuration, data: data, seed: 3, shard: shard, progress: SilentProgress(),
            interruption: Interruption())
    }

    func begin(
        out: String = "runs", progress: any ProgressReporter = SilentProgress(),
        interruption: Interruption = Interruption()
    ) throws -> TrainingRun<Work> {
        try TrainingRun<Work>(
            beginning: try NamedConfiguration(file), seed: 3, data: data, out: folder.url.appendingPathComponent(out),
            code: RunRecord.Code(commit: "test", treeDirty: nil), progress: progress, interruption: interruption)
    }

    func resume(
        _ run: URL, overrides: [String] = [], progress: any ProgressReporter = SilentProgress()
    ) throws -> TrainingRun<Work> {
        try TrainingRun<Work>(
            resuming: run, overrides: overrides, data: data, progress: progress, interruption: Interruption())
    }

    /// A run that was trained to its end.
    func finished(out: String = "runs") throws -> TrainingRun<Work> {
        let training = try begin(out: out)
        #expect(try training.run() == .finished)
        return training
    }

    /// A run that was stopped when a step was done.
    func stopped(at step: Int, out: String = "runs") throws -> TrainingRun<Work> {
        let interruption = Interruption()
        let training = try begin(out: out, progress: StopAtStep(step, interruption), interruption: interruption)
        #expect(try training.run() == .interrupted(signal: 15))
        return training
    }

    /// The arguments that train the file by its program, without the overrides.
    func trainArguments(out: String = "runs", threads: Int = 2, _ more: [String] = []) -> [String] {
        [
            "train", folder.path("tiny.yaml"), "--data", dataFolder.path, "--out", folder.path(out),
            "--threads", "\(threads)",
        ] + more
    }

    /// All bytes of a run that must not depend on whether it was interrupted: every checkpoint file but the seconds in
    /// the state, and every logged number but the seconds.
    func lastingState(of run: URL) throws -> [String: [UInt8]] {
        let latest = try #require(try CheckpointStore(runFolder: run).latest)
        var state: [String: [UInt8]] = [:]
        for name in [CheckpointFile.model, CheckpointFile.optimizer, CheckpointFile.carried] {
            state[name] = try [UInt8](Data(contentsOf: latest.url.appendingPathComponent(name)))
        }
        let checkpoint = try latest.state(CheckpointState<Work.Position>.self)
        state["position"] = try StableJSON.encode(checkpoint.position)
        state["optimizer steps"] = [UInt8](String(checkpoint.optimizerStepCount).utf8)
        let best = checkpoint.training.best.map { "\($0.step) \($0.validation.lossNats)" } ?? "-"
        state["best"] = [UInt8]("\(best), since then \(checkpoint.training.evaluationsSinceBest)".utf8)
        let log = try StepLog.read(run.appendingPathComponent("steps.jsonl")).map {
            "\($0.step) \($0.lossNats ?? 0) \($0.gradientNorm ?? 0) \($0.rate ?? 0) \($0.validation?.lossNats ?? 0)"
        }
        state["log"] = [UInt8](log.joined(separator: "\n").utf8)
        return state
    }

    /// Runs the configuration whole, and in two sittings, and expects both to end in one state.
    ///
    /// - Returns: The record of the run in two sittings.
    @discardableResult
    func expectSameEnd(resumedAt step: Int) throws -> RunRecord {
        let whole = try finished(out: "whole"), first = try stopped(at: step, out: "parts")
        #expect(first.record.status == .interrupted && first.record.training.stepsDone == step)
        let second = try resume(first.folder)
        #expect(try second.run() == .finished)
        #expect(try lastingState(of: second.folder) == lastingState(of: whole.folder))
        #expect(second.record.test?.lossNats == whole.record.test?.lossNats)
        #expect(second.record.test?.wrong == whole.record.test?.wrong)
        #expect(second.record.training.selectedStep == whole.record.training.selectedStep)
        return second.record
    }
}

/// Asks for a stop when a given step is done.
final class StopAtStep: ProgressReporter {
    private let step: Int
    private let interruption: Interruption

    init(_ step: Int, _ interruption: Interruption) {
        self.step = step
        self.interruption = interruption
    }

    func report(_ event: ProgressEvent) {
        if case .step(let progress) = event, progress.step == step { interruption.request(signal: 15) }
    }
}
