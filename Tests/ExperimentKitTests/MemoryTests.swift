import Compute
import Datasets
import Foundation
import HyperNetworks
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit
@testable import ImageExperiments

@Suite struct MemoryTests {
    private static let gibibyte = Double(1 << 30)

    @Test func aNeedAboveWhatThereIsIsRefusedByTheKeysThatMakeIt() throws {
        var need = MemoryNeed(parameters: 1 << 28, copies: 4, keys: ["model.units"])
        need.add("a training step", numbers: Double(1 << 29), keys: ["training.batch"])
        need.add("a trifle", numbers: 1, keys: ["model.trifle"])
        try need.require(AvailableMemory(bytes: 6.1 * Self.gibibyte, source: "all"))
        try need.require(nil)
        let error = #expect(throws: MemoryError.self) {
            try need.require(AvailableMemory(bytes: 5.5 * Self.gibibyte, source: "the rest"))
        }
        let text = try #require(error).description
        for part in [
            "at least 6.00 GiB", "found 5.50 GiB (the rest)", "4.00 GiB for 268,435,456 parameters", "(model.units)",
            "2.00 GiB for a training step (training.batch)",
        ] { #expect(text.contains(part), "\(text)") }
        #expect(!text.contains("trifle"))
    }

    @Test func noProductOfSizesOverflows() {
        var need = MemoryNeed(parameters: .max, copies: .max, keys: [])
        need.add("", numbers: .greatestFiniteMagnitude, keys: [])
        #expect(throws: MemoryError.self) { try need.require(AvailableMemory(bytes: 1e18, source: "")) }
    }

    /// What `benchmarks` measured of a step: a row of the paper, the peak of the process in MiB.
    private struct Measured: Decodable {
        struct Row: Decodable {
            struct Ours: Decodable { let peak: Double }
            let kind: String
            let ours: Ours
        }
        let steps: [Row]
    }

    /// The row of each kind that `benchmarks` times.
    private static let rows = [
        "lstm": "table3-lstm", "ln-lstm": "table3-layer-norm-lstm", "ln-hyperlstm": "table3-layer-norm-hyperlstm",
        "wrn-40-1": "table2-wide-resnet-40-1", "hyper-wrn-40-1": "table2-hyper-wide-resnet-40-1",
        "wrn-40-2": "table2-wide-resnet-40-2", "hyper-wrn-40-2": "table2-hyper-wide-resnet-40-2",
    ]

    /// The need must not be above what a run takes, or runs would be refused that fit; and it has to be a good part of
    /// it, or it would refuse nothing. The rest is the weights packed for products, and what the program itself takes.
    @Test(arguments: ["avx512-amd", "avx512-intel", "avx2-amd"])
    func theNeedOfThePapersRowsIsBelowTheMeasuredPeakAndMostOfIt(machine: String) throws {
        let file = checkout.url.appendingPathComponent("experiments/benchmarks/measured/\(machine).json")
        for row in try JSONDecoder().decode(Measured.self, from: Data(contentsOf: file)).steps {
            let name = try #require(Self.rows[row.kind])
            let bytes = name.hasPrefix("table3") ? try Self.characters(name) : try Self.images(name)
            let share = bytes / (row.ours.peak * Double(1 << 20))
            // As docs/reliability.md says, rounded.
            #expect((0.635..<0.735).contains(share), "\(name): \(share) of the measured \(row.ours.peak) MiB")
        }
    }

    /// They wait for each other at every normalization, so all of them hold what they have computed.
    @Test func theShardsOfAWideResNetTogetherNeedWhatTheWholeBatchDoes() throws {
        let name = "table2-wide-resnet-40-1"
        #expect(try Self.images(name, shards: 8) >= Self.images(name))
    }

    private static func characters(_ name: String) throws -> Double {
        let url = checkout.experiment("char-hyperlstm").appendingPathComponent("configs/\(name).yaml")
        let configuration = try CharacterConfiguration(try ConfigurationFile(contentsOf: url).root)
        let symbols = configuration.corpus.vocabularySize
        var need = MemoryNeed(
            parameters: configuration.model.parameterCount(vocabularySize: symbols), copies: 4, keys: [])
        TextDemand(
            key: "", text: "", characters: 5_017_483, streams: configuration.training.batch,
            sequenceLength: configuration.training.sequenceLength, isTraining: true
        ).add(to: &need, configuration.model, vocabularySize: symbols)
        return need.bytes
    }

    private static func images(_ name: String, shards: Int = 1) throws -> Double {
        let url = checkout.experiment("static-hypernet").appendingPathComponent("configs/\(name).yaml")
        let configuration = try ImageConfiguration(
            try ConfigurationFile(contentsOf: url, overrides: ["training.shards=\(shards)"]).root)
        let data = try ImageExperiment.open(
            try ImageConfiguration(
                try ConfigurationFile(
                    contentsOf: url, overrides: ["data.dataset=sample-cifar10", "data.validationImages=100"]
                ).root), in: DataFolder(path: checkout.data.path, origin: .standard))
        return ImageExperiment.memory(configuration, data, shards: shards).bytes
    }
}
