import Datasets
import Foundation
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

/// The checkout that this test was compiled in.
let checkout = ProjectFolder(
    url: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent())

let committedConfigurations = checkout.experiment("char-hyperlstm").appendingPathComponent("configs")

/// A configuration small enough to train within a second, and a corpus to go with it.
struct TestRun {
    let folder: TemporaryFolder
    let file: ConfigurationFile
    let corpus: CharacterCorpus

    /// Every kind of model state that a checkpoint must hold: dropout everywhere, a hyper cell, carried state, an epoch
    /// that ends within the run.
    static let yaml = """
        # Command:  none
        budget: tiny
        reproduces: null
        data: {corpus: sample}
        model:
          cell: hyper-lstm
          layers: 1
          units: 12
          layerNorm: true
          hyperUnits: 6
          embeddingSize: 2
          keepInput: 0.9
          keepOutput: 0.9
          keepRecurrent: 0.9
          keepHyperRecurrent: 0.9
        training:
          batch: 4
          sequenceLength: 10
          steps: 40
          carryState: true
          adam: {beta1: 0.9, beta2: 0.999, epsilon: 1.0e-8}
          learningRate: 0.01
          clipNorm: 1.0
          patience: null
          seeds: [0]
          logEvery: 1
          checkpointEvery: 5
        evaluation:
          validateAt: 8
          validationStreams: 2
          validationCharacters: null
          reportedStreams: 1
        deviations:
          hyperStateForEmbeddings: current
          forgetBias: 1
          hyperLayerNorm: match-main
          layerNormEpsilon: 0.001
        """

    static func text(characters: Int) -> String {
        let line = "she sells sea shells by the shore; the shells she sells are sea shells\n"
        return String(String(repeating: line, count: characters / line.count + 1).prefix(characters))
    }

    init(overrides: [String] = []) throws {
        folder = try TemporaryFolder()
        try folder.write(Self.text(characters: 1300), to: "data/sample/sample.train.txt")
        try folder.write(Self.text(characters: 200), to: "data/sample/sample.valid.txt")
        try folder.write(Self.text(characters: 150), to: "data/sample/sample.test.txt")
        let url = try folder.write(Self.yaml, to: "tiny.yaml")
        file = try ConfigurationFile(contentsOf: url, overrides: overrides)
        corpus = try CharacterCorpus.open(
            .sample, dataFolder: DataFolder(path: folder.url.appendingPathComponent("data").path, origin: .option))
    }

    var configuration: CharacterConfiguration {
        get throws { try CharacterConfiguration(file.root) }
    }

    func begin(
        out: String = "runs", progress: any ProgressReporter = SilentProgress(),
        interruption: Interruption = Interruption()
    ) throws -> CharacterRun {
        try CharacterRun(
            beginning: try NamedConfiguration(file), seed: 3, data: corpus, out: folder.url.appendingPathComponent(out),
            code: RunRecord.Code(commit: "test", treeDirty: nil), progress: progress, interruption: interruption)
    }

    func resume(
        _ url: URL, overrides: [String] = [], progress: any ProgressReporter = SilentProgress()
    ) throws -> CharacterRun {
        try CharacterRun(
            resuming: url, overrides: overrides, data: corpus, progress: progress, interruption: Interruption())
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

/// All bytes of a run that must not depend on whether it was interrupted: every checkpoint file but the seconds in the
/// state, and every logged number but the seconds.
func lastingState<Position: Codable & Sendable & Equatable>(
    of run: URL, position: Position.Type = CharacterExperiment.Position.self
) throws -> [String: [UInt8]] {
    let latest = try #require(try CheckpointStore(runFolder: run).latest)
    var state: [String: [UInt8]] = [:]
    for name in [CheckpointFile.model, CheckpointFile.optimizer, CheckpointFile.carried] {
        state[name] = try [UInt8](Data(contentsOf: latest.url.appendingPathComponent(name)))
    }
    let checkpoint = try latest.state(CheckpointState<Position>.self)
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

/// Runs a configuration whole, and in two sittings, and expects both to end in one state.
///
/// - Returns: The record of the run in two sittings.
@discardableResult
func expectSameEnd(of run: TestRun, resumedAt step: Int) throws -> RunRecord {
    let whole = try run.begin(out: "whole")
    _ = try whole.run()
    let interruption = Interruption()
    let first = try run.begin(out: "parts", progress: StopAtStep(step, interruption), interruption: interruption)
    _ = try first.run()
    let second = try run.resume(first.folder)
    #expect(try second.run() == .finished)
    #expect(try lastingState(of: second.folder) == (try lastingState(of: whole.folder)))
    return second.record
}
