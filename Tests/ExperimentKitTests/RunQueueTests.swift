import Foundation
import TestSupport
import Testing

@testable import ExperimentCommands
@testable import ExperimentKit

/// The queue of `reproduce`, with a script in the program's place that writes down what happens to it.
@Suite(.serialized) struct RunQueueTests {
    private let folder: TemporaryFolder
    private let script: URL

    init() throws {
        folder = try TemporaryFolder()
        script = try folder.writeScript(
            """
            cd "$(dirname "$0")"
            echo "begin $2 $4 $(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)" >> log
            case $2 in
            busy) exit 75;;
            bad) echo "no such thing" >&2; exit 3;;
            crash) kill -SEGV $$;;
            long) trap 'echo "term $2" >> log; exit 143' TERM; echo ready >> log; for i in {1..600}; do sleep 0.1; done;;
            full) trap 'echo "disk full" >&2; exit 1' TERM; echo ready >> log; for i in {1..600}; do sleep 0.1; done;;
            deaf) echo ready >> log; exec sleep 60;;
            *) sleep 0.3;;
            esac
            echo "end $2 $4" >> log
            """, to: "program.sh")
    }

    private func queued(_ names: [String]) -> [QueuedRun] {
        names.map {
            QueuedRun(
                configuration: $0, seed: 7, steps: 10, folder: folder.url.appendingPathComponent("out/\($0)/7"),
                expectedSeconds: 60)
        }
    }

    private var log: [String] {
        let text = (try? String(contentsOf: folder.url.appendingPathComponent("log"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    /// What became of runs, two at a time: those that failed.
    private func failures(of names: [String]) -> [String] {
        RunQueue(
            executable: script, runs: queued(names), jobs: 2, arguments: [], interruption: Interruption(),
            claims: folder.url
        ).run().map(\.configuration).sorted()
    }

    @Test func aRunThatFailsOrCrashesDoesNotStopTheOthers() throws {
        #expect(failures(of: ["a", "bad", "crash", "b"]) == ["bad", "crash"])
        #expect(log.filter { $0.hasPrefix("begin") }.count == 4)
        #expect(Set(log.filter { $0.hasPrefix("end") }) == ["end a 7", "end b 7"])
        let words = try String(contentsOf: folder.url.appendingPathComponent("out/bad/7.log"), encoding: .utf8)
        #expect(words == "no such thing\n")
    }

    /// Another call, or one that was killed and left its runs to go on, has it.
    @Test func aRunThatAnotherProcessWorksOnHasNotFailed() {
        let queue = RunQueue(
            executable: script, runs: queued(["a", "busy"]), jobs: 2, arguments: [], interruption: Interruption(),
            claims: folder.url)
        #expect(queue.run().isEmpty && queue.busy.map(\.configuration) == ["busy"])
    }

    @Test func aRunThatCannotBeStartedDoesNotStopTheOthersEither() throws {
        // A file where the run's folder belongs, and a folder where its log does.
        try folder.write("", to: "out/file")
        try folder.write("", to: "out/folder/7.log/x")
        #expect(failures(of: ["a", "file", "folder", "b"]) == ["file", "folder"])
        #expect(Set(log.filter { $0.hasPrefix("end") }) == ["end a 7", "end b 7"])
    }

    @Test func aLogIsAddedToAndAnEarlierCallsMessageIsNotThisOnes() throws {
        try folder.write("earlier\n", to: "out/bad/7.log")
        #expect(failures(of: ["bad"]) == ["bad"])
        let run = queued(["bad"])[0]
        #expect(try String(contentsOf: run.log, encoding: .utf8) == "earlier\nno such thing\n")
        #expect(run.lastMessage()?.hasPrefix("no such thing;") == true)
        #expect(run.lastMessage(after: 22) == nil)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/taskset")))
    func severalAtATimeHaveACoreEach() throws {
        #expect(failures(of: ["a", "b"]).isEmpty)
        #expect(Set(log.filter { $0.hasPrefix("begin") }) == ["begin a 7 1", "begin b 7 1"])
    }

    @Test func queuesAtTheSameTimeClaimDifferentProcessors() {
        func claim() -> ProcessorClaim? { ProcessorClaim.first(of: [3, 5], in: folder.url) }
        var claims = [claim(), claim(), claim()]
        #expect(claims.map { $0?.processor } == [3, 5, nil])
        claims[0] = nil
        let next = claim()
        #expect(next?.processor == 3 && claims[1]?.processor == 5)
        #expect(ProcessorClaim.first(of: [3], in: folder.url.appendingPathComponent("missing")) == nil)
    }

    /// What a queue says to have failed that is stopped once its first run is under way.
    private func failuresOfStopped(_ names: [String]) -> [String] {
        // Whoever runs the tests may have left the signal blocked, and its processes inherit that.
        var stop = sigset_t()
        sigemptyset(&stop)
        sigaddset(&stop, SIGTERM)
        pthread_sigmask(SIG_UNBLOCK, &stop, nil)
        let interruption = Interruption()
        let queue = RunQueue(
            executable: script, runs: queued(names), jobs: 1, arguments: [], interruption: interruption,
            claims: folder.url)
        let logFile = folder.path("log")
        let stopper = Thread {
            while (try? String(contentsOfFile: logFile, encoding: .utf8))?.contains("ready") != true { usleep(10_000) }
            interruption.request(signal: SIGTERM)
        }
        stopper.start()
        return queue.run().map(\.configuration)
    }

    @Test func aStopReachesEveryRunAndBeginsNoOther() {
        #expect(failuresOfStopped(["long", "a"]).isEmpty)
        #expect(log.contains("term long") && !log.contains { $0.hasPrefix("begin a") })
    }

    /// As a program is before it has come to listen.
    @Test func aRunThatDiesOfAStopHasNotFailed() {
        #expect(failuresOfStopped(["deaf", "a"]).isEmpty)
        #expect(!log.contains { $0.hasPrefix("begin a") })
    }

    @Test func aRunThatCannotWriteItsCheckpointAtAStopHasFailed() {
        #expect(failuresOfStopped(["full", "a"]) == ["full"])
        #expect(!log.contains { $0.hasPrefix("begin a") })
    }

    @Test func aFinishedRunTakesNoMoreTimeWhateverStepsItLeftOut() throws {
        let run = try TestRun(overrides: ["training.steps=2"]), training = try run.finished()
        let queued = QueuedRun(configuration: "a", seed: 3, steps: 10, folder: training.folder, expectedSeconds: 60)
        #expect(queued.secondsLeft(after: nil) == 0)
    }

    @Test func theTimeLeftIsThatOfTheRunsOwnPaceOnceItHasOne() throws {
        let run = queued(["a"])[0]
        #expect(run.secondsLeft(after: run.progress()) == 60)
        try FileManager.default.createDirectory(at: run.folder, withIntermediateDirectories: true)
        try StepLog(url: run.folder.appendingPathComponent("steps.jsonl")).append(
            StepRecord(step: 4, seconds: 8, lossNats: 1))
        #expect(run.secondsLeft(after: run.progress()) == 12)
    }

    @Test func linesAreCutToTheWidthOfATerminal() {
        #expect(fitted("abcdef\nab", width: 4) == "abc…\nab" && fitted("abcdef", width: nil) == "abcdef")
    }
}
