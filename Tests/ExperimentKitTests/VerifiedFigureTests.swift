import Datasets
import Foundation
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentCommands
@testable import ExperimentKit

/// The table of `verify`.
@Suite struct VerifiedFigureTests {
    private struct Damaged: Error, CustomStringConvertible { let description = "a.safetensors: damaged" }

    /// Three sets of weights of one run.
    private static func weights() throws -> [CommittedRun] {
        let test = try TestRun()
        return try (0..<3).map { seed in
            var record = try RunRecord.example(of: test.file, seed: seed, data: test.dataDescription)
            record.test = SplitEvaluation(lossNats: log(2), predictions: 10, streams: 1, seconds: 0)
            return CommittedRun(folder: test.folder.url, record: record)
        }
    }

    @Test func weightsThatCannotBeReadFailAloneAndTheCallWithThem() throws {
        let (figures, stop) = verifiedFigures(
            of: try Self.weights(), metric: CharacterExperiment.metric, tolerance: 1e-3
        ) { kept, recorded in
            switch kept.record.seed {
            case 0: return .read(recorded.bits + 1e-4)
            case 1: throw Damaged()
            default: return .read(.nan)
            }
        }
        #expect(stop == nil && figures.map(\.name) == ["tiny", "tiny/1", "tiny/2"])
        #expect(figures.map(\.differs) == [false, false, true] && figures.map(\.hasFailed) == [false, true, false])
        let error = #expect(throws: UserError.self) {
            try requireRecordedFigures(figures, damages: [Damaged()], data: DataFolder(path: "/", origin: .option))
        }
        #expect(
            error?.description == "a.safetensors: damaged; not what the records say: tiny/2; not readable: tiny/1")
        try requireRecordedFigures([figures[0]], damages: [], data: DataFolder(path: "/", origin: .option))
    }

    @Test func missingDataLeaveFiguresUnread() throws {
        let folder = DataFolder(path: "/", origin: .option)
        let (figures, stop) = verifiedFigures(
            of: try Self.weights(), metric: CharacterExperiment.metric, tolerance: 1e-3
        ) { _, _ in
            throw DatasetError.missing(title: "Lines", folder: folder, remedy: "Draw them.", pathsTried: [])
        }
        #expect(stop == nil && figures.map(\.hasFailed) == [false, false, false])
        let error = #expect(throws: UserError.self) {
            try requireRecordedFigures(figures, damages: [], data: folder)
        }
        #expect(error?.description.hasPrefix("no figure could be read: the data are not in /") == true)
    }

    @Test func aStopLeavesTheFiguresThatWereRead() throws {
        let (figures, stop) = verifiedFigures(
            of: try Self.weights(), metric: CharacterExperiment.metric, tolerance: 1e-3
        ) { kept, recorded in
            if kept.record.seed == 1 { throw Interrupted(signal: 2) }
            return .read(recorded.bits)
        }
        #expect(stop == Interrupted(signal: 2) && figures.map(\.name) == ["tiny"])
    }
}
