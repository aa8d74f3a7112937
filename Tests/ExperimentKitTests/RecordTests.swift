import Foundation
import TestSupport
import Testing

@testable import ExperimentKit

@Suite struct StableJSONTests {
    @Test func keysAreSortedAndNumbersComeBackBitByBit() throws {
        struct Pair: Codable, Equatable { let b: Double, a: Double }
        let pair = Pair(b: 0.1 + 0.2, a: 1e-300)
        let bytes = try StableJSON.encodeLine(pair)
        #expect(String(decoding: bytes, as: UTF8.self) == "{\"a\":1e-300,\"b\":0.30000000000000004}\n")
        #expect(try StableJSON.decode(Pair.self, from: bytes) == pair)
    }

    @Test func aDamagedFileIsNamedWithItsKey() throws {
        struct Measured: Decodable { let seconds: Double }
        let folder = try TemporaryFolder(), file = try folder.write("{}", to: "measured.json")
        #expect(
            throws: RecordError.unreadable(path: file.path, reason: "the key 'seconds' is missing: measure anew")
        ) { try StableJSON.decode(Measured.self, at: file, remedy: "measure anew") }
    }
}

@Suite struct SittingTests {
    @Test func whatKeepsASittingFromGoingOnBitByBitIsSaid() throws {
        typealias Sitting = RunRecord.Sitting
        let before = Sitting.example()
        #expect(Sitting.example().differences(from: before, shards: 1) == nil)
        #expect(Sitting.example().differences(from: nil, shards: 1) == nil)
        // Records from before the kernels were written down.
        #expect(Sitting.example().differences(from: Sitting.example(core: nil), shards: 1) == nil)
        let text = try #require(
            Sitting.example(simd: "avx512", core: "SkylakeX", threads: 2).differences(from: before, shards: 1))
        for words in ["avx2 → avx512", "Haswell → SkylakeX", "threads 4 → 2", "not bit by bit"] {
            #expect(text.contains(words), "\(text)")
        }
        let commit = Sitting.example(commit: "c", program: "d").differences(from: before, shards: 1)
        #expect(commit?.contains("code a → c;") == true)
        let build = Sitting.example(program: "d").differences(from: before, shards: 1)
        #expect(build?.contains("another build of the program;") == true)
        // With shards the sums are split by these, on whatever number of threads.
        #expect(Sitting.example(threads: 2).differences(from: before, shards: 4) == nil)
    }
}

@Suite struct RunRecordTests {
    private func record() throws -> RunRecord {
        let run = try TestRun()
        return try .example(of: run.file, seed: 3, data: run.dataDescription, commit: "aaaaaaaaaaaa")
    }

    private func environment(_ cpu: String, threads: Int) -> RunRecord.Environment {
        RunRecord.Environment(
            swift: "Swift", operatingSystem: "", cpu: cpu, simd: "avx2", threads: threads, threadsReason: nil,
            blas: "OpenBLAS", blasVersion: "", blasCore: "")
    }

    @Test func everyCommitAndMachineOfARunIsListedOnceInOrder() throws {
        var record = try record()
        #expect(record.provenance[0...2] == ["`aaaaaaaaaa`", "-", "-"])
        record.sittings = [
            .example(fromStep: 2, commit: "aaaaaaaaaaaa", threads: 1),
            .example(fromStep: 5, commit: "cccccccccccc", treeDirty: true, threads: 2),
            .example(fromStep: 9, commit: "aaaaaaaaaaaa", threads: 1),
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
        record.sittings = [.example()]
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
