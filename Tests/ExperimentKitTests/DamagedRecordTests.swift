import Foundation
import NeuralNetwork
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

/// Damaged records, logs, states and configurations: an error that names the file, or values in order.
@Suite(.serialized) struct DamagedRecordTests {
    /// Reads damaged copies of a file.
    private func check(_ original: [UInt8], name: String, few: Int = 400, read: (URL) throws -> Void) throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent(name)
        try Data(original).write(to: file)
        try read(file)
        let before = peakMemory()
        var accepted = 0
        for number in Damage.cases(few) {
            var damage = Damage(case: number)
            try Data(damage.damaged(original)).write(to: file)
            do {
                try expectEnd(of: "case \(number) of \(name)") { try read(file) }
                accepted += 1
            } catch {
                #expect("\(error)".contains(name), "case \(number): \(error)")
            }
        }
        #expect(peakMemory() - before < 256 << 20, "\(name)")
        if Damage.isStress { print("\(name): \(Damage.cases(few).count) cases, \(accepted) read") }
    }

    private static let run = "experiments/char-hyperlstm/runs/sample-lstm/0/"

    private func committed(_ name: String) throws -> [UInt8] {
        try [UInt8](Data(contentsOf: checkout.url.appendingPathComponent(Self.run + name)))
    }

    @Test func record() throws {
        try check(try committed("record.json"), name: "record.json") { _ = try RunRecord(contentsOf: $0) }
    }

    @Test func stepLog() throws {
        let log = try committed("steps.jsonl").prefix(4000)
        try check(Array(log), name: "steps.jsonl") { file in
            let records = try StepLog.read(file)
            _ = try? StepLog.readWhole(file, interval: 10, done: records.last?.step ?? 0, planned: 100)
        }
    }

    @Test func configuration() throws {
        try check(Array(TestRun.yaml.utf8), name: "tiny.yaml") { file in
            _ = try CharacterConfiguration(try ConfigurationFile(contentsOf: file).root)
        }
    }

    @Test func override() throws {
        for number in Damage.cases(400) {
            var damage = Damage(case: number)
            let text = String(decoding: damage.damaged(Array("training.learningRate=0.001".utf8)), as: UTF8.self)
            _ = expectEnd(of: text) { try? ConfigurationNode(override: text) }
        }
    }

    /// Every file of a checkpoint has a checksum, so nothing damaged is ever accepted.
    @Test func checkpoint() throws {
        let run = try TestRun(overrides: ["training.steps=2"]), training = try run.finished()
        let checkpoint = try #require(try CheckpointStore(runFolder: training.folder).latest)
        for name in CheckpointFile.all {
            let file = checkpoint.url.appendingPathComponent(name)
            let original = try [UInt8](Data(contentsOf: file))
            for number in Damage.cases(60) {
                var damage = Damage(case: number)
                let damaged = damage.damaged(original)
                if damaged == original { continue }
                try Data(damaged).write(to: file)
                let label = "case \(number) of \(name)"
                let error = #expect(throws: CheckpointError.self, "\(label)") {
                    try expectEnd(of: label) { try checkpoint.check(name) }
                }
                #expect(error?.description.contains(name) == true, "\(label)")
            }
            try Data(original).write(to: file)
            if Damage.isStress { print("\(name): \(Damage.cases(60).count) cases, 0 read") }
        }
    }

    /// What a checkpoint from before checksums could hold: a run goes on from its files, or the error names the file.
    @Test func checkpointWithoutChecksums() throws {
        let run = try TestRun(), training = try run.stopped(at: 20)
        let store = try CheckpointStore(runFolder: training.folder), checkpoint = try #require(store.latest)
        try FileManager.default.removeItem(at: checkpoint.url.appendingPathComponent(CheckpointFile.sums))
        let state = checkpoint.url.appendingPathComponent(CheckpointFile.state)
        let text = try String(contentsOf: state, encoding: .utf8)
        try Data(text.replacingOccurrences(of: "\"checksums\"", with: "\"_\"").utf8).write(to: state)

        let work = try run.work()
        let updates = try TrainingStep(
            tasks: [work], optimizer: work.optimizer, settings: try run.configuration.loop)
        let log = training.folder.appendingPathComponent("steps.jsonl"), lines = try Data(contentsOf: log)
        let loop = TrainingLoop(
            updates: updates, checkpoints: store, stepLog: StepLog(url: log), progress: SilentProgress(),
            interruption: Interruption(), configurationYAML: "", modelMetadata: [:],
            metric: CharacterExperiment.metric, onMilestone: { _ in })
        try loop.restore()
        #expect(loop.state.step == 20)

        let before = peakMemory()
        for name in [CheckpointFile.model, CheckpointFile.optimizer, CheckpointFile.carried, CheckpointFile.state] {
            let file = checkpoint.url.appendingPathComponent(name)
            let original = try [UInt8](Data(contentsOf: file))
            // The header and the metadata are where sizes are stated.
            let head = min(original.count, 2048)
            for number in Damage.cases(200).prefix(20_000) {
                var damage = Damage(case: number)
                try Data(damage.damaged(Array(original[..<head])) + original[head...]).write(to: file)
                if name == CheckpointFile.model { _ = try? TrainedCharacterModel(checkpoint) }
                // A state of another step cuts the log there.
                try lines.write(to: log)
                do {
                    try expectEnd(of: "case \(number) of \(name)") { try loop.restore() }
                    _ = try updates.take(loop.state.step + 1)
                } catch is TrainingError {
                    // Other weights or moments may give a loss or a gradient that is not finite.
                    work.clearGradients()
                } catch {
                    // The log does not reach as far as a later step.
                    let files = name == CheckpointFile.state ? [name, log.lastPathComponent] : [name]
                    #expect(files.contains { "\(error)".contains($0) }, "case \(number) of \(name): \(error)")
                }
            }
            try Data(original).write(to: file)
        }
        #expect(peakMemory() - before < 512 << 20)
    }
}
