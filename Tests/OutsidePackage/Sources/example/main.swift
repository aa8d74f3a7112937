import Foundation
import HyperNetworks

// A HyperLSTM that learns one sentence, is saved, and is opened again.

let text = Array("a network makes the weights of a network. ".utf8), symbols = Array(Set(text)).sorted()
let numbers = text.map { Int32(symbols.firstIndex(of: $0)!) }

func makeModel() -> CharacterModel {
    CharacterModel(
        configuration: CharacterModelConfiguration(
            cell: .hyperLSTM, units: 48, layerNorm: true, hyperUnits: 16, embeddingSize: 4),
        vocabularySize: symbols.count, seed: 0)
}

/// Mean cross entropy of the sentence, in nats.
func loss(of model: CharacterModel) -> Variable {
    var state = model.zeroState(batch: 1), dropout: RandomStream? = nil
    return model.loss(
        inputs: Array(numbers.dropLast()), targets: Array(numbers.dropFirst()), batch: 1, state: &state,
        dropout: &dropout)
}

let model = makeModel(), adam = Adam(parameters: model.parameters)
let before = loss(of: model).value.floats[0]
for _ in 0..<60 {
    model.clearGradients()
    loss(of: model).backward()
    clipGlobalNorm(model.parameters, maximum: 1)
    adam.step(learningRate: 0.01)
}
let after = loss(of: model).value.floats[0]
print("HyperLSTM: \(before) nats a character before training, \(after) after")
precondition(after < before / 4)

let path = FileManager.default.temporaryDirectory.appendingPathComponent("example.safetensors").path
try model.saveWeights(to: path)
let opened = makeModel()
try opened.loadWeights(from: path)
precondition(loss(of: opened).value.floats[0] == after)
try FileManager.default.removeItem(atPath: path)

// A network of one's own whose two kernels one generator makes, from one embedding and from two.

var random = RandomStream(seed: 0, stream: 1)
let shapes = [KernelShape(size: 3, inputs: 16, outputs: 16), KernelShape(size: 3, inputs: 16, outputs: 32)]
let generator = StaticHypernetwork(
    basic: shapes[0], embeddingSize: 8, layers: shapes, initialValues: .he, random: &random)
let images = Variable(Tensor(random.normal(4 * 8 * 8 * 16), shape: [4, 8, 8, 16]))
let kernels = generator.kernels()
let y = conv2D(relu(conv2D(images, kernels[0], padding: 1)), kernels[1], padding: 1)
sum(y * y).backward()
let z = generator.z.gradient!
print("static: \(generator.parameterCount) parameters make \(shapes.map(\.count)) weights; dL/dz \(z.shape)")
precondition(y.shape == [4, 8, 8, 32] && z.shape == [3, 8] && z.floats.contains { $0 != 0 })
