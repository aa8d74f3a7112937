import NeuralNetwork
import Safetensors
import TestSupport
import Testing

/// Two parameters and two running statistics.
private final class Normalized: Module {
    let norm: BatchNorm2D
    init(channels: Int) { norm = BatchNorm2D(channels: channels) }
    var parameters: [NamedParameter] { norm.parameters(under: "norm") }
    var buffers: [(name: String, tensor: Tensor)] { norm.buffers.map { ("norm.\($0.name)", $0.tensor) } }
}

struct ModuleWeightsTests {
    private let folder: TemporaryFolder
    private var path: String { folder.path("weights.safetensors") }

    init() throws { folder = try TemporaryFolder() }

    @Test func weightsAndRunningStatisticsComeBack() throws {
        let written = Normalized(channels: 3), read = Normalized(channels: 3)
        for (index, (_, tensor)) in written.tensors.enumerated() {
            tensor.copy(from: [1, 2, 3].map { $0 + Float(index) / 7 })
        }
        try written.saveWeights(to: path, metadata: ["step": "7"])
        #expect(try read.loadWeights(from: path)["step"] == "7")
        #expect(
            read.tensors.map(\.name) == ["norm.gamma", "norm.beta", "norm.runningMean", "norm.runningVariance"])
        #expect(read.tensors.map(\.tensor.floats) == written.tensors.map(\.tensor.floats))
    }

    @Test func aFileOfAnotherModuleIsRefusedAndNothingChanges() throws {
        let norm = Normalized(channels: 3), before = norm.tensors.map(\.tensor.floats)
        let values = SafetensorsFile.Values.float32([5, 6, 7])
        func refused(_ entries: [(name: String, shape: [Int])], _ expected: SafetensorsError) throws {
            var file = SafetensorsFile()
            for entry in entries { file.append(entry.name, shape: entry.shape, values) }
            try file.write(to: path)
            #expect(throws: expected) { try norm.loadWeights(from: path) }
            #expect(norm.tensors.map(\.tensor.floats) == before)
        }
        let names = norm.tensors.map(\.name)
        try refused(
            names.dropLast().map { ($0, [3]) },
            .missingName(path: path, expected: "norm.runningVariance", found: Array(names.dropLast())))
        try refused(names.map { ($0, [3]) } + [("other", [3])], .unexpectedName(path: path, name: "other"))
        try refused(
            names.map { ($0, $0 == "norm.beta" ? [3, 1] : [3]) },
            .wrongShape(path: path, name: "norm.beta", expected: [3], found: [3, 1]))
    }
}
