import Foundation
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite struct StepLogTests {
    private func log(_ folder: TemporaryFolder) -> StepLog {
        StepLog(url: folder.url.appendingPathComponent("steps.jsonl"))
    }
    private let validation = SplitEvaluation(lossNats: 1.5, predictions: 10, streams: 2, seconds: 0.25)

    @Test func linesComeBackAsWritten() throws {
        let folder = try TemporaryFolder()
        let records = [
            StepRecord(step: 1, seconds: 0.1, lossNats: 1.0 / 3, rate: 0.001, gradientNorm: 2),
            StepRecord(step: 1, seconds: 0.2, validation: validation),
        ]
        for record in records { try log(folder).append(record) }
        #expect(try StepLog.read(log(folder).url) == records)
    }

    @Test func anUnfinishedLastLineIsPassedOverAndADamagedOneElsewhereIsAnError() throws {
        let folder = try TemporaryFolder()
        try log(folder).append(StepRecord(step: 1, seconds: 0.1))
        let whole = try String(contentsOf: log(folder).url, encoding: .utf8)
        try Data((whole + "{\"step\":2,\"sec").utf8).write(to: log(folder).url)
        #expect(try StepLog.read(log(folder).url).map(\.step) == [1])
        try Data(("{\"step\":2,\"sec\n" + whole).utf8).write(to: log(folder).url)
        #expect(throws: RecordError.self) { try StepLog.read(log(folder).url) }
    }

    @Test(arguments: [(true, 4), (false, 3)])
    func truncationKeepsWhatTheCheckpointKnows(keepingValidation: Bool, count: Int) throws {
        let folder = try TemporaryFolder()
        for step in 1...3 { try log(folder).append(StepRecord(step: step, seconds: 0, lossNats: 1)) }
        try log(folder).append(StepRecord(step: 3, seconds: 0, validation: validation))
        try log(folder).append(StepRecord(step: 4, seconds: 0, lossNats: 1))
        try log(folder).truncate(toStep: 3, keepingItsValidation: keepingValidation)
        #expect(try StepLog.read(log(folder).url).count == count)
    }
}

@Suite struct StableJSONTests {
    @Test func keysAreSortedAndNumbersComeBackBitByBit() throws {
        struct Pair: Codable, Equatable { let b: Double, a: Double }
        let pair = Pair(b: 0.1 + 0.2, a: 1e-300)
        let bytes = try StableJSON.encodeLine(pair)
        #expect(String(decoding: bytes, as: UTF8.self) == "{\"a\":1e-300,\"b\":0.30000000000000004}\n")
        #expect(try StableJSON.decode(Pair.self, from: bytes) == pair)
    }
}

@Suite struct SittingTests {
    private func sitting(simd: String = "avx2", core: String? = "Haswell", threads: Int = 4) -> RunRecord.Sitting {
        RunRecord.Sitting(
            began: "", fromStep: 0, code: RunRecord.Code(commit: "a", treeDirty: nil), version: nil, programSHA256: "b",
            cpu: "", cores: 8, memoryGiB: 16, simd: simd, blasCore: core, threads: threads, processes: 1)
    }

    @Test func whatKeepsASittingFromGoingOnBitByBitIsSaid() throws {
        #expect(sitting().differences(from: sitting(), shards: 1) == nil)
        #expect(sitting().differences(from: nil, shards: 1) == nil)
        // Records from before the kernels were written down.
        #expect(sitting().differences(from: sitting(core: nil), shards: 1) == nil)
        let text = try #require(
            sitting(simd: "avx512", core: "SkylakeX", threads: 2).differences(from: sitting(), shards: 1))
        for words in ["avx2 → avx512", "Haswell → SkylakeX", "threads 4 → 2", "not bit by bit"] {
            #expect(text.contains(words), "\(text)")
        }
    }
}

@Suite struct CodeTests {
    private func git(_ arguments: String, in folder: URL) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = [
            "-c", "cd '\(folder.path)' && git -c user.name=a -c user.email=a@b \(arguments) >/dev/null 2>&1",
        ]
        try process.run()
        process.waitUntilExit()
    }

    /// A source archive unpacked inside somebody's own repository is not at that repository's commit.
    @Test func theCommitOfARepositoryAroundTheProjectIsNotItsOwn() throws {
        let folder = try TemporaryFolder()
        try git("init", in: folder.url)
        try git("commit --allow-empty -m one", in: folder.url)
        #expect(RunRecord.Code.current(in: folder.url).commit.count == 40)
        let project = folder.url.appendingPathComponent("hypernetworks")
        try FileManager.default.createDirectory(at: project, withIntermediateDirectories: true)
        let code = RunRecord.Code.current(in: project)
        #expect(code.commit == "unknown" && code.unknownBecause == "the project lies in another repository")
    }

    @Test func whyThereIsNoCommitIsSaid() throws {
        #expect(
            RunRecord.Code.current(in: try TemporaryFolder().url).unknownBecause == "the project is no git checkout")
        #expect(RunRecord.Code.current(in: nil).unknownBecause == "no checkout of the project")
    }
}

@Suite struct ProjectFolderTests {
    @Test func theCheckoutIsFoundFromWithinItAndFromTheProgram() {
        let inside = checkout.url.appendingPathComponent("Sources/Compute")
        #expect(ProjectFolder.locate(workingDirectory: inside, program: nil)?.url.path == checkout.url.path)
        let outside = URL(fileURLWithPath: "/")
        #expect(ProjectFolder.locate(workingDirectory: outside, program: nil) == nil)
        let program = checkout.url.appendingPathComponent(".build/release/char-hyperlstm")
        #expect(ProjectFolder.locate(workingDirectory: outside, program: program)?.url.path == checkout.url.path)
        let named = [ProjectFolder.variable: checkout.url.path], wrong = [ProjectFolder.variable: outside.path]
        #expect(
            ProjectFolder.locate(workingDirectory: outside, program: nil, environment: named)?.url.path
                == checkout.url.path)
        #expect(ProjectFolder.locate(workingDirectory: inside, program: program, environment: wrong) == nil)
    }
}

@Suite struct TextProgressTests {
    private final class Sink {
        var text = ""
        var time = 0.0
    }

    private func step(_ step: Int) -> ProgressEvent {
        .step(StepProgress(step: step, steps: 1000, lossNats: log(2), unitsPerSecond: 12345.6, secondsLeft: 3725))
    }

    @Test func elsewhereThanOnATerminalAPlainLineComesEveryTenSeconds() {
        let sink = Sink()
        let progress = TextProgress(
            label: "run", display: CharacterExperiment.display, isTerminal: false, now: { sink.time }
        ) { sink.text += $0 }
        for second in 0..<21 {
            sink.time = Double(second)
            progress.report(step(second + 1))
        }
        #expect(
            sink.text.split(separator: "\n")
                == [1, 11, 21].map {
                    "run  step \($0)/1,000  1.000 bpc  12,346 characters/s  1 h 2 min left"
                })
    }

    @Test func onATerminalTheLineIsRedrawnAndALineThatStaysReplacesIt() {
        let sink = Sink()
        let progress = TextProgress(
            label: "run", display: CharacterExperiment.display, isTerminal: true, now: { sink.time }
        ) { sink.text += $0 }
        progress.report(step(1))
        progress.report(.note("a checkpoint"))
        #expect(sink.text.hasPrefix("\rrun  step 1/1,000") && !sink.text.dropLast().contains("\n"))
        #expect(sink.text.hasSuffix("\r\u{1B}[Ka checkpoint\n"))
    }

    @Test func onANarrowTerminalTheLineIsCutAndDoesNotWrap() {
        let sink = Sink()
        let progress = TextProgress(
            label: "run", display: CharacterExperiment.display, isTerminal: true, now: { sink.time }, width: { 20 }
        ) { sink.text += $0 }
        progress.report(step(1))
        #expect(sink.text == "\rrun  step 1/1,000  …\u{1B}[K")
    }

    @Test func numbersReadWell() {
        #expect(grouped(4_254_050) == "4,254,050" && grouped(-1000) == "-1,000" && grouped(7) == "7")
        #expect(durationText(seconds: 59.4) == "59 s" && durationText(seconds: 725) == "12 min 5 s")
        #expect(durationText(seconds: .infinity) == "-" && fixed(.nan, 2) == "-")
    }
}
