import Foundation
import Testing

@testable import ExperimentCommands
@testable import ExperimentKit

/// The queue of `reproduce`, with a script in the program's place that writes down what happens to it.
@Suite(.serialized) struct RunQueueTests {
    private let folder: TemporaryFolder
    private let script: URL

    init() throws {
        folder = try TemporaryFolder()
        script = try folder.write(
            """
            #!/bin/bash
            cd "$(dirname "$0")"
            echo "begin $2 $4 $(nproc)" >> log
            case $2 in
            bad) echo "no such thing" >&2; exit 3;;
            crash) kill -SEGV $$;;
            long) trap 'echo "term $2" >> log; exit 143' TERM; for i in {1..600}; do sleep 0.1; done;;
            *) sleep 0.3;;
            esac
            echo "end $2 $4" >> log
            """, to: "program.sh")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
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

    @Test func aRunThatFailsOrCrashesDoesNotStopTheOthers() throws {
        let queue = RunQueue(
            executable: script, runs: queued(["a", "bad", "crash", "b"]), jobs: 2, arguments: [],
            interruption: Interruption())
        #expect(try queue.run().map(\.configuration).sorted() == ["bad", "crash"])
        #expect(log.filter { $0.hasPrefix("begin") }.count == 4)
        #expect(Set(log.filter { $0.hasPrefix("end") }) == ["end a 7", "end b 7"])
        let words = try String(contentsOf: folder.url.appendingPathComponent("out/bad/7.log"), encoding: .utf8)
        #expect(words == "no such thing\n")
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/taskset")))
    func severalAtATimeHaveACoreEach() throws {
        let queue = RunQueue(
            executable: script, runs: queued(["a", "b"]), jobs: 2, arguments: [], interruption: Interruption())
        #expect(try queue.run().isEmpty)
        #expect(Set(log.filter { $0.hasPrefix("begin") }) == ["begin a 7 1", "begin b 7 1"])
    }

    @Test func aStopReachesEveryRunAndBeginsNoOther() throws {
        // Whoever runs the tests may have left the signal blocked, and its processes inherit that.
        var stop = sigset_t()
        sigemptyset(&stop)
        sigaddset(&stop, SIGTERM)
        pthread_sigmask(SIG_UNBLOCK, &stop, nil)
        let interruption = Interruption()
        let queue = RunQueue(
            executable: script, runs: queued(["long", "a"]), jobs: 1, arguments: [], interruption: interruption)
        let logFile = folder.url.appendingPathComponent("log").path
        let stopper = Thread {
            while !FileManager.default.fileExists(atPath: logFile) { usleep(10_000) }
            usleep(300_000)
            interruption.request(signal: SIGTERM)
        }
        stopper.start()
        #expect(try queue.run().isEmpty)
        #expect(log.contains("term long") && !log.contains { $0.hasPrefix("begin a") })
    }

    @Test func theTimeLeftIsThatOfTheRunsOwnPaceOnceItHasOne() throws {
        let run = queued(["a"])[0]
        #expect(run.secondsLeft() == 60)
        try FileManager.default.createDirectory(at: run.folder, withIntermediateDirectories: true)
        try StepLog(url: run.folder.appendingPathComponent("steps.jsonl")).append(
            StepRecord(step: 4, seconds: 8, lossNats: 1))
        #expect(run.secondsLeft() == 12)
    }

    @Test func linesAreCutToTheWidthOfATerminal() {
        #expect(fitted("abcdef\nab", width: 4) == "abc…\nab" && fitted("abcdef", width: nil) == "abcdef")
    }
}
