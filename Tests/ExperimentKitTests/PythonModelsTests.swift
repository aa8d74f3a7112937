import Compute
import Datasets
import Foundation
import HyperNetworks
import Safetensors
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit
@testable import ImageExperiments

/// `python/hypernetworks.py` and `python/evaluate.py` against the evaluators, on the generated samples.
@Suite(
    .enabled("needs python3 with torch, numpy and safetensors") {
        python(["-c", "import torch, numpy, safetensors.torch"]) != nil
    })
struct PythonModelsTests {
    private static let folder = checkout.url.appendingPathComponent("python").path
    private static let data = DataFolder(path: checkout.data.path, origin: .standard)

    /// The first numbers that `evaluate.py` prints.
    private static func evaluated(_ weights: String, _ options: [String] = []) throws -> [Double] {
        let text = try #require(
            python([folder + "/evaluate.py", weights, "--data", Self.data.path] + options))
        return text.split(separator: " ").compactMap { Double($0) }
    }

    /// Moves every number of a model away from its initial value: many of those are zero and would hide a mistake.
    private static func disturb(_ tensors: [Tensor], deviation: Float) {
        var random = RandomStream(seed: 11, stream: 0)
        for tensor in tensors {
            tensor.copy(from: zip(tensor.floats, random.normal(tensor.count)).map { $0 + deviation * $1 })
        }
    }

    private static func write(
        _ tensors: [(name: String, tensor: Tensor)], _ metadata: [String: String], to path: String
    ) throws {
        try SafetensorsFile(tensors: tensors, metadata: .init(sorting: metadata)).write(to: path)
    }

    /// The same weights after PyTorch read and wrote them.
    private static func throughPython(_ path: String) throws -> String {
        let copy = path + ".copy.safetensors"
        let program = """
            import sys
            sys.path.insert(0, sys.argv[1])
            import hypernetworks
            hypernetworks.save(hypernetworks.load(sys.argv[2]), sys.argv[3])
            """
        _ = try #require(python(["-c", program, folder, path, copy]))
        return copy
    }

    private static func model(
        _ cell: CellKind, layers: Int = 1, layerNorm: Bool, forgetBias: Float = 1,
        source: HyperStateForEmbeddings = .current, hyperLayerNorm: HyperLayerNorm = .matchMain
    ) -> CharacterModelConfiguration {
        CharacterModelConfiguration(
            cell: cell, layers: layers, units: 12, layerNorm: layerNorm, hyperUnits: cell == .lstm ? 0 : 5,
            embeddingSize: cell == .lstm ? 0 : 3, keepInput: 1, keepOutput: 1, keepRecurrent: 1, keepHyperRecurrent: 1,
            forgetBias: forgetBias, layerNormEpsilon: 1e-3, hyperStateForEmbeddings: source,
            hyperLayerNorm: hyperLayerNorm)
    }

    @Test(arguments: [
        model(.lstm, layerNorm: false), model(.lstm, layers: 2, layerNorm: true, forgetBias: 0.5),
        model(.hyperLSTM, layerNorm: false), model(.hyperLSTM, layers: 2, layerNorm: true),
        model(.hyperLSTM, layerNorm: false, source: .previous, hyperLayerNorm: .always),
    ]) func aCharacterModelInPyTorchGivesTheSameBits(configuration: CharacterModelConfiguration) throws {
        let corpus = try CharacterCorpus.open(.sample, dataFolder: Self.data)
        let model = CharacterModel(configuration: configuration, vocabularySize: corpus.vocabulary.count, seed: 0)
        Self.disturb(model.parameters.map(\.variable.value), deviation: 0.1)
        let folder = try TemporaryFolder()
        let path = folder.path("model.safetensors")
        try Self.write(
            model.parameters.map { ($0.name, $0.variable.value) },
            [
                "model": try StableJSON.text(configuration),
                "vocabulary": corpus.vocabulary.bytes.map(String.init).joined(separator: " "), "corpus": "sample",
            ], to: path)
        let evaluator = CharacterEvaluator(
            sequenceLength: 50, interruption: Interruption(), progress: SilentProgress())
        let ours = try evaluator.evaluate(
            model, symbols: Array(corpus.test.prefix(4001)), streams: 40, name: "test")
        let theirs = try Self.evaluated(path, ["--characters", "4001", "--streams", "40"])
        #expect(abs(ours.bits - theirs[0]) < 1e-4, "\(ours.bits), PyTorch \(theirs[0])")

        let copy = try SafetensorsFile(path: try Self.throughPython(path)), original = try SafetensorsFile(path: path)
        #expect(copy.entries.count == original.entries.count)
        for entry in original.entries { #expect(try copy.entry(entry.name) == entry) }
    }

    /// Rows of the paper at a small size, from the same initial values and without dropout, whose masks are drawn
    /// otherwise.
    @Test(
        .enabled("needs PyYAML") { python(["-c", "import yaml"]) != nil },
        arguments: ["table3-lstm", "table3-layer-norm-lstm", "table3-hyperlstm", "table3-layer-norm-hyperlstm"])
    func theIndependentRunMakesTheStepsOfThisSuite(name: String) throws {
        let folder = try TemporaryFolder()
        let data = folder.url.appendingPathComponent("data"), texts = data.appendingPathComponent("ptb")
        try FileManager.default.createDirectory(at: texts, withIntermediateDirectories: true)
        for split in ["train", "valid", "test"] {
            try FileManager.default.copyItem(
                atPath: Self.data.path + "/sample/sample.\(split).txt.gz",
                toPath: texts.appendingPathComponent("ptb.\(split).txt.gz").path)
        }
        let settings =
            [
                "model.units=24", "model.keepInput=1", "model.keepOutput=1", "model.keepRecurrent=1",
                "training.batch=4",
                "training.sequenceLength=10", "training.steps=20", "training.logEvery=1", "evaluation.validateAt=10",
                "evaluation.validationStreams=8", "evaluation.validationCharacters=4000",
                "evaluation.reportedStreams=100",
                "training.learningRate={peak: 0.004, final: 0, warmUpSteps: 5, holdUntilStep: 15, totalSteps: 20}",
            ] + (name.contains("hyper") ? ["model.hyperUnits=8", "model.embeddingSize=3"] : [])
        let configuration = try CharacterConfiguration(
            try ConfigurationFile(
                contentsOf: committedConfigurations.appendingPathComponent("\(name).yaml"), overrides: settings
            ).root)
        let corpus = try CharacterCorpus.open(.ptb, dataFolder: DataFolder(path: data.path, origin: .standard))
        // Those that `train` begins with.
        let model = CharacterModel(
            configuration: configuration.model, vocabularySize: corpus.vocabulary.count,
            initialValues: configuration.initialValues, seed: 0)
        let initial = folder.path("initial.safetensors")
        try Self.write(
            model.parameters.map { ($0.name, $0.variable.value) },
            [
                "model": try StableJSON.text(configuration.model),
                "vocabulary": corpus.vocabulary.bytes.map(String.init).joined(separator: " "), "corpus": corpus.name,
            ], to: initial)

        let shared = [name, "--data", data.path] + settings.flatMap { ["--set", $0] }
        let outcome = try BuiltProgram(name: "char-hyperlstm").run(
            ["train"] + shared + ["--seed", "0", "--threads", "1", "--out", folder.path])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let ours = try StepLog.read(folder.url.appendingPathComponent("\(name)/0/steps.jsonl"))
        let curves = folder.url.appendingPathComponent("curves.json")
        _ = try #require(
            python(
                [Self.folder + "/cross_check.py"] + shared
                    + ["--initial", initial, "--device", "cpu", "--out", curves.path]))
        let theirs = try StableJSON.decode(CrossCheck.Run.self, from: [UInt8](Data(contentsOf: curves))).models[0]

        // Float32 sums in another order, which twenty steps enlarge; the file has six decimals.
        let tolerance = 1e-4
        let losses = ours.compactMap(\.lossNats), validations = ours.compactMap(\.validation?.bits)
        try #require(
            losses.count == 20 && theirs.steps.count == 20 && validations.count == 2 && theirs.curve.count == 2)
        for (loss, row) in zip(losses, theirs.steps) {
            #expect(
                abs(loss - (row.first ?? .nan)) < tolerance, "step \(row.step): \(loss), PyTorch \(row.first ?? .nan)")
        }
        for (bits, row) in zip(validations, theirs.curve) {
            #expect(abs(bits - (row.second ?? .nan)) < tolerance, "\(bits), PyTorch \(row.second ?? .nan)")
        }
        #expect(losses[0] - losses[19] > 0.1)
    }

    @Test(arguments: [
        ImageModelConfiguration(network: .wideResNet, kernels: .owned, blocks: 1, widening: 2),
        ImageModelConfiguration(network: .wideResNet, kernels: .generated, blocks: 2, widening: 1, embeddingSize: 8),
        ImageModelConfiguration(network: .mnistConvNet, kernels: .owned),
        ImageModelConfiguration(network: .mnistConvNet, kernels: .generated, embeddingSize: 4),
        ImageModelConfiguration(network: .coordinate, kernels: .owned),
        ImageModelConfiguration(network: .coordinate, kernels: .generated),
    ]) func aClassifierInPyTorchMakesTheSameErrors(configuration: ImageModelConfiguration) throws {
        let name: ImageDatasetName = configuration.network == .wideResNet ? .sampleCIFAR10 : .sampleMNIST
        let dataset = try ImageDataset.open(name, dataFolder: Self.data, validationCount: 100, seed: 0)
        let model = configuration.model(seed: 0)
        Self.disturb(model.parameters.map(\.variable.value), deviation: 0.02)
        for buffer in model.buffers where buffer.name.hasSuffix("Mean") {
            Self.disturb([buffer.tensor], deviation: 0.3)
        }
        var random = RandomStream(seed: 12, stream: 0)
        for buffer in model.buffers where buffer.name.hasSuffix("Variance") {
            buffer.tensor.copy(from: random.uniform(buffer.tensor.count).map { 0.5 + $0 })
        }
        let folder = try TemporaryFolder()
        let url = folder.url.appendingPathComponent("model.safetensors")
        try Self.write(
            model.tensors, try TrainedImageModel.metadata(configuration, dataset: dataset.name, normalization: dataset),
            to: url.path)
        let baked = folder.url.appendingPathComponent("baked.safetensors")
        _ = try TrainedImageModel(at: url).writeBaked(to: baked)
        let copy = try SafetensorsFile(path: try Self.throughPython(url.path))
        for entry in try SafetensorsFile(path: url.path).entries { #expect(try copy.entry(entry.name) == entry) }
        for file in [url, baked] {
            let trained = try TrainedImageModel(at: file)
            let ours = try ImageEvaluator(interruption: Interruption(), progress: SilentProgress()).evaluate(
                trained.model, dataset.test, normalization: trained.normalization, batch: 100, name: "test")
            let theirs = try Self.evaluated(file.path)
            #expect(abs((ours.errorPercent ?? .nan) - theirs[0]) < 1e-3, "\(file.lastPathComponent)")
            // Float32 sums of up to a few thousand terms in another order.
            #expect(abs(ours.lossNats - theirs[1]) < 1e-3 * max(1, ours.lossNats), "\(file.lastPathComponent)")
        }
    }
}
