import Foundation
import HyperNetworks
import NeuralNetwork
import Testing

@testable import ExperimentKit
@testable import ImageExperiments

/// The files in `experiments/static-hypernet/configs`, held to the paper, and what makes a file of them invalid.
@Suite struct ImageConfigurationTests {
    private func all() throws -> [(file: ConfigurationFile, decoded: ImageConfiguration)] {
        try CommittedConfigurations<ImageExperiment>().all
    }

    private static let parameterCounts: [String: Int] = [
        "table2-wide-resnet-40-1": 562_746, "table2-hyper-wide-resnet-40-1": 96_586,
        "table2-wide-resnet-40-2": 2_235_514, "table2-hyper-wide-resnet-40-2": 147_594,
        "table7-convnet": 21_210, "table7-hyper-convnet": 12_910, "a1-ordinary": 203_530, "a1-coordinates": 3_627,
    ]

    @Test func theRowsOfThePaperHaveTheirExactParameterCounts() throws {
        try CommittedConfigurations<ImageExperiment>().expectParameterCounts(Self.parameterCounts)
        let rows = try all().filter { $0.decoded.budget == "paper" }
        #expect(Set(rows.map(\.file.name)) == Set(Self.parameterCounts.keys))
    }

    @Test func everyTableHasItsRowsOnce() throws {
        try CommittedConfigurations<ImageExperiment>().expectRowsOnce(["Table 2": 4, "Table 7": 2, "A.1": 2])
    }

    @Test func headersStateCommandExpectationAndACostUntilARecordTells() throws {
        try CommittedConfigurations<ImageExperiment>().expectHeaders { "test error \(fixed($0, 2)) %" }
    }

    @Test func theRowsOfThePaperStandWithoutABaseAndSmallerBudgetsOnOne() throws {
        try CommittedConfigurations<ImageExperiment>().expectBases()
    }

    @Test func thePapersSettingsOfCIFAR10AreThoseOfA32() throws {
        for (file, decoded) in try all() where decoded.reproduces?.table == "Table 2" && decoded.budget == "paper" {
            let training = decoded.training, isHyper = decoded.model.kernels == .generated
            #expect(
                training.batch == 128 && training.l2 == 0.0005 && decoded.data.validationImages == 5000, "\(file.name)")
            #expect(decoded.data.augment && decoded.model.blocks == 6, "\(file.name)")
            let stages: [(Int, Double)] =
                isHyper
                ? [(1, 0.002), (168_000, 0.002), (168_001, 0.001), (336_001, 0.0002), (504_001, 0.00005)]
                : [(1, 0.1), (28_000, 0.1), (28_001, 0.02), (56_001, 0.004), (84_001, 0.0008), (112_001, 0.00016)]
            for (step, rate) in stages {
                #expect(decoded.loop.learningRate.rate(atStep: step) == rate, "\(file.name), step \(step)")
            }
            #expect(decoded.loop.steps == (isHyper ? 672_000 : 140_000))
            if case .nesterov(let momentum) = training.optimizer {
                #expect(!isHyper && momentum == 0.9)
            } else {
                #expect(isHyper)
            }
        }
    }

    @Test func theTenEpochsAreACompleteSchedule() throws {
        let files = try all().filter { $0.decoded.budget == "10 epochs" }
        // Both networks, and three more peak rates that the generated one was tried with.
        #expect(files.count == 5)
        for (file, decoded) in files {
            #expect(decoded.loop.steps == 10 * (45_000 / 128), "\(file.name)")
            #expect(decoded.loop.learningRate.rate(atStep: decoded.loop.steps) == 0, "\(file.name)")
            #expect(
                Set(file.differences.map { $0.key.split(separator: ".").prefix(2).joined(separator: ".") }) == [
                    "budget", "training.steps", "training.learningRate", "evaluation.validateAt",
                ])
        }
    }

    @Test func schedulesEndWithTheTraining() throws {
        for (file, decoded) in try all() {
            switch decoded.loop.learningRate {
            case .piecewiseConstant: break
            case .cosine(_, _, let warmUp, let total), .hold(_, _, let warmUp, _, let total):
                #expect(total == decoded.loop.steps && warmUp < total / 2, "\(file.name)")
            }
        }
    }

    /// A deviation that names a key of the configuration must name one that exists.
    @Test func theKeysThatDeviationsNameExist() throws {
        // As the decoders read them: a younger key need not stand in a file.
        let leaves = try KeyReference(of: ImageConfiguration.self, files: try all().map(\.file)).keys.map(\.path)
        for deviation in Deviation.staticNetworks {
            for key in (deviation.key ?? "").split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) }) {
                #expect(leaves.contains(key), "\(deviation.id): \(key)")
            }
        }
        for ids in [Deviation.characters.map(\.id), Deviation.staticNetworks.map(\.id)] {
            #expect(Set(ids).count == ids.count)
        }
    }

    @Test(arguments: [
        ("training.nesterov={momentum: 0.9}", "one optimizer"), ("training.adam=null", "neither"),
        ("model.network=mnist-conv", "0 where nothing reads it"), ("data.dataset=mnist", "a network for gray images"),
        ("model.embeddingSize=0", "model.embeddingSize"), ("model.kernel=owned", "'kernels'"),
        ("training.l2=true", "training.l2"), ("deviations.generatorInitialValues=zero", "small-normal"),
    ])
    func aWrongFileIsAnErrorThatSaysWhatIsExpected(override: String, words: String) throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(ImageTestRun.wideResNet, to: "tiny.yaml")
        #expect {
            _ = try ImageConfiguration(try ConfigurationFile(contentsOf: url, overrides: [override]).root)
        } throws: { error in
            "\(error)".contains(words)
        }
    }

    // MARK: - Results

    @Test func everyRowStandsInTheSectionEvenIfNotRun() throws {
        let results = try ExperimentResults<ImageExperiment>(experiment: checkout.experiment("static-hypernet"))
        for (_, decoded) in try all() where decoded.budget == "paper" {
            let row = try #require(decoded.reproduces)
            #expect(results.section.contains(row.name), "\(row.table), \(row.row)")
            #expect(results.summary.contains("| \(row.table): \(row.name) |"), "\(row.table), \(row.row)")
        }
        for deviation in Deviation.staticNetworks { #expect(results.deviations.contains("| \(deviation.id) |")) }
    }

    @Test func progressOnImagesSpeaksOfErrorsAndImages() {
        var text = ""
        let progress = TextProgress(label: "run", display: ImageExperiment.display, isTerminal: false, now: { 0 }) {
            text += $0
        }
        progress.report(
            .step(StepProgress(step: 1, steps: 10, lossNats: 2.3, unitsPerSecond: 250, secondsLeft: 5)))
        progress.report(
            .evaluated(
                split: "validation", step: 5,
                result: SplitEvaluation(lossNats: 0.25, predictions: 5000, wrong: 365, streams: 1, seconds: 3),
                isBest: true))
        #expect(
            text == """
                run  step 1/10  loss 2.300  250 images/s  5 s left
                run  step 5: validation error 7.30 %, loss 0.2500 nats (5,000 images, 3 s), the best so far

                """)
    }
}
