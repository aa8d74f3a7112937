import Datasets
import Foundation
import TestSupport

@testable import ExperimentKit
@testable import ImageExperiments

let committedImageConfigurations = checkout.experiment("static-hypernet").appendingPathComponent("configs")

/// A network of images small enough to train within seconds, and generated images to go with it.
typealias ImageTestRun = ExperimentTest<ImageExperiment>

/// The generated images, drawn once for all tests.
private let samples = Result {
    let folder = try TemporaryFolder()
    let data = DataFolder(path: folder.path("data"), origin: .option)
    try SampleImages.write(to: data)
    return (folder, data)
}

extension ExperimentTest where Work == ImageExperiment {
    /// Generated kernels, normalization, augmentation and Adam: every kind of state that a checkpoint must hold. All
    /// but 100 training images are set aside, so an epoch is 2 batches of 40 with 20 images left over.
    static var wideResNet: String {
        """
        # Command:  none
        budget: tiny
        reproduces: null
        data: {dataset: sample-cifar10, validationImages: 2300, splitSeed: 1, augment: true}
        model: {network: wide-resnet, kernels: generated, blocks: 1, widening: 1, embeddingSize: 4}
        training:
          batch: 40
          steps: 9
          adam: {beta1: 0.9, beta2: 0.999, epsilon: 1.0e-8}
          nesterov: null
          learningRate: {peak: 0.01, final: 0, warmUpSteps: 2, totalSteps: 9}
          l2: 0.0005
          clipNorm: null
          patience: null
          seeds: [3]
          logEvery: 1
          checkpointEvery: 2
        evaluation: {validateAt: [5], batch: 500}
        deviations: {generatorInitialValues: he}
        """
    }

    static var ordinary: [String] {
        ["model.kernels=owned", "model.embeddingSize=0", "training.adam=null", "training.nesterov={momentum: 0.9}"]
    }

    static var mnist: [String] {
        ["data.dataset=sample-mnist", "model.network=mnist-conv", "model.blocks=0", "model.widening=0"]
    }

    init(overrides: [String] = []) throws {
        folder = try TemporaryFolder()
        let url = try folder.write(Self.wideResNet, to: "tiny.yaml")
        file = try ConfigurationFile(contentsOf: url, overrides: overrides)
        dataFolder = try samples.get().1
        data = try ImageExperiment.open(try ImageConfiguration(file.root), in: dataFolder)
    }
}
