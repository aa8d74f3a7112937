import Foundation
import HyperNetworks
import NeuralNetwork
import TestSupport
import Testing

@testable import ExperimentKit
@testable import ImageExperiments

/// The files in `experiments/static-hypernet/configs`, held to the paper, and what makes a file of them invalid.
@Suite struct ImageConfigurationTests {
    private func all() throws -> [(file: ConfigurationFile, decoded: ImageConfiguration)] {
        try CommittedConfigurations<ImageExperiment>().all
    }

    /// Tables 2 and 7 and A.1 as printed (A.1 as accuracies), with the exact counts of whole networks.
    private static let rows: [String: PublishedRow] = [
        "table2-wide-resnet-40-1": PublishedRow(parameters: 562_746, millions: 0.563, test: 6.73),
        "table2-hyper-wide-resnet-40-1": PublishedRow(parameters: 96_586, millions: 0.097, test: 8.02),
        "table2-wide-resnet-40-2": PublishedRow(parameters: 2_235_514, millions: 2.236, test: 5.66),
        "table2-hyper-wide-resnet-40-2": PublishedRow(parameters: 147_594, millions: 0.148, test: 7.23),
        "table7-convnet": PublishedRow(parameters: 21_210, millions: nil, test: 0.72),
        "table7-hyper-convnet": PublishedRow(parameters: 12_910, millions: nil, test: 0.76),
        "a1-ordinary": PublishedRow(parameters: 203_530, millions: nil, test: 1.5),
        "a1-coordinates": PublishedRow(parameters: 3_627, millions: nil, test: 6.5),
    ]

    @Test func theRowsOfThePaperHaveItsFiguresAndTheirExactParameterCounts() throws {
        try CommittedConfigurations<ImageExperiment>().expectPublishedRows(Self.rows, rounding: 0.001)
        let rows = try all().filter { $0.decoded.budget == "paper" }
        #expect(Set(rows.map(\.file.name)) == Set(Self.rows.keys))
    }

    /// Seed 0 was trained on one thread, the others on two. And generated kernels cost no time beside the convolutions.
    @Test func hoursAreThoseOfRunsWithTheThreadsThatAreNamedAndOfWideResNetsOfTheSameWidth() throws {
        let experiment = checkout.experiment(ImageExperiment.program)
        let hours = RunHours<ImageExperiment>(experiment: experiment) { Issue.record("\($0)") }
        func configuration(_ name: String) throws -> NamedConfiguration<ImageConfiguration> {
            let url = experiment.appendingPathComponent("configs/\(name).yaml")
            return try NamedConfiguration(try ConfigurationFile(contentsOf: url))
        }
        let convnet = try configuration("table7-convnet")
        let first = try RunRecord(contentsOf: experiment.appendingPathComponent("runs/table7-convnet/0/record.json"))
        #expect(hours.text(convnet).hasSuffix(", measured, 1 thread, avx512"))
        #expect(hours.seconds(convnet)?.seconds == first.training.wallSeconds)

        let costs = try ["", "hyper-"].map { kernels in
            try #require(ImageExperiment.cost(ofAStep: configuration("table2-\(kernels)wide-resnet-40-1").values))
        }
        // The stem, 12 layers of the first group, and of the others one with half of the inputs and 11 whole.
        let image = 3 * 16 * 9 * 1024 + 12 * 16 * 16 * 9 * 1024 + 2 * (23 * 16 * 32 * 9 * 256)
        #expect(costs.allSatisfy { $0.kind == "wide-resnet" && $0.multiplications == Double(128 * image) })
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
            #expect(decoded.model.embeddingSize == (isHyper ? 64 : 0) && decoded.loop.clipNorm == nil, "\(file.name)")
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

    @Test func thePapersSettingsOfMNISTAreThoseOfA31AndTheStatedDeviations() throws {
        for (file, decoded) in try all() where decoded.data.dataset == .mnist && decoded.budget == "paper" {
            let training = decoded.training, isTable7 = decoded.reproduces?.table == "Table 7"
            #expect(training.batch == 1000 && training.l2 == 0 && decoded.data.validationImages == 5000, "\(file.name)")
            #expect(decoded.data.augment == isTable7 && decoded.loop.clipNorm == nil, "\(file.name)")
            guard case .adam(let adam) = training.optimizer else {
                Issue.record("\(file.name) is trained without Adam")
                continue
            }
            #expect(adam.beta1 == 0.9 && adam.beta2 == 0.999 && adam.epsilon == 1e-8)
            let epochs = decoded.loop.steps / 55
            if file.name == "a1-coordinates" {
                // Deviation `staticCoordinates`.
                let schedule = LearningRateSchedule.cosine(peak: 0.003, final: 0, warmUpSteps: 200, totalSteps: 16_500)
                #expect(decoded.loop.learningRate == schedule && epochs == 300 && decoded.loop.patience == nil)
            } else {
                // Deviation `staticMNISTLength`.
                #expect(decoded.loop.learningRate == .piecewiseConstant([.init(untilStep: .max, rate: 0.001)]))
                #expect(epochs == 100 && decoded.loop.patience == 20, "\(file.name)")
            }
            if file.name == "table7-hyper-convnet" { #expect(decoded.model.embeddingSize == 4) }
        }
    }

    @Test func theTenEpochsAreACompleteSchedule() throws {
        let files = try all().filter { $0.decoded.budget == "10 epochs" }
        // All four rows, and three more peak rates that row 2 was tried with.
        #expect(files.count == 7)
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
        try CommittedConfigurations<ImageExperiment>().expectOpenDecisions()
    }

    @Test(arguments: [
        ("training.nesterov={momentum: 0.9}", "one optimizer"), ("training.adam=null", "neither"),
        ("model.network=mnist-conv", "0 where nothing reads it"),
        ("data.dataset=mnist", "network mnist-conv or coordinate for the images of data.dataset mnist"),
        ("model.embeddingSize=0", "model.embeddingSize"), ("model.kernel=owned", "'model.kernels'"),
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

    @Test func initialValuesOfAGeneratorAreTheModelsAndRefusedWhereThereIsNone() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(ImageTestRun.wideResNet, to: "tiny.yaml")
        let owned = ["model.kernels=owned", "model.embeddingSize=0"]
        @discardableResult func decode(_ overrides: [String]) throws -> ImageConfiguration {
            try ImageConfiguration(try ConfigurationFile(contentsOf: url, overrides: overrides).root)
        }
        func values(_ configuration: ImageConfiguration) -> [[Float]] {
            configuration.model.model(seed: 0).parameters.map { $0.variable.value.floats }
        }
        let small = "deviations.generatorInitialValues=small-normal"
        try decode(owned)
        #expect(values(try decode([small])) != values(try decode([])))
        let error = #expect(throws: ConfigurationError.self) { try decode(owned + [small]) }
        #expect(error?.description.contains("'he' where nothing reads it") == true)
    }

    // MARK: - Results

    @Test func everyRowStandsInTheSectionEvenIfNotRun() throws {
        try CommittedConfigurations<ImageExperiment>().expectRowsInDocuments()
    }

    @Test func progressOnImagesSpeaksOfErrorsAndImages() {
        var text = ""
        let progress = TextProgress<ImageExperiment>(label: "run", isTerminal: false, now: { 0 }) {
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
