import Foundation
import HyperNetworks
import NeuralNetwork
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

/// The files in `experiments/char-hyperlstm/configs`, held to the paper.
@Suite struct CommittedConfigurationTests {
    private func all() throws -> [(file: ConfigurationFile, decoded: CharacterConfiguration)] {
        try CommittedConfigurations<CharacterExperiment>().all
    }

    /// Tables 3 and 4 as printed, with the exact counts; V = 50 for Penn Treebank, 205 for enwik8.
    private static let rows: [String: PublishedRow] = [
        "table3-lstm": PublishedRow(parameters: 4_254_050, millions: 4.25, test: 1.312, validation: 1.347),
        "table3-lstm-1250": PublishedRow(parameters: 6_567_550, millions: 6.57, test: 1.306, validation: 1.340),
        "table3-2-layer-lstm": PublishedRow(parameters: 12_258_050, millions: 12.26, test: 1.281, validation: 1.312),
        "table3-layer-norm-lstm": PublishedRow(parameters: 4_264_050, millions: 4.26, test: 1.267, validation: 1.300),
        "table3-hyperlstm": PublishedRow(parameters: 4_911_874, millions: 4.91, test: 1.265, validation: 1.296),
        "table3-layer-norm-hyperlstm": PublishedRow(
            parameters: 4_923_154, millions: 4.92, test: 1.250, validation: 1.281),
        "table3-layer-norm-hyperlstm-large-embedding": PublishedRow(
            parameters: 5_085_682, millions: 5.06, test: 1.233, validation: 1.263, printsAnotherCount: true),
        "table3-2-layer-norm-hyperlstm": PublishedRow(
            parameters: 14_407_714, millions: 14.41, test: 1.219, validation: 1.245),
        "table4-lstm": PublishedRow(parameters: 14_812_405, millions: 14.81, test: 1.470),
        "table4-lstm-2000": PublishedRow(parameters: 18_058_205, millions: 18.06, test: 1.461),
        "table4-layer-norm-lstm": PublishedRow(
            parameters: 14_830_405, millions: 14.82, test: 1.402, printsAnotherCount: true),
        "table4-hyperlstm": PublishedRow(parameters: 18_708_213, millions: 18.71, test: 1.391),
        "table4-layer-norm-hyperlstm": PublishedRow(
            parameters: 18_728_773, millions: 18.78, test: 1.353, printsAnotherCount: true),
        "table4-layer-norm-hyperlstm-2048": PublishedRow(parameters: 26_541_773, millions: 26.54, test: 1.340),
    ]

    @Test func theRowsOfTables3And4HaveThePapersFiguresAndTheExactParameterCounts() throws {
        try CommittedConfigurations<CharacterExperiment>().expectPublishedRows(Self.rows, rounding: 0.01)
        let rows = try all().filter { $0.decoded.budget == "paper" && $0.decoded.reproduces?.table != "text8" }
        #expect(Set(rows.map(\.file.name)) == Set(Self.rows.keys))
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

    /// Both rows of 40,000 steps of 128 × 100 characters: what differs is the size.
    @Test func theHoursOfARowWithoutARunAreThoseOfAnotherSizeByTheMultiplications() throws {
        let hours = RunHours<CharacterExperiment>(experiment: checkout.experiment(CharacterExperiment.program)) {
            Issue.record("\($0)")
        }
        func cost(_ name: String) throws -> (seconds: Double, isMeasured: Bool) {
            let file = checkout.experiment(CharacterExperiment.program).appendingPathComponent("configs/\(name).yaml")
            return try #require(hours.seconds(try NamedConfiguration(try ConfigurationFile(contentsOf: file))))
        }
        // Both are estimated by the run that is nearest in size.
        let row = try cost("table3-lstm-1250"), larger = try cost("table3-2-layer-lstm")
        #expect(abs(larger.seconds / row.seconds - 12_258_050 / 6_567_550) < 1e-9 && !larger.isMeasured)
    }

    @Test func theRowsOfThePaperStandWithoutABaseAndSmallerBudgetsOnOne() throws {
        try CommittedConfigurations<CharacterExperiment>().expectBases()
    }

    @Test func thePapersSettingsAreThoseOfA33AndA34AndTheStatedDeviations() throws {
        for (file, decoded) in try all() where decoded.budget == "paper" {
            let training = decoded.training, loop = decoded.loop, model = decoded.model
            #expect(training.batch == 128 && training.carryState, "\(file.name)")
            #expect(training.adam.beta1 == 0.9 && training.adam.beta2 == 0.999 && training.adam.epsilon == 1e-8)
            #expect(loop.learningRate == .piecewiseConstant([.init(untilStep: .max, rate: 0.001)]), "\(file.name)")
            #expect(loop.clipNorm == 1 && loop.patience == nil && decoded.evaluation.reportedStreams == 1)
            #expect(model.forgetBias == 1 && model.layerNormEpsilon == 1e-3, "\(file.name)")
            #expect(model.hyperStateForEmbeddings == .current && model.hyperLayerNorm == .matchMain, "\(file.name)")
            #expect(decoded.initialValues == RecurrentInitialValues(), "\(file.name)")
        }
    }

    @Test func thePapersModelsOfPennTreebankAreThoseOfA33() throws {
        for (file, decoded) in try all() where decoded.budget == "paper" && decoded.corpus == .ptb {
            let model = decoded.model, isTwoLayers = file.name.contains("2-layer-norm")
            let isLarge = file.name.contains("large")
            #expect(decoded.training.sequenceLength == 100 && decoded.loop.steps == 40_000, "\(file.name)")
            let keep: Float = isLarge ? 0.85 : isTwoLayers ? 0.8 : 0.9
            #expect([model.keepInput, model.keepOutput, model.keepRecurrent] == [keep, keep, keep], "\(file.name)")
            #expect(model.keepHyperRecurrent == 1, "\(file.name)")
            guard model.cell == .hyperLSTM else { continue }
            #expect(model.hyperUnits == 128 && model.embeddingSize == (isLarge || isTwoLayers ? 16 : 4), "\(file.name)")
        }
    }

    @Test func thePapersModelsOfEnwik8AreThoseOfA34() throws {
        for (file, decoded) in try all() where decoded.budget == "paper" && decoded.corpus == .enwik8 {
            let model = decoded.model, isLarge = file.name.contains("2048")
            #expect(decoded.training.sequenceLength == (isLarge ? 300 : 250), "\(file.name)")
            #expect(model.keepInput == 1 && model.keepOutput == 1, "\(file.name)")
            let isWithoutDropout = decoded.reproduces?.name.contains("no recurrent dropout") == true
            #expect(model.keepRecurrent == (isWithoutDropout ? 1 : isLarge ? 0.85 : 0.9), "\(file.name)")
            #expect(model.keepHyperRecurrent == (isLarge ? 0.85 : 1), "\(file.name)")
            guard model.cell == .hyperLSTM else { continue }
            #expect(model.hyperUnits == (isLarge ? 512 : 256) && model.embeddingSize == 64, "\(file.name)")
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
        try CommittedConfigurations<CharacterExperiment>().expectOpenDecisions()
    }
}
