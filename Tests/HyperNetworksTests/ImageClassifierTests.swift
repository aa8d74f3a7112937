import HyperNetworks
import TestSupport
import Testing

/// Values and gradients of a whole network in single precision against PyTorch's double. Batch normalization over a few
/// dozen elements amplifies rounding by 1/√variance in each of its layers, so the allowance is wider than a cell's.
private let relative = 1e-4
private let absolute = 1e-4

private func adopt(_ test: OracleCase, _ model: some ImageClassifier) throws {
    for parameter in model.parameters {
        let key = "param.\(parameter.name)"
        #expect(parameter.variable.value.count == (try test.fixture.floats(key).count), "\(key)")
        parameter.variable.value.copy(from: try test.fixture.floats(key))
    }
    #expect(Set(model.parameters.map { "param.\($0.name)" }) == Set(test.fixture.keys("param.")))
    for (name, tensor) in model.buffers { tensor.copy(from: try test.fixture.floats("in.\(name)")) }
}

/// Logits, loss, running statistics, evaluation and all gradients of one training pass.
private func compare(_ test: OracleCase, _ model: some ImageClassifier) throws {
    let fixture = test.fixture
    try adopt(test, model)
    let images = try test.variable("in.images"), targets = try fixture.ints("in.targets").map { Int32($0) }
    let result = model.forward(images, mode: .training)
    var loss = crossEntropy(result.logits, targets)
    if fixture.file.metadata["l2"] != nil {
        loss = loss + l2Penalty(result.kernels, coefficient: try fixture.meta("l2", as: Double.self))
    }
    func expect(_ tensor: Tensor, _ key: String, scale: Double = 1) throws {
        expectClose(
            tensor.floats, try fixture.doubles(key), shape: try fixture.shape(key), relative: relative,
            absolute: absolute * scale, what: "\(fixture.name): \(key)")
    }
    try expect(result.logits.value, "out.logits")
    try expect(loss.value, "out.loss")
    for (name, tensor) in model.buffers { try expect(tensor, "out.\(name)") }
    if fixture.has("out.evaluationLogits") {
        let evaluated = withoutGradient { model.forward(images, mode: .evaluation) }.logits
        try expect(evaluated.value, "out.evaluationLogits")
        for (name, tensor) in model.buffers { try expect(tensor, "out.\(name)") }
    }
    loss.backward()
    let leaves = model.parameters.map { ("grad.param.\($0.name)", $0.variable) } + [("grad.in.images", images)]
    func greatest(_ key: String) throws -> Double { try fixture.doubles(key).map(abs).max() ?? 0 }
    let overall = try leaves.filter { fixture.has($0.0) }.map { try greatest($0.0) }.max() ?? 0
    for (key, variable) in leaves where fixture.has(key) {
        // The small elements of a gradient have the rounding error of its large ones; one that is zero in exact
        // arithmetic, such as that of a bias before a batch normalization, the error of what it is summed from.
        let scale = max(try greatest(key), 0.01 * overall)
        try expect(try #require(variable.gradient), key, scale: scale)
    }
    #expect(Set(fixture.keys("grad.")).subtracting(leaves.map(\.0)).isEmpty)
}

private func images(_ count: Int, _ shape: [Int], seed: UInt64) -> Variable {
    var random = RandomStream(seed: seed, stream: 77)
    return Variable(Tensor(random.normal(count * shape.reduce(1, *)), shape: [count] + shape))
}

@Suite("Image classifiers with owned and with generated kernels")
struct ImageClassifierTests {
    // MARK: Against PyTorch

    @Test(arguments: ["static_wrn", "static_wrn_wide", "static_wrn_hyper", "static_wrn_hyper_wide"])
    func wideResNet_lossGradientsAndRunningStatisticsAreThoseOfPyTorch(name: String) throws {
        let test = try OracleCase(name), fixture = test.fixture
        let configuration = WideResNetConfiguration.test(
            kernels: try fixture.meta("hyper") == "true" ? .generated : .owned,
            blocks: try fixture.meta("blocks", as: Int.self), widening: try fixture.meta("widening", as: Int.self),
            baseWidth: try fixture.meta("base", as: Int.self),
            embeddingSize: try fixture.meta("embeddingSize", as: Int.self),
            basicChannels: try fixture.meta("basic", as: Int.self))
        try compare(test, WideResNet(configuration: configuration, seed: 0))
    }

    @Test func mnistConvNet_lossAndGradientsAreThoseOfPyTorch() throws {
        try compare(
            try OracleCase("static_mnist_hyper"),
            MNISTConvNet(configuration: MNISTConvNet.Configuration(kernels: .generated), seed: 0))
    }

    @Test func coordinateNetwork_lossAndGradientsAreThoseOfPyTorch() throws {
        try compare(
            try OracleCase("static_coordinates"),
            CoordinateNetwork(configuration: CoordinateNetwork.Configuration(weights: .generated), seed: 0))
    }

    // MARK: Counts

    @Test(arguments: [
        (KernelSource.owned, 1, 562_746), (.generated, 1, 96_586), (.owned, 2, 2_235_514), (.generated, 2, 147_594),
    ])
    func table2_parameterCountOfEveryRow(kernels: KernelSource, widening: Int, count: Int) {
        let configuration = WideResNetConfiguration.test(kernels: kernels, widening: widening)
        let model = WideResNet(configuration: configuration, seed: 0)
        #expect(configuration.parameterCount == count)
        #expect(model.parameterCount == count)
        #expect(Set(model.parameters.map(\.name)).count == model.parameters.count, "names are unique")
    }

    @Test(arguments: KernelSource.allCases)
    func table7AndA1_parameterCountsAreWhatTheModelsHave(source: KernelSource) {
        let mnist = MNISTConvNet.Configuration(kernels: source)
        // The networks differ in the second kernel alone: 12,544 weights, or 4,240 parameters and 4 of the embedding.
        #expect(mnist.parameterCount == 784 + 16 + (source == .owned ? 12_544 : 4_244) + 16 + 7_850)
        #expect(MNISTConvNet(configuration: mnist, seed: 0).parameterCount == mnist.parameterCount)
        let coordinates = CoordinateNetwork.Configuration(weights: source)
        #expect(coordinates.parameterCount == (source == .owned ? 200_704 : 801) + 256 + 2_570)
        #expect(CoordinateNetwork(configuration: coordinates, seed: 0).parameterCount == coordinates.parameterCount)
    }

    // MARK: Baking

    @Test func bakedWideResNet_givesTheLogitsOfTheHypernetwork() {
        let configuration = WideResNetConfiguration.test(kernels: .generated, blocks: 1, widening: 2, embeddingSize: 8)
        let hyper = WideResNet(configuration: configuration, seed: 2), batch = images(4, [16, 16, 3], seed: 6)
        // Running statistics away from their initial values.
        _ = withoutGradient { hyper.forward(batch, mode: .training) }
        let plain = hyper.baked()
        #expect(!plain.parameters.contains { $0.name.hasPrefix("hyper.") })
        #expect(plain.configuration.kernels == .owned)
        #expect(plain.parameterCount == plain.configuration.parameterCount)
        expectSameLogits(hyper, plain, batch)
    }

    @Test func bakedMNISTNetworks_giveTheLogitsOfTheHypernetwork() {
        let batch = images(3, [28, 28, 1], seed: 6)
        let mnist = MNISTConvNet(configuration: MNISTConvNet.Configuration(kernels: .generated), seed: 2)
        expectSameLogits(mnist, mnist.baked(), batch)
        let coordinates = CoordinateNetwork(
            configuration: CoordinateNetwork.Configuration(weights: .generated), seed: 2)
        expectSameLogits(coordinates, coordinates.baked(), batch)
        #expect(coordinates.baked().configuration.weights == .owned)
    }

    private func expectSameLogits<Model: ImageClassifier>(_ hyper: Model, _ plain: Model, _ batch: Variable) {
        let expected = withoutGradient { hyper.forward(batch, mode: .evaluation) }.logits.value.floats
        let found = withoutGradient { plain.forward(batch, mode: .evaluation) }.logits.value.floats
        expectClose(
            found, expected.map(Double.init), relative: 1e-6, absolute: 1e-6, what: "logits of the baked network")
        #expect(expected.contains { abs($0) > 1e-3 }, "logits that say something")
    }

    // MARK: Initial values and learning

    @Test(arguments: KernelSource.allCases)
    func coordinateNetwork_matrixStartsWithMeanZeroAndItsStandardDeviation(source: KernelSource) {
        let model = CoordinateNetwork(configuration: CoordinateNetwork.Configuration(weights: source), seed: 3)
        let values = model.matrix().value.floats.map(Double.init)
        let mean = values.reduce(0, +) / Double(values.count)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
        // He's where the matrix is owned; 0.01 where it is generated (deviation `staticCoordinates`).
        let expected = source == .owned ? (2.0 / 784).squareRoot() : 0.01
        #expect(abs(mean) < 0.01 * expected)
        #expect(abs(variance.squareRoot() / expected - 1) < 0.01)
    }

    /// Deviation `staticCoordinates`: without biases all kinks of the hidden units pass through the middle of both
    /// grids.
    @Test func coordinateNetwork_hiddenBiasesStartStandardNormal() throws {
        let model = CoordinateNetwork(configuration: CoordinateNetwork.Configuration(weights: .generated), seed: 3)
        guard case .generated(let layers) = model.weights else { preconditionFailure("a generated matrix") }
        let biases = layers.dropLast().flatMap { $0.b.value.floats }
        expectStandardDeviation(Tensor(biases, shape: [50]), 1)
        expectConstant(model.b.value, 0)
    }

    /// Deviations `staticOwnedInitialValues` and `staticInitialValues`.
    @Test(arguments: KernelSource.allCases)
    func biasesOfConvolutionsStartAtZero(source: KernelSource) {
        let mnist = MNISTConvNet(configuration: MNISTConvNet.Configuration(kernels: source), seed: 3)
        let wide = WideResNet(configuration: .test(kernels: source, blocks: 1, widening: 1), seed: 3)
        let biases = (mnist.parameters + wide.parameters).filter {
            $0.name.split(separator: ".").last.map { $0.hasPrefix("bias") } == true
        }
        #expect(biases.count >= 8)
        for bias in biases { expectConstant(bias.variable.value, 0) }
    }

    @Test(arguments: KernelSource.allCases)
    func wideResNet_overfitsOneBatch(source: KernelSource) throws {
        let configuration = WideResNetConfiguration.test(
            kernels: source, blocks: 1, widening: 1, baseWidth: 4, embeddingSize: 16, basicChannels: 4)
        let model = WideResNet(configuration: configuration, seed: 1), batch = images(8, [8, 8, 3], seed: 2)
        let targets: [Int32] = [0, 1, 2, 3, 4, 5, 6, 7], adam = Adam(parameters: model.parameters)
        var losses: [Float] = []
        for _ in 0..<80 {
            let loss = crossEntropy(model.forward(batch, mode: .training).logits, targets)
            losses.append(loss.value.floats[0])
            loss.backward()
            adam.step(learningRate: 0.01)
            model.clearGradients()
        }
        #expect(try #require(losses.first) > 1.5)
        #expect(try #require(losses.last) < 0.05)
    }
}
