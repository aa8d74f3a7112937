import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork
import Safetensors
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit
@testable import ImageExperiments

/// Damaged weights that have no checksum, and damaged runs that are drawn: an error that names the file, or a result.
@Suite(.serialized) struct DamagedRunTests {
    /// Each that passes is read or drawn whole, which takes its time.
    private static func cases(_ few: Int) -> Range<Int> { 0..<min(Damage.cases(few).count, 5000) }

    /// A network of each kind of normalization, and the images that it is for.
    private static let networks: [(configuration: ImageModelConfiguration, dataset: ImageDatasetName)] = [
        (ImageModelConfiguration(network: .mnistConvNet, kernels: .generated, embeddingSize: 4), .sampleMNIST),
        (ImageModelConfiguration(network: .wideResNet, kernels: .owned, blocks: 1, widening: 1), .sampleCIFAR10),
    ]

    private static func weights(
        _ configuration: ImageModelConfiguration, _ dataset: ImageDatasetName, channels: Int
    ) throws -> SafetensorsFile {
        var file = SafetensorsFile(metadata: [
            "model": try StableJSON.text(configuration),
            "dataset": dataset.rawValue, "channelMeans": "\([Double](repeating: 33, count: channels))",
            "channelDeviations": "\([Double](repeating: 78, count: channels))",
        ])
        for (name, tensor) in configuration.model(seed: 0).tensors {
            file.append(name, shape: tensor.shape, .float32(tensor.floats))
        }
        return file
    }

    /// Two images in the shape that a network takes.
    private static func images(_ shape: [Int]) -> ImageSet {
        ImageSet(
            height: shape[0], width: shape[1], channels: shape[2],
            pixels: [UInt8](repeating: 100, count: 2 * shape[0] * shape[1] * shape[2]), labels: [0, 1])
    }

    @Test func weightsOfImagesAreRefusedOrGiveFigures() throws {
        let folder = try TemporaryFolder(), before = peakMemory()
        for (configuration, dataset) in Self.networks {
            let channels = configuration.network == .wideResNet ? 3 : 1
            let original = try Self.weights(configuration, dataset, channels: channels).encoded()
            let file = folder.url.appendingPathComponent("\(dataset.rawValue).safetensors")
            // Sizes and statistics are stated in the header.
            let head = min(original.count, 4096)
            var accepted = 0
            for number in Self.cases(100) {
                var damage = Damage(case: number)
                let damaged = number == 0 ? original : damage.damaged(Array(original[..<head])) + original[head...]
                try Data(damaged).write(to: file)
                do {
                    let trained = try TrainedImageModel(at: file)
                    let result = try ImageEvaluator(interruption: Interruption(), progress: SilentProgress()).evaluate(
                        trained.model, Self.images(trained.model.imageShape), normalization: trained.normalization,
                        batch: 2, name: "test")
                    #expect(result.predictions == 2)
                    accepted += 1
                } catch {
                    #expect("\(error)".contains(file.lastPathComponent), "case \(number): \(error)")
                }
            }
            #expect(accepted > 0)
            if Damage.isStress { print("\(dataset.rawValue): \(Self.cases(100).count) cases, \(accepted) read") }
        }
        #expect(peakMemory() - before < 512 << 20)
    }

    @Test func statisticsOfOtherChannelsThanTheImagesHaveAreRefused() throws {
        let folder = try TemporaryFolder(), file = folder.url.appendingPathComponent("plain.safetensors")
        for (configuration, dataset) in Self.networks {
            try Self.weights(configuration, dataset, channels: 2).write(to: file.path)
            let error = #expect(throws: CheckpointError.self) { try TrainedImageModel(at: file) }
            #expect(error?.description.contains("\(file.path): ") == true)
            #expect(error?.description.contains("'channelMeans'") == true)
        }
    }

    /// The page and the events of a run, of which the record or the log is damaged.
    @Test(arguments: ["record.json", "steps.jsonl"])
    func aRunIsRefusedOrDrawn(name: String) throws {
        let test = try TestRun(overrides: ["training.steps=8"]), training = try test.finished()
        let folder = training.folder, file = folder.appendingPathComponent(name)
        let original = try [UInt8](Data(contentsOf: file)), before = peakMemory()
        if name == "steps.jsonl" {
            // The log of a run under way may end anywhere: more damage passes its reader.
            let record = folder.appendingPathComponent("record.json")
            let text = try String(contentsOf: record, encoding: .utf8)
            try Data(text.replacingOccurrences(of: "\"finished\"", with: "\"running\"").utf8).write(to: record)
        }
        var drawn = 0
        for number in Self.cases(200) {
            var damage = Damage(case: number)
            try Data(number == 0 ? original : damage.damaged(original)).write(to: file)
            do {
                let run = try RecordedRun<CharacterExperiment>(folder, path: folder.path), report = RunReport([run])
                #expect(report.html().contains("</html>") && !run.events.bytes.isEmpty)
                #expect(!report.text(width: nil).isEmpty)
                _ = try report.json
                drawn += 1
            } catch {
                #expect("\(error)".contains(folder.path), "case \(number): \(error)")
            }
        }
        #expect(drawn > 0 && peakMemory() - before < 256 << 20)
        if Damage.isStress { print("\(name), drawn: \(Self.cases(200).count) cases, \(drawn) read") }
    }
}
