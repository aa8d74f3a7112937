import Compute
import Foundation
import NeuralNetwork
import Processes
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit
@testable import ImageExperiments

/// Processes that are threads of this one.
private final class ThreadGroup: @unchecked Sendable {
    private let count: Int
    private let condition = NSCondition()
    private var given: [[UInt8]]
    private var taken: [[UInt8]] = []
    private var arrived = 0, round = 0

    init(count: Int) {
        self.count = count
        given = [[UInt8]](repeating: [], count: count)
    }

    /// What every member gives, to every member.
    private func exchange(_ bytes: UnsafeRawBufferPointer, _ rank: Int) -> [[UInt8]] {
        condition.withLock {
            given[rank] = Array(bytes)
            arrived += 1
            let present = round
            if arrived == count {
                (taken, arrived) = (given, 0)
                round += 1
                condition.broadcast()
            } else {
                while round == present { condition.wait() }
            }
            return taken
        }
    }

    private final class Member: ProcessGroup {
        let rank: Int, count: Int
        let group: ThreadGroup

        init(rank: Int, group: ThreadGroup) { (self.rank, count, self.group) = (rank, group.count, group) }

        func allGather(_ given: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) {
            all.copyBytes(from: group.exchange(given, rank).joined())
        }

        func allToAll(_ given: UnsafeRawBufferPointer, into taken: UnsafeMutableRawBufferPointer) {
            let block = given.count / count
            taken.copyBytes(from: group.exchange(given, rank).flatMap { $0[rank * block..<(rank + 1) * block] })
        }

        func broadcast(_ data: UnsafeMutableRawBufferPointer, limit: WaitLimit) {
            data.copyBytes(from: group.exchange(UnsafeRawBufferPointer(data), rank)[0])
        }
    }

    private struct Body: @unchecked Sendable {
        let run: (any ProcessGroup) throws -> Void
    }

    /// Calls `lead` in the first process and `follow` in the others; returns when all have ended.
    static func run(
        _ count: Int, follow: @escaping (any ProcessGroup) throws -> Void, lead: (any ProcessGroup) throws -> Void
    ) throws {
        let group = ThreadGroup(count: count), done = DispatchGroup(), body = Body(run: follow)
        for rank in 1..<count {
            done.enter()
            Thread {
                Parallel.$partsOverride.withValue(1) { try? body.run(Member(rank: rank, group: group)) }
                done.leave()
            }.start()
        }
        let first = Member(rank: 0, group: group)
        let result = Result { try Parallel.$partsOverride.withValue(1) { try lead(first) } }
        first.dismiss()
        done.wait()
        try result.get()
    }
}

/// A batch computed in parts gives what it gives as a whole, whoever computes the parts.
@Suite struct ShardTests {
    /// Brings a run to its end with so many processes.
    private func finish<Work: Experiment>(_ run: TrainingRun<Work>, processes: Int, data: Work.Data) throws {
        try ThreadGroup.run(processes, follow: { try TrainingRun<Work>.follow($0) { _ in data } }) { processes in
            let end = try run.run(with: processes)
            #expect(end == .finished)
        }
    }

    // MARK: - The same bits on any number of processes and threads

    @Test func charactersTrainToTheSameBitsOnOneTwoAndFourProcesses() throws {
        let run = try TestRun(overrides: ["training.shards=4", "training.steps=12"])
        let states = try [1, 2, 4].map { processes in
            let training = try run.begin(out: "of-\(processes)")
            try finish(training, processes: processes, data: run.data)
            #expect(training.record.sittings?.map(\.processes) == [processes])
            return try run.lastingState(of: training.folder)
        }
        #expect(states[0] == states[1] && states[0] == states[2])
    }

    @Test(arguments: [[], ImageTestRun.ordinary, ["deviations.batchNormalization=shard"]])
    func imagesTrainToTheSameBitsOnOneTwoAndFourProcesses(settings: [String]) throws {
        let run = try ImageTestRun(overrides: settings + ["training.shards=4", "training.steps=4"])
        let states = try [1, 2, 4].map { processes in
            let training = try run.begin(out: "of-\(processes)")
            try finish(training, processes: processes, data: run.data)
            return try run.lastingState(of: training.folder)
        }
        #expect(states[0] == states[1] && states[0] == states[2])
    }

    /// The run is stopped on two processes and goes on with four, then ends as the unbroken one.
    @Test func aRunGoesOnWithAnotherNumberOfProcesses() throws {
        let run = try TestRun(overrides: ["training.shards=4"])
        let whole = try run.begin(out: "whole")
        // By the same number of threads: a validation's last bits depend on it, what is learned does not.
        try finish(whole, processes: 1, data: run.data)
        let interruption = Interruption()
        let first = try run.begin(
            out: "parts", progress: StopAtStep(13, interruption), interruption: interruption)
        try ThreadGroup.run(2, follow: { try CharacterRun.follow($0) { _ in run.data } }) {
            let end = try first.run(with: $0)
            #expect(end == .interrupted(signal: 15))
        }
        try finish(try run.resume(first.folder), processes: 4, data: run.data)
        #expect(try run.lastingState(of: first.folder) == run.lastingState(of: whole.folder))
    }

    // MARK: - The same numbers as the whole batch

    /// Losses and gradient norms of three steps, then parameters and buffers: of a batch as a whole, and of its shards.
    private func firstSteps<Work: Experiment>(
        _ run: ExperimentTest<Work>, shards: Int
    ) throws -> (loss: Double, norm: Double, tensors: [[Float]]) {
        let tasks = try (0..<shards).map { try run.work(shard: BatchShard(index: $0, count: shards)) }
        let step = try TrainingStep(
            tasks: tasks, optimizer: tasks[0].optimizer, settings: try run.configuration.loop)
        let results = try (1...3).map { try step.take($0) }
        return (
            results.reduce(0) { $0 + $1.lossNats }, results.reduce(0) { $0 + $1.gradientNorm },
            tasks[0].parameters.map(\.variable.value.floats) + tasks[0].buffers.map(\.tensor.floats)
        )
    }

    /// Sums of floats in another order differ by rounding: 2^-24 a term, and three steps of Adam carry it on.
    private func expectEqual(
        _ part: (loss: Double, norm: Double, tensors: [[Float]]),
        _ whole: (loss: Double, norm: Double, tensors: [[Float]])
    ) {
        #expect(abs(part.loss - whole.loss) < 1e-4 * whole.loss)
        #expect(abs(part.norm - whole.norm) < 1e-3 * whole.norm)
        for (mine, theirs) in zip(part.tensors, whole.tensors) {
            for (a, b) in zip(mine, theirs) { #expect(abs(a - b) < 1e-3 * (1 + abs(b))) }
        }
    }

    @Test(arguments: [2, 4]) func shardsOfCharactersHaveTheMasksAndStatesOfTheWholeBatch(shards: Int) throws {
        let run = try TestRun()
        try expectEqual(firstSteps(run, shards: shards), firstSteps(run, shards: 1))
    }

    @Test(arguments: [2, 4, 8]) func shardsOfImagesAreNormalizedByTheWholeBatch(shards: Int) throws {
        // Without an optimizer that divides by the gradient's size, so that rounding stays rounding.
        let run = try ImageTestRun(overrides: ImageTestRun.ordinary)
        try expectEqual(firstSteps(run, shards: shards), firstSteps(run, shards: 1))
    }

    /// By shard the first loss is another, because other images are behind the statistics.
    @Test func shardsCanBeNormalizedByTheirOwnImages() throws {
        func loss(_ images: String) throws -> Double {
            let run = try ImageTestRun(
                overrides: ImageTestRun.ordinary + ["deviations.batchNormalization=\(images)"])
            return try firstSteps(run, shards: 4).loss
        }
        #expect(try abs(loss("batch") - loss("shard")) > 1e-3)
    }

    // MARK: - What does not fit

    @Test(arguments: ["3", "8", "0"]) func shardsThatDoNotDivideTheBatchAreRefused(shards: String) throws {
        #expect(throws: ConfigurationError.self) {
            try TestRun(overrides: ["training.shards=\(shards)"]).configuration
        }
    }

    @Test func moreShardsThanAProcessMayHaveThreadsAreRefused() throws {
        func configuration(shards: Int) throws -> CharacterConfiguration {
            try TestRun(overrides: ["training.batch=2048", "training.shards=\(shards)"]).configuration
        }
        #expect(try configuration(shards: 1024).loop.shards == 1024)
        let error = #expect(throws: ConfigurationError.self) { try configuration(shards: 2048) }
        #expect(try #require(error).description.contains("at most 1,024"))
    }

    @Test func processesThatDoNotFitAreRefusedBeforeThereIsAFolder() throws {
        let run = try TestRun(), out = run.folder.url.appendingPathComponent("runs")
        #expect(throws: ShardError.shards(1, processes: 4)) {
            try CharacterRun(
                beginning: try NamedConfiguration(run.file), seed: 3, data: run.data, out: out,
                code: RunRecord.Code(commit: "test", treeDirty: nil), progress: SilentProgress(),
                interruption: Interruption(), processes: 4)
        }
        #expect(!FileManager.default.fileExists(atPath: out.path))
    }

    @Test func moreProcessesThanShardsAreRefusedAndNobodyWaits() throws {
        let run = try TestRun(), training = try run.begin()
        #expect(throws: ShardError.shards(1, processes: 2)) {
            try ThreadGroup.run(2, follow: { try CharacterRun.follow($0) { _ in run.data } }) {
                _ = try training.run(with: $0)
            }
        }
        #expect(ShardError.shards(1, processes: 2).description.contains("--set training.shards=2"))
        let tooFew = ShardError.shards(4, processes: 3).description
        #expect(tooFew.contains("expected 1, 2, 4 processes") && !tooFew.contains("--set"), "\(tooFew)")
    }

    @Test func aProcessWithoutTheDataIsNamed() throws {
        let run = try TestRun(overrides: ["training.shards=2"]), training = try run.begin()
        do {
            try ThreadGroup.run(2, follow: { try CharacterRun.follow($0) { _ in throw Interrupted(signal: 1) } }) {
                _ = try training.run(with: $0)
            }
            Issue.record("the run went on")
        } catch ShardError.process(let rank, _, let reason) {
            #expect(rank == 1 && reason.contains("Interrupted"))
        }
    }

    /// Such as one of another build, with other keys.
    @Test func aProcessThatCannotReadTheConfigurationIsNamed() throws {
        let run = try TestRun(overrides: ["training.shards=2"]), training = try run.begin()
        do {
            try ThreadGroup.run(
                2, follow: { try TrainingRun<ImageExperiment>.follow($0) { _ in throw Interrupted(signal: 1) } }
            ) {
                _ = try training.run(with: $0)
            }
            Issue.record("the run went on")
        } catch ShardError.process(let rank, _, let reason) {
            #expect(rank == 1 && !reason.contains("Interrupted"), "\(reason)")
        }
    }

    @Test func aProcessWithOtherDataIsNamed() throws {
        let run = try TestRun(overrides: ["training.shards=2"]), training = try run.begin()
        let other = try TestRun(overrides: ["training.shards=2"])
        try other.folder.write(TestRun.text(characters: 1400), to: "data/sample/sample.train.txt")
        let data = try CharacterExperiment.open(try other.configuration, in: other.dataFolder)
        do {
            try ThreadGroup.run(2, follow: { try CharacterRun.follow($0) { _ in data } }) {
                _ = try training.run(with: $0)
            }
            Issue.record("the run went on")
        } catch ShardError.different(let what, let rank, _, _, _, _) {
            #expect(what == "data set" && rank == 1)
        }
    }

    @Test func aProcessWithAnotherBLASOrBuildIsNamedWithWhatToDo() throws {
        func report(blas: String = "OpenBLAS 0.3.21, kernels Haswell", program: String = "1f") -> ProcessReport {
            ProcessReport(host: "node", failure: nil, simd: "avx2", blas: blas, program: program, data: "")
        }
        try ProcessReport.requireAlike([report(), report()])
        let cases = [
            (report(blas: "plain loops, kernels none"), ["another BLAS", "found plain loops", "HYPERNETWORKS_BLAS"]),
            (report(program: "2e"), ["another build", "expected 1f, found 2e", "the same file"]),
        ]
        for (other, words) in cases {
            let error = #expect(throws: ShardError.self) {
                try ProcessReport.requireAlike([report(), report(), other])
            }
            let text = try #require(error).description
            for word in ["process 2 on node"] + words { #expect(text.contains(word), "\(text)") }
        }
    }
}
