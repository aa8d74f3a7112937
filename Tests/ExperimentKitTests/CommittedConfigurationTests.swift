import Foundation
import HyperNetworks
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

/// The files in `experiments/char-hyperlstm/configs`, held to the paper.
@Suite struct CommittedConfigurationTests {
    private func all() throws -> [(file: ConfigurationFile, decoded: CharacterConfiguration)] {
        try CommittedConfigurations<CharacterExperiment>().all
    }

    /// Exact counts of the formula, by table and row; V = 50 for Penn Treebank, 205 for enwik8.
    private static let parameterCounts: [String: Int] = [
        "table3-lstm": 4_254_050, "table3-lstm-1250": 6_567_550, "table3-2-layer-lstm": 12_258_050,
        "table3-layer-norm-lstm": 4_264_050, "table3-hyperlstm": 4_911_874, "table3-layer-norm-hyperlstm": 4_923_154,
        "table3-layer-norm-hyperlstm-large-embedding": 5_085_682, "table3-2-layer-norm-hyperlstm": 14_407_714,
        "table4-lstm": 14_812_405, "table4-lstm-2000": 18_058_205, "table4-layer-norm-lstm": 14_830_405,
        "table4-hyperlstm": 18_708_213, "table4-layer-norm-hyperlstm": 18_728_773,
        "table4-layer-norm-hyperlstm-2048": 26_541_773,
    ]

    @Test func theModelsOfTables3And4HaveTheExactParameterCounts() throws {
        try CommittedConfigurations<CharacterExperiment>().expectParameterCounts(Self.parameterCounts)
        let rows = try all().filter { $0.decoded.budget == "paper" && $0.decoded.reproduces?.table != "text8" }
        #expect(Set(rows.map(\.file.name)) == Set(Self.parameterCounts.keys))
    }

    @Test func everyTableHasItsRowsOnce() throws {
        try CommittedConfigurations<CharacterExperiment>().expectRowsOnce(["Table 3": 8, "Table 4": 6, "text8": 6])
    }

    @Test func text8HasTheSettingsOfTable4() throws {
        let files = try all()
        for (file, decoded) in files where decoded.budget == "paper" && decoded.reproduces?.table == "text8" {
            let name = file.name.replacingOccurrences(of: "text8", with: "table4")
            let twin = try #require(files.first { $0.file.name == name })
            #expect(twin.decoded.model == decoded.model, "\(file.name)")
            #expect(twin.decoded.training == decoded.training, "\(file.name)")
            #expect(decoded.reproduces?.test == nil && decoded.corpus == .text8)
        }
    }

    @Test func headersStateCommandExpectationAndACostUntilARecordTells() throws {
        try CommittedConfigurations<CharacterExperiment>().expectHeaders { "test \(fixed($0, 3))" }
    }

    @Test func theRowsOfThePaperStandWithoutABaseAndSmallerBudgetsOnOne() throws {
        try CommittedConfigurations<CharacterExperiment>().expectBases()
    }

    @Test func thePapersSettingsOfPennTreebankAreThoseOfA33() throws {
        for (file, decoded) in try all() where decoded.budget == "paper" && decoded.corpus == .ptb {
            #expect(decoded.training.batch == 128 && decoded.training.sequenceLength == 100, "\(file.name)")
            #expect(decoded.loop.clipNorm == 1 && decoded.loop.learningRate.rate(atStep: 1) == 0.001)
            #expect(decoded.evaluation.reportedStreams == 1)
            let keep: Float = file.name.contains("large") ? 0.85 : file.name.contains("2-layer-norm") ? 0.8 : 0.9
            #expect(decoded.model.keepInput == keep && decoded.model.keepRecurrent == keep, "\(file.name)")
        }
    }

    @Test func theThousandStepsDifferFromTable3OnlyInLengthAndReading() throws {
        for (file, decoded) in try all() where decoded.budget == "1000 steps" {
            let changes = Set(file.differences.map(\.key))
            #expect(changes.isSuperset(of: ["budget", "training.steps", "evaluation.validateAt"]), "\(file.name)")
            #expect(changes.allSatisfy { $0.hasPrefix("evaluation.") || ["budget", "training.steps"].contains($0) })
            #expect(decoded.loop.validate == .at([100, 250, 500, 750, 1000]))
            #expect(decoded.evaluation.validationStreams == 256)
        }
    }

    /// A deviation that names a key of the configuration must name one that exists.
    @Test func theKeysThatDeviationsNameExist() throws {
        let leaves = try #require(try all().first).file.root.leaves.map(\.keyPath)
        for deviation in Deviation.characters {
            for key in (deviation.key ?? "").split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) }) {
                #expect(leaves.contains(key), "\(deviation.id): \(key)")
            }
        }
    }
}
