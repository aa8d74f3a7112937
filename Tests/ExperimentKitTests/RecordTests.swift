import Foundation
import TestSupport
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

    @Test(arguments: [
        (#"{"step":-1,"seconds":1}"#, "step"), (#"{"step":1,"seconds":-1}"#, "seconds"),
        (#"{"step":1,"seconds":1,"lossNats":-1e300}"#, "lossNats"),
    ])
    func aNumberThatNoRunCanHaveWrittenIsNamedByLineAndKey(line: String, key: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("{\"step\":1,\"seconds\":0}\n\(line)\n", to: "steps.jsonl")
        let error = #expect(throws: RecordError.self) { try StepLog.read(file) }
        #expect(error?.description.hasPrefix("\(file.path):2: cannot be read: '\(key)' expected a") == true)
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
    private func sitting(
        commit: String = "a", program: String = "b", simd: String = "avx2", core: String? = "Haswell", threads: Int = 4
    ) -> RunRecord.Sitting {
        RunRecord.Sitting(
            began: "", fromStep: 0, code: RunRecord.Code(commit: commit, treeDirty: nil), version: nil,
            programSHA256: program,
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
        let commit = sitting(commit: "c", program: "d").differences(from: sitting(), shards: 1)
        #expect(commit?.contains("code a → c;") == true)
        let build = sitting(program: "d").differences(from: sitting(), shards: 1)
        #expect(build?.contains("another build of the program;") == true)
        // With shards the sums are split by these, on whatever number of threads.
        #expect(sitting(threads: 2).differences(from: sitting(), shards: 4) == nil)
    }
}

@Suite struct RunRecordTests {
    private func record() throws -> RunRecord {
        let run = try TestRun(), configuration = try run.configuration
        return RunRecord(
            experiment: "char-hyperlstm", configuration: run.file, decoded: configuration, unit: "characters", seed: 3,
            code: RunRecord.Code(commit: "aaaaaaaaaaaa", treeDirty: false),
            data: CharacterExperiment.describe(run.corpus, configuration), parameterCount: 1)
    }

    private func environment(_ cpu: String, threads: Int) -> RunRecord.Environment {
        RunRecord.Environment(
            swift: "Swift", operatingSystem: "", cpu: cpu, simd: "avx2", threads: threads, threadsReason: nil,
            blas: "OpenBLAS", blasVersion: "", blasCore: "")
    }

    private func sitting(_ commit: String, fromStep: Int, threads: Int) -> RunRecord.Sitting {
        RunRecord.Sitting(
            began: "", fromStep: fromStep, code: RunRecord.Code(commit: commit, treeDirty: commit.hasPrefix("c")),
            version: nil, programSHA256: nil, cpu: "A", cores: 8, memoryGiB: 16, simd: "avx2", blasCore: nil,
            threads: threads, processes: 1)
    }

    @Test func everyCommitAndMachineOfARunIsListedOnceInOrder() throws {
        var record = try record()
        #expect(record.provenance[0...2] == ["`aaaaaaaaaa`", "-", "-"])
        record.sittings = [
            sitting("aaaaaaaaaaaa", fromStep: 2, threads: 1), sitting("cccccccccccc", fromStep: 5, threads: 2),
            sitting("aaaaaaaaaaaa", fromStep: 9, threads: 1),
        ]
        record.training.stepsDone = 1_009
        record.environments = [
            environment("A", threads: 1), environment("A", threads: 2), environment("A", threads: 1),
        ]
        #expect(
            record.provenance[0...2] == [
                "`aaaaaaaaaa`, then `cccccccccc` with uncommitted changes",
                "A, 1 thread (1,005 steps), then A, 2 threads (4 steps)", "OpenBLAS; avx2; Swift",
            ])
        #expect(record.threadsInWords == "mostly 1 thread" && record.machineInWords == "mostly 1 thread, A")
    }

    @Test(arguments: [
        ("\"seed\" : 3,", "", "the key 'seed' is missing"),
        ("\"seed\" : 3", "\"seed\" : \"x\"", "'seed' expected a whole number"),
        ("\"stepsDone\" : 0", "\"stepsDone\" : null", "'training.stepsDone' expected a whole number, found null"),
        ("\"formatVersion\" : 1,\n  \"parameterCount\" : 1,", "\"formatVersion\" : 2,", "of format 2"),
        ("{", "", "not JSON"),
        ("\"budget\" : ", "\"budget\" : [", "not JSON"),
    ])
    func aFaultOfADocumentIsNamedByItsKey(found: String, damage: String, words: String) throws {
        let folder = try TemporaryFolder(), file = folder.url.appendingPathComponent("record.json")
        try record().write(to: file)
        let text = try String(contentsOf: file, encoding: .utf8), place = try #require(text.range(of: found), "\(text)")
        try folder.write(text.replacingCharacters(in: place, with: damage), to: "record.json")
        let error = #expect(throws: RecordError.self) { try RunRecord(contentsOf: file) }
        #expect(
            error?.description.hasPrefix("\(file.path): cannot be read: \(words)") == true,
            "\(String(describing: error))")
    }

    /// Numbers that would be divided by, drawn or taken for a size.
    @Test(arguments: [
        ("\"seed\" : 3", "\"seed\" : -1", "seed"),
        ("\"parameterCount\" : 1,", "\"parameterCount\" : -1,", "parameterCount"),
        ("\"stepsDone\" : 8", "\"stepsDone\" : 9223372036854775807", "training.stepsDone"),
        ("\"selectedStep\" : 8", "\"selectedStep\" : -8", "training.selectedStep"),
        ("\"wallSeconds\" : 2.5", "\"wallSeconds\" : -2.5", "training.wallSeconds"),
        ("\"streams\" : 1,", "\"streams\" : 0,", "test.streams"),
        ("\"streams\" : 1,", "\"streams\" : 9223372036854775807,", "test.streams"),
        ("\"predictions\" : 90", "\"predictions\" : 0", "test.predictions"),
        ("\"wrong\" : 7", "\"wrong\" : 91", "test.wrong"),
        ("\"lossNats\" : 1.5", "\"lossNats\" : 1e300", "test.lossNats"),
        ("\"fromStep\" : 0", "\"fromStep\" : -1", "sittings[0].fromStep"),
    ])
    func aNumberThatNoRunCanHaveWrittenIsNamedByItsKey(found: String, damage: String, key: String) throws {
        var record = try record()
        record.training.stepsDone = 8
        record.training.selectedStep = 8
        record.training.wallSeconds = 2.5
        record.sittings = [sitting("aaaaaaaaaaaa", fromStep: 0, threads: 1)]
        record.test = SplitEvaluation(lossNats: 1.5, predictions: 90, wrong: 7, streams: 1, seconds: 1)
        let folder = try TemporaryFolder(), file = folder.url.appendingPathComponent("record.json")
        try record.write(to: file)
        #expect(try RunRecord(contentsOf: file) == record)
        let text = try String(contentsOf: file, encoding: .utf8)
        try #require(text.contains(found), "\(text)")
        try folder.write(text.replacingOccurrences(of: found, with: damage), to: "record.json")
        let error = #expect(throws: RecordError.self) { try RunRecord(contentsOf: file) }
        #expect(
            error?.description.hasPrefix("\(file.path): cannot be read: '\(key)' expected a") == true,
            "\(String(describing: error))")
    }
}

/// What the build writes into the program about its sources: `Plugins/WriteSourceCommit/write.sh`.
@Suite struct SourceCommitTests {
    @discardableResult private func shell(_ command: String, in folder: URL) throws -> String {
        try #require(SystemCommand(["sh", "-c", "cd '\(folder.path)' && \(command)"])).output
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The line that the script writes for a project: its commit, whether the code differs, why the commit is unknown.
    private func found(_ project: URL, path: String? = nil) throws -> String {
        let script = checkout.url.appendingPathComponent("Plugins/WriteSourceCommit/write.sh").path
        let folder = try TemporaryFolder(), environment = path.map { "PATH=\($0) " } ?? ""
        try shell("\(environment)/bin/sh '\(script)' '\(project.path)' found.swift", in: folder.url)
        let text = try String(contentsOf: folder.url.appendingPathComponent("found.swift"), encoding: .utf8)
        return try #require(text.split(separator: "\n").first { $0.hasPrefix("    (") })
            .trimmingCharacters(in: .whitespaces)
    }

    /// A commit that was rewritten after its program ran is no origin. Without the history, as in a shallow clone, it is not
    /// looked at.
    @Test func theCommitsOfCommittedRecordsAreInTheHistory() throws {
        func git(_ arguments: String...) -> SystemCommand? {
            SystemCommand(["git", "-C", checkout.url.path] + arguments)
        }
        guard git("rev-parse", "--is-shallow-repository")?.output.hasPrefix("false") == true else { return }
        var places: [String: String] = [:]
        for program in ["char-hyperlstm", "static-hypernet"] {
            for run in CommittedRun.all(in: checkout.experiment(program), damaged: { Issue.record("\($0)") }) {
                for code in [run.record.code] + (run.record.sittings ?? []).map(\.code) {
                    places[code.commit] = run.folder.path
                }
            }
        }
        #expect(!places.isEmpty)
        for (commit, place) in places {
            #expect(git("merge-base", "--is-ancestor", commit, "HEAD")?.status == 0, "\(place): \(commit)")
        }
    }

    private func repository() throws -> (folder: TemporaryFolder, head: String) {
        let folder = try TemporaryFolder(), author = "-c user.name=a -c user.email=a@b -c commit.gpgsign=false"
        try shell("git init && git \(author) commit --allow-empty -m one", in: folder.url)
        let head = try shell("git rev-parse HEAD", in: folder.url)
        #expect(head.count == 40)
        return (folder, head)
    }

    @Test func recordsAndDocumentsAreNoChangesOfTheCodeAndOtherFilesAre() throws {
        let (folder, head) = try repository()
        #expect(try found(folder.url) == "(\"\(head)\", false, nil)")
        try shell(
            "mkdir -p docs experiments/a/runs/b experiments/a/cross-check && touch experiments/a/runs/b/record.json"
                + " experiments/a/cross-check/lstm.json RESULTS.md docs/deviations.md",
            in: folder.url)
        #expect(try found(folder.url) == "(\"\(head)\", false, nil)")
        try shell("touch new.swift", in: folder.url)
        #expect(try found(folder.url) == "(\"\(head)\", true, nil)")
    }

    /// A source archive unpacked inside somebody's own repository is not at that repository's commit.
    @Test func theCommitOfARepositoryAroundTheProjectIsNotItsOwn() throws {
        let (folder, _) = try repository()
        try shell("mkdir hypernetworks", in: folder.url)
        let project = folder.url.appendingPathComponent("hypernetworks")
        #expect(try found(project).hasPrefix("(nil, nil, \"the project lay in another repository"))
    }

    @Test func whyThereIsNoCommitIsSaid() throws {
        let folder = try TemporaryFolder()
        #expect(try found(folder.url).hasPrefix("(nil, nil, \"the project was no git checkout"))
        #expect(try found(folder.url, path: "/nonexistent").hasPrefix("(nil, nil, \"no git"))
        try shell("git init", in: folder.url)
        #expect(try found(folder.url).hasPrefix("(nil, nil, \"the project had no commit"))
    }

    @Test func theProgramKnowsItsCommitOrWhyNot() {
        let code = RunRecord.Code.current
        #expect(code.commit.count == 40 ? code.unknownBecause == nil : code.unknownBecause?.isEmpty == false)
    }
}
