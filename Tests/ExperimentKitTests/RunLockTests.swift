import Foundation
import TestSupport
import Testing

@testable import ExperimentKit

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
        // A holder renews its lock: this process has only the number of one that ended.
        #expect(!RunLock.isAlive(parent, age: 601, isLocked: false, seenBy: here))
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

    @Test func aLockThatIsStillRefusedForAHostThatDiedIsTakenOverOnceStale() throws {
        let folder = try TemporaryFolder(), file = folder.url.appendingPathComponent("lock")
        let other = RunLock.Holder(host: "there", process: 7, boot: "another", since: "")
        try Data(StableJSON.encodeLine(other)).write(to: file)
        let held = open(file.path, O_RDWR)
        defer { close(held) }
        #expect(flock(held, LOCK_EX) == 0)
        #expect(throws: RecordError.self) { try RunLock(folder: folder.url) }
        try set(ageOf: file, to: Double(RunLock.staleSeconds) + 60)
        #expect(try RunLock(folder: folder.url).isHeld)
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
        let folder = RunFolder.url(
            of: "tiny", seed: 3, in: run.folder.url.appendingPathComponent("runs"))
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
