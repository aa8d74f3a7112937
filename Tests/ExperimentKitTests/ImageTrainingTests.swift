import Compute
import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork
import TestSupport
import Testing

@testable import ExperimentKit
@testable import ImageExperiments

@Suite(.serialized) struct ImageTrainingTests {
    /// Stops within an epoch, at its end (4), at a validation (5), at a checkpoint (6) and at the last step.
    @Test(arguments: [1, 4, 5, 6, 9])
    func aStoppedAndResumedRunIsTheUnbrokenRunBitByBit(step: Int) throws {
        try ImageTestRun().expectSameEnd(resumedAt: step)
    }

    @Test func aStoppedAndResumedRunWithNesterovMomentumIsTheUnbrokenRunBitByBit() throws {
        try ImageTestRun(overrides: ImageTestRun.ordinary).expectSameEnd(resumedAt: 5)
    }

    @Test func aStoppedAndResumedRunOnGrayImagesIsTheUnbrokenRunBitByBit() throws {
        try ImageTestRun(overrides: ImageTestRun.mnist).expectSameEnd(resumedAt: 3)
    }

    @Test func checkpointsHoldRunningStatisticsBesideTheParameters() throws {
        let run = try ImageTestRun(overrides: ["training.steps=2", "evaluation.validateAt=2"])
        let training = try run.finished()
        let latest = try #require(try CheckpointStore(runFolder: training.folder).latest)
        let names = Set(try latest.tensors(CheckpointFile.model).map(\.name))
        #expect(names.isSuperset(of: ["hyper.z", "hyper.W_out", "stem.norm.runningMean", "norm.runningVariance"]))
        let model = try run.configuration.model.model(seed: 0)
        #expect(names == Set(model.parameters.map(\.name) + model.buffers.map(\.name)))
    }

    @Test func epochsVisitEveryImageOnceInAnotherOrder() throws {
        let run = try ImageTestRun(overrides: ["training.steps=5"]), training = try run.finished()
        let latest = try #require(try CheckpointStore(runFolder: training.folder).latest)
        // 100 images, batches of 40: two a epoch.
        let position = try latest.state(CheckpointState<ImageExperiment.Position>.self).position
        #expect(position == ImageExperiment.Position(epoch: 2, batch: 1, trainingImages: 100))

        let work = try ImageTestRun(overrides: ["data.augment=false"]).work()
        let epochs = (0..<2).map { _ in
            (0..<2).flatMap { _ in
                let batch = work.nextBatch().images.value, size = batch.count / batch.shape[0], values = batch.floats
                return stride(from: 0, to: values.count, by: size).map { Array(values[$0..<$0 + size]) }
            }
        }
        for images in epochs { #expect(images.count == 80 && Set(images).count == 80) }
        #expect(epochs[0] != epochs[1])
    }

    @Test(arguments: [([String](), ImageAugmentation.cifar10), (ImageTestRun.mnist, .mnist)])
    func batchesAreAugmentedAsTheDataSetIsAndAnewInEveryEpoch(
        overrides: [String], augmentation: ImageAugmentation
    ) throws {
        let run = try ImageTestRun(overrides: overrides), set = run.data.train, work = try run.work()
        let normalization = try run.configuration.data.dataset.normalization(of: run.data)
        for epoch in 0..<2 {
            let order = shuffledIndices(count: set.count, seed: 3, epoch: epoch)
            for batch in 0..<set.count / 40 {
                let places = order[batch * 40..<(batch + 1) * 40]
                let expected = Tensor(zeros: [40, set.height, set.width, set.channels])
                set.write(
                    places, normalization: normalization, augmentation: augmentation, seed: 3, epoch: epoch,
                    to: expected.pointer)
                let (images, targets) = work.nextBatch()
                #expect(images.value.floats == expected.floats, "images of batch \(batch) of epoch \(epoch)")
                #expect(targets == places.map { Int32(set.labels[$0]) }, "labels of batch \(batch) of epoch \(epoch)")
            }
        }
    }

    @Test func withoutAugmentationBatchesAreTheImagesAsTheyAre() throws {
        let run = try ImageTestRun(overrides: ["data.augment=false"]), set = run.data.train
        let expected = Tensor(zeros: [40, set.height, set.width, set.channels])
        set.write(
            shuffledIndices(count: set.count, seed: 3, epoch: 0)[..<40],
            normalization: try run.configuration.data.dataset.normalization(of: run.data), to: expected.pointer)
        #expect(try run.work().nextBatch().images.value.floats == expected.floats)
    }

    /// Deviation `staticInputNormalization`.
    @Test(arguments: ImageDatasetName.allCases)
    func photographsAreNormalizedByTheirStatisticsAndDigitsFromZeroToOne(name: ImageDatasetName) {
        let isDigits = name == .mnist || name == .sampleMNIST
        let means = isDigits ? [33.0] : [125, 122, 113], deviations = isDigits ? [78.0] : [63, 62, 66]
        let expected: PixelNormalization =
            isDigits ? .unitInterval(channels: 1) : PixelNormalization(means: means, deviations: deviations)
        #expect(name.normalization(means: means, deviations: deviations) == expected)
    }

    @Test(arguments: [1, 2])
    func theDivisionOfTheImagesIsDrawnByTheSeedOfTheConfiguration(seed: Int) throws {
        let run = try ImageTestRun(overrides: ["data.splitSeed=\(seed)"])
        let expected = try ImageDataset.open(
            .sampleCIFAR10, dataFolder: run.dataFolder, validationCount: 2300, seed: UInt64(seed))
        #expect(run.data.train == expected.train && run.data.validation == expected.validation)
    }

    @Test func validationReadsTheImagesSetAsideAndOnlyTheReportReadsTheTestSplit() throws {
        let work = try ImageTestRun().work(), onTheWay = try work.validate(), reported = try work.report(.validation)
        #expect(onTheWay.predictions == 2300 && reported.predictions == 2300)
        #expect(onTheWay.lossNats == reported.lossNats && onTheWay.wrong == reported.wrong)
        #expect(try work.report(.test).predictions == 500)
    }

    /// Other constants than the defaults of the optimizers and of every committed file.
    @Test func theConstantsOfTheOptimizerAreThoseOfTheConfiguration() throws {
        /// Where a parameter is, from 0, after a gradient of 2 and one of 1 at a rate of 1.
        func path(_ overrides: [String]) throws -> [Double] {
            let x = Variable(Tensor([0], shape: [1]), requiresGradient: true)
            let settings = try ImageTestRun(overrides: overrides).configuration.training.optimizer
            let optimizer = settings.optimizer([NamedParameter("x", x)])
            return [Float(2), 1].map { gradient in
                x.clearGradient()
                x.addGradient(Tensor([gradient], shape: [1]))
                optimizer.step(learningRate: 1)
                return Double(x.value.floats[0])
            }
        }
        // With μ = ½ the velocities are 2 and 2.
        #expect(try path(["training.adam=null", "training.nesterov={momentum: 0.5}"]) == [-3, -5])
        // m̂ = 2 and 4/3, v̂ = 4 and 16/7, ε = 1.
        let adam = try path(["training.adam={beta1: 0.5, beta2: 0.75, epsilon: 1}"])
        let second = 4.0 / 3 / ((16.0 / 7).squareRoot() + 1)
        #expect(abs(adam[0] + 2.0 / 3) < 1e-6 && abs(adam[1] + 2.0 / 3 + second) < 1e-6)
    }

    @Test func theLossHasTheL2PenaltyOnGeneratedKernels() throws {
        func firstLoss(_ l2: String) throws -> Double {
            let batch = try ImageTestRun(overrides: ["training.l2=\(l2)"]).work().nextLoss()
            #expect(l2 == "0" || batch.loss.value.floats[0] < batch.objective.value.floats[0])
            return Double(batch.objective.value.floats[0])
        }
        let network = WideResNet(
            configuration: WideResNetConfiguration(
                kernels: .generated, blocks: 1, widening: 1, baseWidth: 16, classes: 10, embeddingSize: 4,
                basicChannels: 16, initialValues: .he),
            seed: 3)
        let squares = ([network.stem] + network.blockKernels()).reduce(0.0) { total, kernel in
            kernel.value.floats.reduce(total) { $0 + Double($1) * Double($1) }
        }
        let difference = try firstLoss("0.01") - firstLoss("0")
        #expect(
            abs(difference - 0.005 * squares) < 1e-3 * 0.005 * squares, "\(difference), expected \(0.005 * squares)")
    }

    @Test func theRecordStatesErrorsAndTheDivisionOfTheImages() throws {
        let run = try ImageTestRun(overrides: ["training.steps=2", "evaluation.validateAt=2"])
        let training = try run.finished()
        let record = try RunRecord(contentsOf: training.folder.appendingPathComponent("record.json"))
        #expect(record == training.record && record.experiment == "static-hypernet")
        guard case .object(let images) = record.data.details["images"] else {
            Issue.record("no division of the images")
            return
        }
        #expect(images["training"] == .number(100) && images["validation"] == .number(2300))
        #expect(images["splitSeed"] == .number(1) && record.data.isSample)
        #expect(record.training.unitsPerStep == 40 && record.training.unit == "images")
        let test = try #require(record.test), wrong = try #require(test.wrong)
        #expect(test.predictions == 500 && (0...500).contains(wrong))
        #expect(test.errorPercent == Double(wrong) / 5)
        let model = try run.configuration.model
        #expect(
            record.parameterCount == model.parameterCount && model.model(seed: 0).parameterCount == model.parameterCount
        )
    }

    @Test func resumingWithAnotherDivisionOfTheImagesIsRefused() throws {
        let run = try ImageTestRun(overrides: ["training.steps=2", "evaluation.validateAt=2"])
        let training = try run.stopped(at: 1)
        let other = try ImageTestRun(overrides: ["data.validationImages=2200"])
        #expect(throws: CheckpointError.self) { try other.resume(training.folder).run() }
    }

    // MARK: - Baking

    @Test func aBakedNetworkNeedsNoHypernetworkAndMakesTheSamePredictions() throws {
        let run = try ImageTestRun(), training = try run.finished()
        let hyper = try TrainedImageModel(at: training.folder)
        let file = run.folder.url.appendingPathComponent("plain.safetensors")
        let configuration = try hyper.writeBaked(to: file)
        let plain = try TrainedImageModel(at: file)
        #expect(configuration.kernels == .owned && plain.configuration == configuration)
        #expect(!plain.model.parameters.contains { $0.name.hasPrefix("hyper.") })
        #expect(plain.normalization == hyper.normalization)

        let set = run.data.test, images = Tensor(zeros: [50, 32, 32, 3])
        images.withUnsafeMutableBufferPointer {
            set.write(0..<50, normalization: plain.normalization, to: $0.baseAddress!)
        }
        let logits = [hyper, plain].map { trained in
            withoutGradient { trained.model.forward(Variable(images), mode: .evaluation) }.logits.value.floats
        }
        let differences = zip(logits[0], logits[1]).map { abs($0 - $1) }
        #expect(try #require(differences.max()) <= 1e-5 * (logits[0].map(abs).max() ?? 1))

        let evaluator = ImageEvaluator(interruption: Interruption(), progress: SilentProgress())
        let result = try evaluator.evaluate(
            plain.model, set, normalization: plain.normalization, batch: 500, name: "test")
        #expect(result.wrong == training.record.test?.wrong)
        // The last of these batches is not a whole one.
        let uneven = try evaluator.evaluate(
            plain.model, set, normalization: plain.normalization, batch: 300, name: "test")
        #expect(uneven.wrong == result.wrong && abs(uneven.lossNats - result.lossNats) < 1e-5)
    }

    @Test func aDamagedFileOfWeightsIsAnErrorThatNamesIt() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("nothing", to: "weights.safetensors")
        #expect { try TrainedImageModel(at: file) } throws: { "\($0)".contains("weights.safetensors") }
        #expect(throws: CheckpointError.self) { try TrainedImageModel(at: folder.url) }
    }

    // MARK: - Reading splits

    @Test func theFirstOfEqualScoresIsTheClassAndNaNIsNone() {
        let logits = Tensor([1, 3, 3, 0, .nan, 2, -1, -2, -3], shape: [3, 3])
        #expect(ImageEvaluator.argmax(logits) == [1, -1, 0])
    }

    @Test func fewerErrorsAreBetterAndAmongEqualOnesTheSmallerLoss() {
        func split(_ wrong: Int?, _ loss: Double) -> SplitEvaluation {
            SplitEvaluation(lossNats: loss, predictions: 100, wrong: wrong, streams: 1, seconds: 0)
        }
        let errors = Metric.errorPercent, bits = Metric.bits(per: "character", shortUnit: "bpc")
        #expect(errors.isBetter(split(3, 2), than: split(4, 1)) && !errors.isBetter(split(4, 1), than: split(3, 2)))
        #expect(errors.isBetter(split(3, 1), than: split(3, 2)) && !errors.isBetter(split(3, 2), than: split(3, 2)))
        #expect(bits.isBetter(split(nil, 1), than: split(nil, 2)) && bits.isBetter(split(nil, 1), than: nil))
        #expect(!errors.isBetter(split(0, .nan), than: nil))
    }
}
