import Foundation
import TestSupport
import Testing

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

    /// What follows the checkpoint is done again; what leads to it must be there, or nothing is touched.
    @Test func damageCountsUpToTheCheckpointAlone() throws {
        let folder = try TemporaryFolder(), log = log(folder)
        for step in 1...3 { try log.append(StepRecord(step: step, seconds: 0, lossNats: 1)) }
        let whole = try String(contentsOf: log.url, encoding: .utf8)
        let text = whole + "damaged\n"
        // The damaged line may be the validation of the checkpoint's step.
        for (step, hasValidation, isWhole) in [(3, false, true), (3, true, false), (4, false, false)] {
            try Data(text.utf8).write(to: log.url)
            func truncate() throws {
                try log.truncate(
                    toStep: step, hasValidation: hasValidation, interval: 1, planned: 9)
            }
            if isWhole { try truncate() } else { #expect(throws: RecordError.self) { try truncate() } }
            #expect(try String(contentsOf: log.url, encoding: .utf8) == (isWhole ? whole : text))
        }
    }

    @Test(arguments: [(true, 4), (false, 3)])
    func truncationKeepsWhatTheCheckpointKnows(keepingValidation: Bool, count: Int) throws {
        let folder = try TemporaryFolder()
        for step in 1...3 { try log(folder).append(StepRecord(step: step, seconds: 0, lossNats: 1)) }
        try log(folder).append(StepRecord(step: 3, seconds: 0, validation: validation))
        try log(folder).append(StepRecord(step: 4, seconds: 0, lossNats: 1))
        try log(folder).truncate(
            toStep: 3, hasValidation: keepingValidation, interval: 1,
            planned: 4)
        #expect(try StepLog.read(log(folder).url).count == count)
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
