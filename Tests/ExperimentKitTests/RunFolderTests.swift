import Foundation
import TestSupport
import Testing

@testable import ExperimentKit
@testable import ImageExperiments
@testable import CharacterExperiments

/// Absent, whole, damaged, foreign and busy folders are told apart before anything in them is written.
@Suite(.serialized) struct RunFolderTests {
    /// Every file of a folder with its bytes.
    private func content(of folder: URL) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for case let name as String in try #require(FileManager.default.enumerator(atPath: folder.path)) {
            let file = folder.appendingPathComponent(name)
            if try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true {
                files[name] = try Data(contentsOf: file)
            }
        }
        return files
    }

    /// Damages of a run's folder, each of which once cost a log or a checkpoint.
    static let damages: [(name: String, damage: @Sendable (URL) throws -> Void)] = [
        ("no checkpoints", { try FileManager.default.removeItem(at: $0.appendingPathComponent("checkpoints")) }),
        (
            "no index of checkpoints",
            { try FileManager.default.removeItem(at: $0.appendingPathComponent("checkpoints/index.json")) }
        ),
        ("a damaged index", { try Data("{".utf8).write(to: $0.appendingPathComponent("checkpoints/index.json")) }),
        (
            "a byte of the log that is no text",
            { folder in
                let log = folder.appendingPathComponent("steps.jsonl")
                var bytes = try Data(contentsOf: log)
                bytes[bytes.count / 2] = 0xff
                try bytes.write(to: log)
            }
        ),
        ("no record", { try FileManager.default.removeItem(at: $0.appendingPathComponent("record.json")) }),
        ("a damaged record", { try Data("{}".utf8).write(to: $0.appendingPathComponent("record.json")) }),
        (
            "a record with a negative seed",
            { folder in
                let record = folder.appendingPathComponent("record.json")
                let text = try String(contentsOf: record, encoding: .utf8)
                try Data(text.replacingOccurrences(of: "\"seed\" : 3", with: "\"seed\" : -3").utf8).write(to: record)
            }
        ),
        ("no configuration", { try FileManager.default.removeItem(at: $0.appendingPathComponent("config.yaml")) }),
    ]

    @Test(arguments: damages.map(\.name))
    func aDamagedRunIsRefusedByNameAndNothingInItChanges(name: String) throws {
        let run = try TestRun()
        let folder = try run.stopped(at: 20).folder
        try #require(Self.damages.first { $0.name == name }).damage(folder)
        let before = try content(of: folder)
        for attempt in [
            { _ = try run.resume(folder).run() }, { _ = try run.begin() },
        ] {
            do {
                try attempt()
                Issue.record("accepted: \(name)")
            } catch {
                #expect("\(error)".contains(folder.lastPathComponent), "\(error)")
            }
            #expect(try content(of: folder) == before, "\(name)")
        }
    }

    @Test func aLogWithAHoleBeforeTheLatestCheckpointIsRefused() throws {
        let run = try TestRun(), folder = try run.stopped(at: 20).folder
        let file = folder.appendingPathComponent("steps.jsonl")
        let records = try StepLog.read(file)
        try Data().write(to: file)
        for record in records where record.step != 10 { try StepLog(url: file).append(record) }
        let error = #expect(throws: RecordError.self) { try run.resume(folder).run() }
        #expect(error?.description.contains(file.path) == true)
    }

    @Test func anIndexThatNamesNoCheckpointOfTheBestValidationIsRefused() throws {
        let run = try TestRun(), folder = try run.stopped(at: 20).folder
        let file = folder.appendingPathComponent("checkpoints/index.json")
        var index = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        #expect(index.removeValue(forKey: "best") != nil)
        try JSONSerialization.data(withJSONObject: index).write(to: file)
        let error = #expect(throws: CheckpointError.self) { try run.resume(folder).run() }
        #expect(error?.description.contains("\(file.path): names no \"best\" checkpoint") == true, "\(error as Any)")
    }

    /// The record would tell of weights that were not selected.
    @Test func anotherCheckpointInThePlaceOfTheBestIsRefused() throws {
        let run = try TestRun(), folder = try run.stopped(at: 20).folder, store = try CheckpointStore(runFolder: folder)
        let latest = try #require(store.latest), best = try #require(store.best)
        try #require(latest.step != best.step)
        let file = folder.appendingPathComponent("checkpoints/index.json"), name = latest.url.lastPathComponent
        try Data("{\"latest\": \"\(name)\", \"best\": \"\(name)\"}".utf8).write(to: file)
        let error = #expect(throws: CheckpointError.self) { try run.resume(folder).run() }
        #expect(
            error?.description.contains("names \"best\": \"\(name)\"") == true
                && error?.description.contains("set \"best\" to \"\(best.url.lastPathComponent)\"") == true,
            "\(error as Any)")
    }

    @Test func aRunOfAnotherProgramIsRefused() throws {
        let run = try TestRun()
        let folder = try run.stopped(at: 20).folder
        #expect(
            throws: RecordError.otherProgram(
                path: folder.path, expected: "static-hypernet", found: "char-hyperlstm")
        ) { try TrainingRun<ImageExperiment>.configuration(of: folder) }
    }

    @Test func anEditedConfigurationIsRefusedNamingTheKeys() throws {
        let run = try TestRun()
        let folder = try run.stopped(at: 20).folder
        let file = folder.appendingPathComponent("config.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        try Data(text.replacingOccurrences(of: "steps: 40", with: "steps: 80").utf8).write(to: file)
        #expect(throws: RecordError.configurationEdited(path: file.path, keys: ["training.steps"])) {
            try run.resume(folder)
        }
    }

    @Test func aConfigurationEditedBeforeTheFirstCheckpointIsRefused() throws {
        let run = try TestRun(), folder = try run.begin().folder
        _ = try run.resume(folder, overrides: ["training.learningRate=0.002"])
        _ = try run.resume(folder)
        let file = folder.appendingPathComponent("config.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        try Data(text.replacingOccurrences(of: "steps: 40", with: "steps: 80").utf8).write(to: file)
        #expect(throws: RecordError.configurationReplaced(path: file.path)) { try run.resume(folder) }
    }

    @Test func anotherRateHoldsFromTheNextSittingOnAndIsRecorded() throws {
        let run = try TestRun()
        let folder = try run.stopped(at: 20).folder
        let file = folder.appendingPathComponent("config.yaml"), before = try Data(contentsOf: file)
        // A sitting that ends before its first checkpoint, and one killed before the configuration followed the record.
        _ = try run.resume(folder, overrides: ["training.learningRate=0.002"])
        #expect(try String(contentsOf: file, encoding: .utf8).contains("learningRate: 0.002"))
        try before.write(to: file)
        #expect(try run.resume(folder).run() == .finished)
        #expect(try String(contentsOf: file, encoding: .utf8).contains("learningRate: 0.002"))
        let log = try StepLog.read(folder.appendingPathComponent("steps.jsonl"))
        let rates = log.compactMap { step in step.rate.map { (step.step, $0) } }
        #expect(rates.count == 40 && rates.allSatisfy { $1 == ($0 <= 20 ? 0.01 : 0.002) })
        let record = try RunRecord(contentsOf: folder.appendingPathComponent("record.json"))
        #expect(
            record.changes == ["training.learningRate=0.002"]
                && record.sittings?.map(\.changes) == [nil, record.changes])
        let difference = ConfigurationFile.Difference(key: "training.learningRate", base: "0.01", value: "0.002")
        #expect(record.differences.contains(difference))
    }

    /// Whatever stood in between, a difference is one from the run's base.
    @Test func aSecondChangeOfAKeyDiffersFromTheBaseAndTheWayBackNoMore() throws {
        let run = try TestRun(), folder = try run.stopped(at: 20).folder
        func differences(after rate: String) throws -> [ConfigurationFile.Difference] {
            try run.resume(folder, overrides: ["training.learningRate=\(rate)"]).record.differences
                .filter { $0.key == "training.learningRate" }
        }
        #expect(try differences(after: "0.002") == [.init(key: "training.learningRate", base: "0.01", value: "0.002")])
        #expect(try differences(after: "0.001") == [.init(key: "training.learningRate", base: "0.01", value: "0.001")])
        #expect(try differences(after: "0.01") == [])
    }

    @Test func whatMakesAnotherRunCannotBeChangedUnderWay() throws {
        let run = try TestRun()
        let folder = try run.stopped(at: 20).folder, before = try content(of: folder)
        #expect(
            throws: RecordError.unchangeable(
                path: folder.path, keys: ["training.steps"],
                changeable: ["training.learningRate", "training.clipNorm"])
        ) { try run.resume(folder, overrides: ["training.clipNorm=2", "training.steps=80"]) }
        #expect(throws: ConfigurationError.self) {
            try run.resume(folder, overrides: ["training.learningRate=-1"])
        }
        #expect(try content(of: folder) == before)
        _ = try run.resume(folder).run()
        #expect(throws: RecordError.trained(path: folder.path, keys: ["training.clipNorm"])) {
            try run.resume(folder, overrides: ["training.clipNorm=2"])
        }
    }

    @Test func aRunThatIsUnderWayIsRefusedNamingItsProcess() throws {
        let run = try TestRun()
        let training = try run.begin()
        for attempt in [{ _ = try run.begin() }, { _ = try run.resume(training.folder) }] {
            #expect {
                try attempt()
            } throws: { error in
                guard case RecordError.busy(_, _, getpid(), _) = error else { return false }
                return true
            }
        }
        #expect(try training.run() == .finished)
        #expect(!FileManager.default.fileExists(atPath: training.folder.appendingPathComponent("lock").path))
    }

    @Test func litterOfAKilledProcessIsRemovedByTheNextSitting() throws {
        let run = try TestRun()
        let folder = try run.stopped(at: 20).folder
        let litter = [".1a2b.tmp", "checkpoints/.3c.tmp", "checkpoints/step-0000099.partial"]
        for name in litter { try Data("half".utf8).write(to: folder.appendingPathComponent(name)) }
        _ = try run.resume(folder)
        for name in litter {
            #expect(!FileManager.default.fileExists(atPath: folder.appendingPathComponent(name).path), "\(name)")
        }
    }

    @Test func aFileInThePlaceOfAFolderIsNamed() throws {
        let run = try TestRun()
        let file = try run.folder.write("", to: "runs")
        #expect {
            try run.begin()
        } throws: { error in
            guard case RecordError.unwritable(file.path, _) = error else { return false }
            return "\(error)".contains("expected a folder, found a file")
        }
    }
}
