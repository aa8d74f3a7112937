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

    /// A run stopped at step 20 of 40.
    private func stoppedRun(_ run: TestRun) throws -> URL {
        let interruption = Interruption()
        let training = try run.begin(progress: StopAtStep(20, interruption), interruption: interruption)
        #expect(try training.run() == .interrupted(signal: 15))
        return training.folder
    }

    private func remove(_ name: String, in folder: URL) throws {
        try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
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
        let folder = try stoppedRun(run)
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
        let run = try TestRun(), folder = try stoppedRun(run), file = folder.appendingPathComponent("steps.jsonl")
        let records = try StepLog.read(file)
        try Data().write(to: file)
        for record in records where record.step != 10 { try StepLog(url: file).append(record) }
        let error = #expect(throws: RecordError.self) { try run.resume(folder).run() }
        #expect(error?.description.contains(file.path) == true)
    }

    @Test func anIndexThatNamesNoCheckpointOfTheBestValidationIsRefused() throws {
        let run = try TestRun(), folder = try stoppedRun(run)
        let file = folder.appendingPathComponent("checkpoints/index.json")
        var index = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        #expect(index.removeValue(forKey: "best") != nil)
        try JSONSerialization.data(withJSONObject: index).write(to: file)
        let error = #expect(throws: CheckpointError.self) { try run.resume(folder).run() }
        #expect(error?.description.contains("\(file.path): names no \"best\" checkpoint") == true, "\(error as Any)")
    }

    /// The record would tell of weights that were not selected.
    @Test func anotherCheckpointInThePlaceOfTheBestIsRefused() throws {
        let run = try TestRun(), folder = try stoppedRun(run), store = try CheckpointStore(runFolder: folder)
        let latest = try #require(store.latest), best = try #require(store.best)
        try #require(latest.step != best.step)
        let file = folder.appendingPathComponent("checkpoints/index.json"), name = latest.url.lastPathComponent
        try Data("{\"latest\": \"\(name)\", \"best\": \"\(name)\"}".utf8).write(to: file)
        let error = #expect(throws: CheckpointError.self) { try run.resume(folder).run() }
        #expect(
            error?.description.contains("names \"best\": \"\(name)\"") == true
                && error?.description.contains("expected \"best\": \"\(best.url.lastPathComponent)\"") == true,
            "\(error as Any)")
    }

    @Test func aRunOfAnotherProgramIsRefused() throws {
        let run = try TestRun()
        let folder = try stoppedRun(run)
        #expect(
            throws: RecordError.otherProgram(
                path: folder.path, expected: "static-hypernet", found: "char-hyperlstm")
        ) { try ImageRun.configuration(of: folder) }
    }

    @Test func anEditedConfigurationIsRefusedNamingTheKeys() throws {
        let run = try TestRun()
        let folder = try stoppedRun(run)
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
        let folder = try stoppedRun(run)
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
        let run = try TestRun(), folder = try stoppedRun(run)
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
        let folder = try stoppedRun(run), before = try content(of: folder)
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
        let folder = try stoppedRun(run)
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

@Suite struct RunLockTests {
    private let here = RunLock.Holder(host: "here", process: 1, boot: "boot 1", since: "")

    /// What another process finds, and whether it has to keep out.
    @Test(arguments: [
        // The kernel let go: whoever held it on this host has ended.
        ("here", "boot 1", 5.0, true, false),
        // A host of this name from another start: this one or another, which would have renewed it.
        ("here", "boot 0", 5.0, true, true), ("here", "boot 0", 91.0, true, false),
        // Another host renewed it just now, or has not for long.
        ("there", "boot 2", 5.0, true, true), ("there", "boot 2", 601.0, true, false),
    ])
    func whoseLockCountsIsTold(host: String, boot: String, age: Double, isLocked: Bool, isAlive: Bool) {
        let present = RunLock.Holder(host: host, process: 2, boot: boot, since: "")
        #expect(RunLock.isAlive(present, age: age, isLocked: isLocked, seenBy: here) == isAlive)
    }

    /// A Slurm job that was killed on one host and begun again on another goes on at once; nobody else does.
    @Test(arguments: [
        ("test 12", 1, false), ("test 12", 0, true), ("test 13", 1, true), ("other 12", 1, true), (nil, nil, true),
    ])
    func theLockOfAJobIsFreeForItsRestart(job: String?, restarts: Int?, isAlive: Bool) {
        let present = RunLock.Holder(host: "there", process: 2, boot: "boot 2", since: "", job: "test 12", restarts: 0)
        let observer = RunLock.Holder(
            host: "here", process: 1, boot: "boot 1", since: "", job: job, restarts: restarts)
        #expect(RunLock.isAlive(present, age: 5, isLocked: true, seenBy: observer) == isAlive)
    }

    @Test func whereTheFileSystemHasNoLocksAProcessThatLivesKeepsOthersOut() {
        let parent = RunLock.Holder(host: "here", process: getppid(), boot: "boot 1", since: "")
        #expect(RunLock.isAlive(parent, age: 0, isLocked: false, seenBy: here))
    }

    @Test func aLockOfAnotherHostIsRespectedWhileFreshAndTakenOverAfterwards() throws {
        let folder = try TemporaryFolder()
        let other = RunLock.Holder(host: "there", process: 7, boot: "another", since: "2026-01-01T00:00:00Z")
        let file = folder.url.appendingPathComponent("lock")
        try Data(StableJSON.encodeLine(other)).write(to: file)
        #expect(
            throws: RecordError.busy(path: file.path, host: "there", process: 7, since: "2026-01-01T00:00:00Z")
        ) { try RunLock(folder: folder.url) }
        let old = Date(timeIntervalSinceNow: -Double(RunLock.staleSeconds) - 60)
        try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: file.path)
        let lock = try RunLock(folder: folder.url)
        #expect(lock.isHeld)
        // And the other, woken up, finds that it lost it.
        try Data(StableJSON.encodeLine(other)).write(to: file)
        #expect(throws: RecordError.lockLost(path: file.path)) { try lock.check() }
    }

    /// Seconds since a file was written.
    private func age(of file: URL) throws -> Double {
        let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
        let renewed = try #require(attributes[.modificationDate] as? Date)
        return -renewed.timeIntervalSinceNow
    }

    private func set(ageOf file: URL, to seconds: Double) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -seconds)], ofItemAtPath: file.path)
    }

    @Test(.timeLimit(.minutes(1))) func aHolderRenewsItsLockAgainAndAgain() throws {
        let folder = try TemporaryFolder(), file = folder.url.appendingPathComponent("lock")
        let lock = try RunLock(folder: folder.url, renewingEvery: .milliseconds(20))
        for _ in 0..<2 {
            try set(ageOf: file, to: 1000)
            while try age(of: file) > 900 { usleep(1000) }
        }
        #expect(lock.isHeld)
    }

    @Test func aLockThatAnotherTookOverIsNotRenewed() throws {
        let folder = try TemporaryFolder()
        let other = RunLock.Holder(host: "there", process: 7, boot: "another", since: "")
        let file = folder.url.appendingPathComponent("lock")
        try Data(StableJSON.encodeLine(other)).write(to: file)
        try set(ageOf: file, to: 1000)
        let descriptor = open(file.path, O_RDWR)
        defer { close(descriptor) }
        RunLock.renew(file.path, open: descriptor, as: here)
        #expect(try age(of: file) > 900)
        RunLock.renew(file.path, open: descriptor, as: other)
        #expect(try age(of: file) < 900)
    }

    /// Another host takes a run's folder over when a given step is done.
    private final class TakeOverAtStep: ProgressReporter {
        private let step: Int
        private let folder: URL
        private(set) var record: Data?

        init(_ step: Int, _ folder: URL) {
            self.step = step
            self.folder = folder
        }

        func report(_ event: ProgressEvent) {
            guard case .step(let progress) = event, progress.step == step else { return }
            let other = RunLock.Holder(host: "there", process: 7, boot: "another", since: "")
            try? Data(StableJSON.encodeLine(other)).write(to: folder.appendingPathComponent("lock"))
            record = try? Data(contentsOf: folder.appendingPathComponent("record.json"))
        }
    }

    @Test func aProcessThatLostItsLockWritesNothingMore() throws {
        let run = try TestRun()
        let folder = CharacterRun.folder(
            in: run.folder.url.appendingPathComponent("runs"), configuration: "tiny", seed: 3)
        // The next checkpoint is that of step 10, the next validation that of step 8.
        let progress = TakeOverAtStep(6, folder)
        #expect(throws: RecordError.lockLost(path: folder.appendingPathComponent("lock").path)) {
            try run.begin(progress: progress).run()
        }
        #expect(try StepLog.read(folder.appendingPathComponent("steps.jsonl")).last?.step == 6)
        let before = try #require(progress.record)
        #expect(try Data(contentsOf: folder.appendingPathComponent("record.json")) == before)
        // Nor does it take away the lock of the process that has the folder now.
        #expect(FileManager.default.fileExists(atPath: folder.appendingPathComponent("lock").path))
    }

    @Test func aLockFileOfAnEndedProcessOrWithoutContentIsTakenOver() throws {
        let folder = try TemporaryFolder()
        for text in ["", "{", "\u{0}\u{0}"] {
            try folder.write(text, to: "lock")
            #expect(try RunLock(folder: folder.url).isHeld)
        }
    }
}

@Suite struct StepLogOrderTests {
    private let validation = SplitEvaluation(lossNats: 1, predictions: 1, streams: 1, seconds: 0)

    private func check(_ records: [StepRecord], done: Int = 6) throws {
        let folder = try TemporaryFolder()
        let log = StepLog(url: folder.url.appendingPathComponent("steps.jsonl"))
        for record in records { try log.append(record) }
        _ = try StepLog.readWhole(log.url, interval: 2, done: done, planned: 7)
    }

    private func steps(_ steps: [Int]) -> [StepRecord] {
        steps.map { StepRecord(step: $0, seconds: 0, lossNats: 1) }
    }

    @Test func aLogWithEveryStepOnceAndInOrderIsRead() throws {
        try check(steps([1, 2, 4, 6]))
        try check(steps([1, 2, 4, 6, 7]), done: 7)
        try check(steps([1, 2]) + [StepRecord(step: 3, seconds: 0, validation: validation)] + steps([4, 6]))
    }

    @Test(arguments: [[1, 2, 4], [1, 2, 2, 4, 6], [1, 4, 2, 6], [2, 4, 6], [1, 2, 6], []])
    func aLogWithAStepMissingTwiceOrOutOfOrderIsRefused(found: [Int]) {
        #expect(throws: RecordError.self) { try check(steps(found)) }
    }
}
