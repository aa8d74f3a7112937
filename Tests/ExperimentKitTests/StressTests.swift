import Foundation
import NeuralNetwork
import TestSupport
import Testing

@testable import ExperimentKit
@testable import ImageExperiments
@testable import CharacterExperiments

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
        let run = try TestRun(overrides: ["training.steps=2"])
        let training = try run.begin()
        _ = try training.run()
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
        let run = try TestRun(), interruption = Interruption()
        let training = try run.begin(progress: StopAtStep(20, interruption), interruption: interruption)
        _ = try training.run()
        let store = try CheckpointStore(runFolder: training.folder), checkpoint = try #require(store.latest)
        try FileManager.default.removeItem(at: checkpoint.url.appendingPathComponent(CheckpointFile.sums))
        let state = checkpoint.url.appendingPathComponent(CheckpointFile.state)
        let text = try String(contentsOf: state, encoding: .utf8)
        try Data(text.replacingOccurrences(of: "\"checksums\"", with: "\"_\"").utf8).write(to: state)

        let configuration = try run.configuration
        let work = try CharacterExperiment(
            configuration: configuration, data: run.corpus, seed: 3, shard: .whole, progress: SilentProgress(),
            interruption: Interruption())
        let updates = try TrainingStep(tasks: [work], optimizer: work.optimizer, settings: configuration.loop)
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
                    _ = try updates.take(loop.state.step + 1, lastCheckpoint: nil)
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

/// `kill -9` at random instants; whatever was interrupted, the run that is resumed is the unbroken run bit by bit.
@Suite(.serialized) struct KillTests {
    private static let kills = ProcessInfo.processInfo.environment["HYPERNETWORKS_STRESS_KILLS"].flatMap(Int.init) ?? 6
    private static let program = BuiltProgram(name: "char-hyperlstm")

    @Test func aRunKilledAtAnyInstantsIsTheUnbrokenRunBitByBit() throws {
        // A checkpoint at every second step, so that about half of the kills meet one being written.
        let run = try TestRun()
        func arguments(_ out: String) -> [String] {
            [
                "train", run.folder.url.appendingPathComponent("tiny.yaml").path, "--data",
                run.folder.url.appendingPathComponent("data").path, "--out",
                run.folder.url.appendingPathComponent(out).path, "--threads", "1", "--set",
                "training.checkpointEvery=2",
            ]
        }
        func folder(_ out: String) -> URL { run.folder.url.appendingPathComponent("\(out)/tiny/0") }
        let start = ContinuousClock.now
        #expect(try Self.program.run(arguments("unbroken")).status == 0)
        let duration = (ContinuousClock.now - start).seconds * 1e6
        let expected = try lastingState(of: folder("unbroken"))
        var damage = Damage(case: 0, seed: 2), killed = 0, runs = 0
        while killed < Self.kills {
            let out = "run-\(runs)"
            runs += 1
            for sitting in 0..<8 {
                let resume = ["resume", folder(out).path, "--data", arguments(out)[3], "--threads", "1"]
                let hasBegun = FileManager.default.fileExists(
                    atPath: folder(out).appendingPathComponent("record.json").path)
                let (process, _, _) = try Self.program.start(hasBegun ? resume : arguments(out))
                usleep(UInt32(damage.below(Int(max(duration, 10_000)))))
                if sitting < 7, process.isRunning {
                    kill(process.processIdentifier, SIGKILL)
                    killed += 1
                }
                process.waitUntilExit()
                if process.terminationReason == .exit {
                    #expect(process.terminationStatus == 0, "\(out), sitting \(sitting)")
                    break
                }
            }
            #expect(try lastingState(of: folder(out)) == expected, "\(out)")
            let left = try #require(FileManager.default.enumerator(atPath: folder(out).path)).compactMap {
                $0 as? String
            }
            #expect(left.allSatisfy { !$0.hasSuffix(".tmp") && !$0.hasSuffix(".partial") }, "\(left)")
            try FileManager.default.removeItem(at: folder(out))
        }
        if Damage.isStress { print("training: \(killed) kills in \(runs) runs") }
    }

    @Test func anEvaluationKilledAtAnyInstantChangesNothing() throws {
        let run = try TestRun(overrides: ["training.steps=4"])
        let training = try run.begin()
        _ = try training.run()
        func content() throws -> [String: Data] {
            let names = try #require(FileManager.default.enumerator(atPath: training.folder.path)).compactMap {
                $0 as? String
            }
            return names.reduce(into: [:]) { files, name in
                files[name] = try? Data(contentsOf: training.folder.appendingPathComponent(name))
            }
        }
        let before = try content(), start = ContinuousClock.now
        let arguments = [
            "evaluate", training.folder.path, "--data", run.folder.url.appendingPathComponent("data").path,
        ]
        #expect(try Self.program.run(arguments).status == 0)
        let duration = (ContinuousClock.now - start).seconds * 1e6
        var damage = Damage(case: 0, seed: 3)
        for _ in 0..<Self.kills {
            let (process, _, _) = try Self.program.start(arguments)
            usleep(UInt32(damage.below(Int(duration))))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        #expect(try content() == before)
    }

    /// Both find an empty folder: one trains, the other is told who does.
    @Test func ofTwoThatBeginAtOnceOneTrains() throws {
        for trial in 0..<max(3, Self.kills / 10) {
            let run = try TestRun()
            let arguments = [
                "train", run.folder.url.appendingPathComponent("tiny.yaml").path, "--data",
                run.folder.url.appendingPathComponent("data").path, "--out",
                run.folder.url.appendingPathComponent("runs").path, "--threads", "1",
            ]
            let processes = try (0..<2).map { _ in try Self.program.start(arguments).0 }
            for process in processes { process.waitUntilExit() }
            // 75 while the other trains, 1 where it has finished.
            let statuses = processes.map(\.terminationStatus).sorted()
            #expect(statuses == [0, 75] || statuses == [0, 1], "trial \(trial): \(statuses)")
            let folder = run.folder.url.appendingPathComponent("runs/tiny/0")
            #expect(try RunRecord(contentsOf: folder.appendingPathComponent("record.json")).status == .finished)
            _ = try StepLog.readWhole(folder.appendingPathComponent("steps.jsonl"), interval: 1, done: 40, planned: 40)
        }
    }
}
