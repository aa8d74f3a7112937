import Foundation
import HyperNetworks
import TestSupport
import Testing

/// Eq. 1–3 as printed: one embedding, one input channel, one basic kernel at a time.
private func naiveKernels(_ g: StaticHypernetwork) -> [Variable] {
    let (f, Nin, Nout, d) = (g.basic.size, g.basic.inputs, g.basic.outputs, g.innerSize)
    var next = 0

    /// K = g(z) for the next embedding: N_in slices of [f · f, N_out].
    func basicKernel() -> [Variable] {
        let z = rows(g.z, next..<next + 1)
        next += 1
        return (0..<Nin).map { i in
            // Eq. 2: a_i = W_i z + B_i
            let a =
                matmul(z, columns(g.W, i * d..<(i + 1) * d)) + columns(reshape(g.B, [1, Nin * d]), i * d..<(i + 1) * d)
            // Eq. 2: K_i = ⟨W_out, a_i⟩ + B_out
            return reshape(matmul(a, g.W_out) + reshape(g.B_out, [1, f * f * Nout]), [f * f, Nout])
        }
    }

    return g.layers.map { layer in
        // Eq. 3: rows are blocks of inputs, columns blocks of outputs.
        let tiles = (0..<layer.inputs / Nin).map { _ in (0..<layer.outputs / Nout).map { _ in basicKernel() } }
        let positions = (0..<f * f).flatMap { position in
            (0..<layer.inputs).map { input in
                concatenateColumns(tiles[input / Nin].map { rows($0[input % Nin], position..<position + 1) })
            }
        }
        return reshape(concatenateRows(positions), layer.extents)
    }
}

private func hypernetwork(
    basic: KernelShape, embeddingSize: Int, layers: [KernelShape], seed: UInt64,
    initialValues: GeneratorInitialValues = .he
) -> StaticHypernetwork {
    var random = RandomStream(seed: seed, stream: 0)
    return StaticHypernetwork(
        basic: basic, embeddingSize: embeddingSize, layers: layers, initialValues: initialValues, random: &random)
}

private func kernel(_ size: Int, _ inputs: Int, _ outputs: Int) -> KernelShape {
    KernelShape(size: size, inputs: inputs, outputs: outputs)
}

@Suite("The static hypernetwork: Equations 1–3")
struct StaticHypernetworkTests {
    @Test func generator_valuesAndGradientsAreThoseOfPyTorch() throws {
        let test = try OracleCase("static_generator")
        let shapes = try test.fixture.meta("layers").split(separator: " ").map { text in
            let numbers = text.split(separator: "x").compactMap { Int($0) }
            return kernel(3, numbers[0], numbers[1])
        }
        let g = StaticHypernetwork(
            W: try test.variable("param.W"), B: try test.variable("param.B"), W_out: try test.variable("param.W_out"),
            B_out: try test.variable("param.B_out"), z: try test.variable("param.z"), basic: kernel(3, 2, 3),
            layers: shapes)
        let kernels = g.kernels()
        for (made, shape) in zip(kernels, shapes) { #expect(made.shape == shape.extents) }
        try test.check(outputs: kernels.enumerated().map { ("out.kernel\($0)", $1) })
    }

    @Test(arguments: [GeneratorInitialValues.he, .smallNormal])
    func batchedGenerator_isTheNaiveOneInValuesAndGradients(initialValues: GeneratorInitialValues) throws {
        let layers = [kernel(3, 4, 4), kernel(3, 4, 8), kernel(3, 8, 8), kernel(3, 8, 12)]
        let fast = hypernetwork(
            basic: kernel(3, 4, 4), embeddingSize: 6, layers: layers, seed: 3, initialValues: initialValues)
        let naive = hypernetwork(
            basic: kernel(3, 4, 4), embeddingSize: 6, layers: layers, seed: 3, initialValues: initialValues)
        // Biases start at zero; they must have their share in the comparison.
        var random = RandomStream(seed: 9, stream: 9)
        for (name, count) in [("B", 24), ("B_out", 36)] {
            let values = random.normal(count)
            for g in [fast, naive] {
                g.parameters.first { $0.name == name }?.variable.value.copy(from: values)
            }
        }
        let (ours, twins) = (fast.kernels(), naiveKernels(naive))
        var objectives: [Variable] = []
        for (all, isFirst) in [(ours, true), (twins, false)] {
            var weights = RandomStream(seed: 4, stream: 4)
            var total = sum(all[0] * Variable(Tensor(weights.normal(all[0].value.count), shape: all[0].shape)))
            for kernel in all.dropFirst() {
                total = total + sum(kernel * Variable(Tensor(weights.normal(kernel.value.count), shape: kernel.shape)))
            }
            objectives.append(total)
            if isFirst { continue }
            for (kernel, twin) in zip(ours, twins) {
                expectClose(
                    kernel.value.floats, twin.value.floats.map(Double.init), shape: twin.shape, relative: 1e-5,
                    absolute: 1e-6, what: "kernel")
            }
        }
        for objective in objectives { objective.backward() }
        for (parameter, twin) in zip(fast.parameters, naive.parameters) {
            expectClose(
                try #require(parameter.variable.gradient).floats,
                try #require(twin.variable.gradient).floats.map(Double.init), shape: twin.variable.shape,
                relative: 1e-4, absolute: 1e-4, what: "gradient of \(parameter.name)")
        }
    }

    @Test func equation3_tilesBasicKernelsByInputRowsAndOutputColumns() {
        // K_{32×64} = (K_1 K_2 K_3 K_4 ; K_5 K_6 K_7 K_8): every element says which basic kernel it is from.
        let values = (0..<9).flatMap { z in [Float](repeating: Float(z), count: 16 * 9 * 16) }
        let basic = Variable(Tensor(values, shape: [9, 16, 3, 3, 16]))
        let layer = kernel(3, 32, 64), tiled = tileKernel(basic, first: 1, to: layer)
        #expect(tiled.shape == [3, 3, 32, 64])
        let elements = tiled.value.floats
        for position in 0..<9 {
            for input in 0..<32 {
                for output in 0..<64 {
                    let expected = Float(1 + input / 16 * 4 + output / 16)
                    guard elements[(position * 32 + input) * 64 + output] == expected else {
                        Issue.record("element \(position), \(input), \(output) is not from kernel \(expected)")
                        return
                    }
                }
            }
        }
    }

    @Test func exchangingTwoEmbeddings_exchangesTheirTwoTilesAndNothingElse() {
        let g = hypernetwork(basic: kernel(3, 4, 4), embeddingSize: 5, layers: [kernel(3, 8, 12)], seed: 1)
        let before = g.kernels()[0].value.floats
        var z = g.z.value.floats
        // Tile (0, 1) is embedding 1, tile (1, 2) is embedding 5.
        for n in 0..<5 { z.swapAt(5 + n, 25 + n) }
        g.z.value.copy(from: z)
        let after = g.kernels()[0].value.floats
        for place in before.indices {
            let (position, input, output) = (place / 96, place / 12 % 8, place % 12)
            var source = (input, output)
            if (input / 4, output / 4) == (0, 1) { source = (input + 4, output + 4) }
            if (input / 4, output / 4) == (1, 2) { source = (input - 4, output - 4) }
            let expected = before[(position * 8 + source.0) * 12 + source.1]
            #expect(abs(after[place] - expected) <= 1e-6 * (1 + abs(expected)), "at \(position), \(input), \(output)")
        }
    }

    // MARK: Counts

    @Test func section3_1_parameterCountOfTheGeneratorForCIFAR() {
        let g = hypernetwork(basic: kernel(3, 16, 16), embeddingSize: 64, layers: [kernel(3, 16, 16)], seed: 0)
        #expect(g.generatorParameterCount == 75_920)
        #expect(WideResNetConfiguration.test(kernels: .generated, widening: 1).generatorParameterCount == 75_920)
    }

    @Test(arguments: [(1, 242, 557_568), (2, 966, 2_225_664)])
    func section4_2_embeddingsAndGeneratedWeights(widening: Int, embeddings: Int, weights: Int) {
        let configuration = WideResNetConfiguration.test(kernels: .generated, widening: widening)
        #expect(configuration.embeddingCount == embeddings)
        #expect(configuration.blockKernels.count == 36)
        #expect(configuration.blockKernels.reduce(0) { $0 + $1.count } == weights)
    }

    @Test func section4_1_mnistKernelComesFrom4240ParametersAnd4Numbers() {
        let g = hypernetwork(basic: kernel(7, 16, 16), embeddingSize: 4, layers: [kernel(7, 16, 16)], seed: 0)
        #expect(g.generatorParameterCount == 4_240)
        #expect(g.z.value.count == 4)
        #expect(g.kernels()[0].value.count == 12_544)
    }

    @Test func parameterCount_isWhatAHypernetworkReallyHas() {
        // 1 embedding, and 2 × 2.
        let basic = kernel(3, 4, 6), layers = [kernel(3, 4, 6), kernel(3, 8, 12)]
        let g = hypernetwork(basic: basic, embeddingSize: 5, layers: layers, seed: 0)
        func count(embeddings: Int) -> Int {
            StaticHypernetwork.parameterCount(basic: basic, embeddingSize: 5, embeddings: embeddings)
        }
        #expect(count(embeddings: 5) == g.parameterCount)
        #expect(count(embeddings: 0) == g.generatorParameterCount)
    }

    // MARK: Initial values

    /// Deviation `staticInitialValues`: exactly He's for each layer, and for each tile of it.
    @Test(arguments: [1, 2])
    func generatedKernels_startWithTheStandardDeviationOfHe(widening: Int) {
        let configuration = WideResNetConfiguration.test(kernels: .generated, widening: widening)
        let g = hypernetwork(
            basic: configuration.basicKernel, embeddingSize: 64, layers: configuration.blockKernels, seed: 5)
        for (index, (kernel, shape)) in zip(g.kernels(), g.layers).enumerated() {
            let expected = Double(shape.heStandardDeviation), measured = standardDeviation(kernel.value)
            #expect(abs(measured / expected - 1) < 1e-4, "layer \(index), \(shape): \(measured), He \(expected)")
            let mean = kernel.value.floats.reduce(0) { $0 + Double($1) } / Double(shape.count)
            #expect(abs(mean) < 0.1 * expected, "layer \(index): mean \(mean)")
        }
    }

    /// An embedding larger than a slice of the basic kernel, [3, 3, 16].
    @Test func generatedKernelsOfALargeEmbedding_startNearTheStandardDeviationOfHe() {
        let basic = KernelShape(size: 3, inputs: 16, outputs: 16)
        let g = hypernetwork(basic: basic, embeddingSize: 256, layers: [basic, basic], seed: 5)
        for kernel in g.kernels() {
            // One slice's mean square has a standard deviation of 8 %, so that of the 16 slices deviates by 2 %.
            let ratio = standardDeviation(kernel.value) / Double(basic.heStandardDeviation)
            #expect(abs(ratio - 1) < 0.04, "\(ratio)")
        }
    }

    /// Deviation `staticOwnedInitialValues`.
    @Test func ownedKernels_startWithTheStandardDeviationOfHeAndTheClassifierOrthogonal() {
        let configuration = WideResNetConfiguration.test(kernels: .owned, widening: 1)
        let wide = WideResNet(configuration: configuration, seed: 1)
        expectStandardDeviation(wide.stem.value, kernel(3, 3, 16).heStandardDeviation)
        for (kernel, shape) in zip(wide.blockKernels(), configuration.blockKernels) {
            expectStandardDeviation(kernel.value, shape.heStandardDeviation)
        }
        let convNet = MNISTConvNet(configuration: MNISTConvNet.Configuration(kernels: .owned), seed: 1)
        expectStandardDeviation(convNet.kernel1.value, kernel(7, 1, 16).heStandardDeviation)
        expectStandardDeviation(convNet.secondKernel().value, kernel(7, 16, 16).heStandardDeviation)
        let coordinates = CoordinateNetwork(configuration: CoordinateNetwork.Configuration(weights: .owned), seed: 1)
        for output in [wide.output, convNet.output, coordinates.output] {
            expectOrthogonal(output.W.value)
            expectConstant(output.b.value, 0)
        }
    }

    @Test func smallNormalInitialValues_makeKernelsNearZero() {
        let g = hypernetwork(
            basic: kernel(3, 16, 16), embeddingSize: 64, layers: [kernel(3, 32, 32)], seed: 5,
            initialValues: .smallNormal)
        // Twice a sum over 64 products with factors of 0.01: 64 · 0.01³; the embedding's own length, of 64 draws, is
        // within a third of its mean.
        let expected = 64 * 1e-6
        #expect(abs(standardDeviation(g.kernels()[0].value) / expected - 1) < 1 / 3)
    }

    @Test func initialValues_areAFunctionOfTheSeed() {
        let layers = [kernel(3, 16, 32)]
        func values(_ seed: UInt64) -> [[Float]] {
            hypernetwork(basic: kernel(3, 16, 16), embeddingSize: 8, layers: layers, seed: seed).parameters
                .map(\.variable.value.floats)
        }
        #expect(values(1) == values(1))
        #expect(values(1) != values(2))
    }
}
