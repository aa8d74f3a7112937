import Foundation
import Safetensors
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite struct CommittedWeightsTests {
    @Test(arguments: [
        ("table3-layer-norm-hyperlstm-quick", "quick", "layer-norm-hyperlstm"),
        ("table2-hyper-wide-resnet-40-1", "paper", "hyper-wide-resnet-40-1"),
        ("cifar-10-epochs-hyper-wide-resnet-40-1", "10 epochs", "hyper-wide-resnet-40-1"),
        ("cifar-10-epochs-peak-0.004-hyper-wide-resnet-40-1", "10 epochs", "hyper-wide-resnet-40-1"),
        ("table3-layer-norm-hyperlstm-quick-peak-0.002", "quick peak", "layer-norm-hyperlstm"),
        ("table2-hyper-wide-resnet-40-1-epochs-100-peak-0.002", "epochs-100 peak", "hyper-wide-resnet-40-1"),
        ("table2-hyper-wide-resnet-40-1-epochs-100-peak-0.002", "epochs-100", "hyper-wide-resnet-40-1"),
        ("ptb-1000-steps-lstm", "1000 steps", "lstm"), ("a1-coordinates", "paper", "coordinates"),
        ("table3-lstm-steps-5000", "steps-5000", "lstm"),
    ]) func aRowsNameIsItsConfigurationsWithoutTableAndBudget(configuration: String, budget: String, row: String) {
        #expect(CommittedRun.rowName(configuration, budget: budget) == row)
    }

    private func named(_ name: String, among runs: [CommittedRun]) -> CommittedRun? {
        CommittedRun.named(name, among: runs, tables: CharacterExperiment.tables)
    }

    /// Losses on different data cannot be compared, and a generated sample has no row of the paper's.
    @Test func aRowOnEachDataSetIsOneOfItsOwn() throws {
        let test = try TestRun()
        func run(_ name: String, on data: String, nats: Double) throws -> CommittedRun {
            var record = try RunRecord.example(
                of: try ConfigurationFile(contentsOf: test.folder.url.appendingPathComponent("tiny.yaml"), name: name),
                data: DataDescription(name: data, displayName: data, official: true, files: [], notes: []))
            record.validation = SplitEvaluation(lossNats: nats, predictions: 1, streams: 1, seconds: 0)
            return CommittedRun(folder: test.folder.url, record: record)
        }
        let runs = [
            try run("sample-lstm", on: "sample", nats: 0.1), try run("table3-lstm", on: "ptb", nats: 1),
            try run("table4-lstm", on: "enwik8", nats: 0.5),
        ]
        #expect(runs.map(\.row) == ["lstm", "lstm", "lstm"])
        #expect(CommittedRun.longestOfEachRow(among: runs).map(\.name) == ["table3-lstm", "table4-lstm"])
        #expect(named("lstm", among: runs)?.name == "table3-lstm")
    }

    @Test func aFinishedRunIsKeptWithItsWeightsAndFoundByItsRow() throws {
        let test = try TestRun(), run = try test.finished()
        let experiment = try TemporaryFolder()
        let kept = try CommittedRun.keep(run.folder, in: experiment.url, half: true, replace: false)
        #expect(try Checkpoint(at: kept.folder).weights().convertedType == "F16")
        let all = CommittedRun.withWeights(in: experiment.url) { Issue.record("\($0)") }
        #expect(all.map(\.record) == [run.record])
        let row = CommittedRun.rowName(run.record.configuration, budget: run.record.budget)
        #expect(named(row, among: all)?.folder.path == kept.folder.path)
        #expect(named("another", among: all) == nil)
        // Without a seed 0 the configuration's name means the best of its seeds, and each can be named.
        var second = run.record
        second.validation = SplitEvaluation(lossNats: 1e-3, predictions: 1, streams: 1, seconds: 0)
        let folders = [3, 4].map { experiment.url.appendingPathComponent("\($0)") }
        let seeds = [
            CommittedRun(folder: folders[0], record: run.record),
            CommittedRun(folder: folders[1], record: second),
        ]
        #expect(run.record.seed == 3)
        #expect(named(run.record.configuration, among: seeds)?.folder == folders[1])
        for name in [run.record.configuration, row] {
            #expect(named("\(name)/3", among: Array(seeds.prefix(1)))?.folder == folders[0])
            #expect(named("\(name)/5", among: seeds) == nil)
        }
        // Half precision has 11 binary digits.
        let original = try Checkpoint(at: run.folder).tensors(CheckpointFile.model)
        for (one, other) in zip(original, try Checkpoint(at: kept.folder).tensors(CheckpointFile.model)) {
            #expect(one.name == other.name && one.shape == other.shape)
            #expect(zip(one.values, other.values).allSatisfy { abs($0 - $1) <= abs($0) / 2048 + 1e-7 })
        }
        // A second time the same; other weights, or another's record, are not overwritten unasked.
        _ = try CommittedRun.keep(run.folder, in: experiment.url, half: true, replace: false)
        let weights = kept.folder.appendingPathComponent(CheckpointFile.model)
        let half = try Data(contentsOf: weights)
        let error = #expect(throws: KeepError.self) {
            try CommittedRun.keep(run.folder, in: experiment.url, half: false, replace: false)
        }
        #expect(error?.description.hasPrefix("\(weights.path): ") == true)
        #expect(error?.description.contains("--replace overwrites them") == true)
        #expect(try Data(contentsOf: weights) == half)
        var other = run.record
        other.training.wallSeconds += 1
        try other.write(to: kept.folder.appendingPathComponent("record.json"))
        #expect(throws: KeepError.otherRecord(path: kept.folder.path)) {
            try CommittedRun.keep(run.folder, in: experiment.url, half: false, replace: false)
        }
        _ = try CommittedRun.keep(run.folder, in: experiment.url, half: false, replace: true)
        // A damaged record leaves its weights out, and the call that lists them goes on.
        let record = RunFolder(url: kept.folder).record
        try Data("{".utf8).write(to: record)
        var damages: [any Error] = []
        #expect(CommittedRun.withWeights(in: experiment.url) { damages.append($0) }.isEmpty)
        #expect(damages.map { "\($0)".hasPrefix(record.path) } == [true])
    }

    /// As those of the paper's larger models are.
    @Test func aRunWhoseWeightsAreTooLargeIsKeptWithoutThem() throws {
        let test = try TestRun(overrides: ["training.steps=2"]), run = try test.finished()
        let count = CommittedRun.greatestSize / 2 + 1
        var large = SafetensorsFile()
        large.append("large", shape: [count], .float32([Float](repeating: 0, count: count)))
        // Weights in the run's own folder come before those of its checkpoints.
        let file = run.folder.appendingPathComponent(CheckpointFile.model)
        try large.write(to: file.path)
        let experiment = try TemporaryFolder()
        let error = #expect(throws: KeepError.self) {
            try CommittedRun.keep(run.folder, in: experiment.url, half: true, replace: false)
        }
        #expect(error?.description.hasSuffix("--without-weights keeps the record alone") == true)
        let kept = try CommittedRun.keep(
            run.folder, in: experiment.url, half: false, replace: false, withoutWeights: true)
        #expect(try Set(Files.names(in: kept.folder)) == ["config.yaml", "record.json", "steps.jsonl"])
        #expect(kept.record == run.record)
        // Weights that are there go as they come: with --replace alone.
        try FileManager.default.removeItem(at: file)
        _ = try CommittedRun.keep(run.folder, in: experiment.url, half: true, replace: false)
        #expect(throws: KeepError.self) {
            try CommittedRun.keep(run.folder, in: experiment.url, half: false, replace: false, withoutWeights: true)
        }
        _ = try CommittedRun.keep(run.folder, in: experiment.url, half: false, replace: true, withoutWeights: true)
        #expect(CommittedRun.withWeights(in: experiment.url) { Issue.record("\($0)") }.isEmpty)
    }

    @Test func damagedWeightsAreNotKept() throws {
        let test = try TestRun(overrides: ["training.steps=2"]), run = try test.finished()
        let experiment = try TemporaryFolder()
        let file = try Checkpoint(at: run.folder).url.appendingPathComponent(CheckpointFile.model)
        var bytes = try Data(contentsOf: file)
        bytes[bytes.count - 1] ^= 1
        try bytes.write(to: file)
        let error = #expect(throws: CheckpointError.self) {
            try CommittedRun.keep(run.folder, in: experiment.url, half: false, replace: false)
        }
        #expect(error?.description.hasPrefix("\(file.path): damaged: expected the SHA-256") == true)
        #expect(CommittedRun.withWeights(in: experiment.url) { _ in }.isEmpty)
    }

    @Test func weightsThatHalfPrecisionDoesNotHaveAreNamed() throws {
        let test = try TestRun(overrides: ["training.steps=2"]), run = try test.finished()
        let weights = try Checkpoint(at: run.folder).weights()
        var large = SafetensorsFile(metadata: weights.metadata)
        for entry in weights.entries {
            var values = try weights.floats(entry.name)
            if entry.name == weights.entries[1].name { values[0] = 70_000 }
            large.append(entry.name, shape: entry.shape, .float32(values))
        }
        // Weights in the run's own folder come before those of its checkpoints, and have no checksum.
        let file = run.folder.appendingPathComponent(CheckpointFile.model)
        try large.write(to: file.path)
        let experiment = try TemporaryFolder()
        let error = #expect(throws: KeepError.self) {
            try CommittedRun.keep(run.folder, in: experiment.url, half: true, replace: false)
        }
        #expect(
            error == .notFinite(path: file.path, name: weights.entries[1].name, value: 70_000, half: true))
        #expect(error?.description.contains("at most 65,504") == true)
        _ = try CommittedRun.keep(run.folder, in: experiment.url, half: false, replace: false)
    }
}
