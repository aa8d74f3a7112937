import Foundation
import TestSupport
import Testing

@testable import ExperimentKit

/// `kill -9` at random instants; whatever was interrupted, the run that is resumed is the unbroken run bit by bit.
@Suite(.serialized) struct KillTests {
    private static let kills = ProcessInfo.processInfo.environment["HYPERNETWORKS_STRESS_KILLS"].flatMap(Int.init) ?? 6
    private static let program = BuiltProgram(name: "char-hyperlstm")

    @Test func aRunKilledAtAnyInstantsIsTheUnbrokenRunBitByBit() throws {
        // A checkpoint at every second step, so that about half of the kills meet one being written.
        let run = try TestRun()
        func arguments(_ out: String) -> [String] {
            run.trainArguments(out: out, threads: 1, ["--set", "training.checkpointEvery=2"])
        }
        func folder(_ out: String) -> URL { run.folder.url.appendingPathComponent("\(out)/tiny/0") }
        let start = ContinuousClock.now
        #expect(try Self.program.run(arguments("unbroken")).status == 0)
        let duration = (ContinuousClock.now - start).seconds * 1e6
        let expected = try run.lastingState(of: folder("unbroken"))
        var damage = Damage(case: 0, seed: 2), killed = 0, runs = 0
        while killed < Self.kills {
            let out = "run-\(runs)"
            runs += 1
            for sitting in 0..<8 {
                let resume = ["resume", folder(out).path, "--data", run.dataFolder.path, "--threads", "1"]
                let hasBegun = run.folder.exists("\(out)/tiny/0/record.json")
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
            #expect(try run.lastingState(of: folder(out)) == expected, "\(out)")
            let left = try #require(FileManager.default.enumerator(atPath: folder(out).path)).compactMap {
                $0 as? String
            }
            #expect(left.allSatisfy { !$0.hasSuffix(".tmp") && !$0.hasSuffix(".partial") }, "\(left)")
            try FileManager.default.removeItem(at: folder(out))
        }
        if Damage.isStress { print("training: \(killed) kills in \(runs) runs") }
    }

    @Test func anEvaluationKilledAtAnyInstantChangesNothing() throws {
        let run = try TestRun(overrides: ["training.steps=4"]), training = try run.finished()
        func content() throws -> [String: Data] {
            let names = try #require(FileManager.default.enumerator(atPath: training.folder.path)).compactMap {
                $0 as? String
            }
            return names.reduce(into: [:]) { files, name in
                files[name] = try? Data(contentsOf: training.folder.appendingPathComponent(name))
            }
        }
        let before = try content(), start = ContinuousClock.now
        let arguments = ["evaluate", training.folder.path, "--data", run.dataFolder.path]
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
            let processes = try (0..<2).map { _ in try Self.program.start(run.trainArguments(threads: 1)).0 }
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
