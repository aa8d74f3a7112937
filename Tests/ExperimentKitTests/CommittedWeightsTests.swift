import Foundation
import Safetensors
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite struct CommittedWeightsTests {
    @Test(arguments: [
        ("table3-layer-norm-hyperlstm-quick", "quick", "layer-norm-hyperlstm"),
        ("table2-hyper-wide-resnet-40-1", "paper", "hyper-wide-resnet-40-1"),
        ("cifar-10-epochs-hyper-wide-resnet-40-1", "10 epochs", "hyper-wide-resnet-40-1"),
        ("cifar-10-epochs-peak-0.004-hyper-wide-resnet-40-1", "10 epochs", "hyper-wide-resnet-40-1"),
        ("ptb-1000-steps-lstm", "1000 steps", "lstm"), ("a1-coordinates", "paper", "coordinates"),
        ("table3-lstm-steps-5000", "steps-5000", "lstm"),
    ]) func aRowsNameIsItsConfigurationsWithoutTableAndBudget(configuration: String, budget: String, row: String) {
        #expect(CommittedWeights.rowName(configuration, budget: budget) == row)
    }

    @Test func aFinishedRunIsKeptWithItsWeightsAndFoundByItsRow() throws {
        let test = try TestRun(), run = try test.begin()
        _ = try run.run()
        let experiment = try TemporaryFolder()
        let kept = try CommittedWeights.keep(run.folder, in: experiment.url, half: true, replace: false)
        #expect(try kept.isHalfPrecision())
        let all = try CommittedWeights.all(in: experiment.url)
        #expect(all.map(\.record) == [run.record])
        let row = CommittedWeights.rowName(run.record.configuration, budget: run.record.budget)
        #expect(CommittedWeights.named(row, among: all)?.folder.path == kept.folder.path)
        #expect(CommittedWeights.named("another", among: all) == nil)
        // Half precision has 11 binary digits.
        let original = try Checkpoint(at: run.folder).tensors(CheckpointFile.model)
        for (one, other) in zip(original, try Checkpoint(at: kept.folder).tensors(CheckpointFile.model)) {
            #expect(one.name == other.name && one.shape == other.shape)
            #expect(zip(one.values, other.values).allSatisfy { abs($0 - $1) <= abs($0) / 2048 + 1e-7 })
        }
        // A second time the same record; another's is not overwritten unasked.
        _ = try CommittedWeights.keep(run.folder, in: experiment.url, half: false, replace: false)
        var other = run.record
        other.training.wallSeconds += 1
        try other.write(to: kept.folder.appendingPathComponent("record.json"))
        #expect(throws: KeepError.otherRecord(path: kept.folder.path)) {
            try CommittedWeights.keep(run.folder, in: experiment.url, half: false, replace: false)
        }
        _ = try CommittedWeights.keep(run.folder, in: experiment.url, half: false, replace: true)
    }
}
