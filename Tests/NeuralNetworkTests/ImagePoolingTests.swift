import NeuralNetwork
import TestSupport
import Testing

@Suite("Pooling and shortcuts")
struct ImagePoolingTests {
    @Test(arguments: ["pooling", "pooling_odd"], Kernels.available)
    func poolingAgreesWithPyTorch(name: String, simd: String) throws {
        let test = try ImageCase(name), x = test["in.x"], kernels = try #require(Kernels.named(simd))
        try test.check([("out.max", maxPool2x2(x, kernels: kernels)), ("out.average", globalAveragePool(x))])
    }

    @Test(arguments: Kernels.available) func theGradientOfEqualValuesGoesToTheFirst(simd: String) throws {
        let test = try ImageCase("maxPool_ties"), kernels = try #require(Kernels.named(simd))
        try test.check([("out.max", maxPool2x2(test["in.x"], kernels: kernels))])
    }

    /// Into memory that held other numbers before.
    @Test func theGradientOfAnOddLastRowAndColumnIsZero() throws {
        let x = Variable(randomVariable([2, 3, 5, 4], seed: 1).value, requiresGradient: true)
        x.addGradient(Tensor(repeating: 9, shape: x.shape))
        x.clearGradient()
        sum(maxPool2x2(x)).backward()
        let gradient = try #require(x.gradient).floats
        for index in gradient.indices where index / 20 % 3 == 2 || index / 4 % 5 == 4 { #expect(gradient[index] == 0) }
    }

    @Test(arguments: Kernels.available) func poolingKeepsNaN(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        for place in 0..<4 {
            var values: [Float] = [1, 2, 3, 4]
            values[place] = .nan
            let y = maxPool2x2(Variable(Tensor(values, shape: [1, 2, 2, 1])), kernels: kernels)
            #expect(y.value.floats[0].isNaN, "at \(place)")
        }
    }

    @Test(arguments: ["shortcut_stride2", "shortcut_channels"])
    func shortcutAgreesWithPyTorch(name: String) throws {
        let test = try ImageCase(name)
        let y = subsampleAndPadChannels(
            test["in.x"], stride: try test.meta("stride"), channels: try test.meta("channels"))
        try test.check([("out.y", y)])
    }

    @Test func aShortcutThatChangesNothingIsItsArgument() {
        let x = randomVariable([1, 2, 2, 3], seed: 1)
        #expect(subsampleAndPadChannels(x, stride: 1, channels: 3) === x)
    }

    @Test func l2PenaltyAgreesWithPyTorch() throws {
        let test = try ImageCase("l2")
        let penalty = l2Penalty(
            [test["param.first"], test["param.second"]], coefficient: try test.meta("coefficient"))
        try test.check([("out.penalty", penalty)], relative: 1e-6, absolute: 1e-9)
    }
}

@Suite("Nesterov momentum")
struct NesterovSGDTests {
    @Test(arguments: ["nesterov", "nesterov_weightDecay"])
    func agreesWithPyTorch(name: String) throws {
        let fixture = try Fixture.load(name), names = ["W", "b"]
        let parameters = try names.map {
            NamedParameter(
                $0,
                Variable(
                    Tensor(try fixture.floats("in.\($0)"), shape: try fixture.shape("in.\($0)")), requiresGradient: true
                ))
        }
        let optimizer = NesterovSGD(parameters: parameters, momentum: try fixture.meta("momentum", as: Float.self))
        #expect(optimizer.state.map(\.name) == ["W.velocity", "b.velocity"])
        let rate = try fixture.meta("rate", as: Double.self), steps = try fixture.meta("steps", as: Int.self)
        let decay = try fixture.meta("weightDecay", as: Double.self)
        for step in 0..<steps {
            for parameter in parameters {
                let x = parameter.variable, count = x.value.count
                let gradients = try fixture.floats("in.gradients.\(parameter.name)")
                x.clearGradient()
                // Weight decay is the gradient of an L2 penalty.
                let linear = sum(
                    x * Variable(Tensor(Array(gradients[step * count..<(step + 1) * count]), shape: x.shape)))
                (linear + l2Penalty([x], coefficient: decay)).backward()
            }
            optimizer.step(learningRate: rate)
            for parameter in parameters {
                let count = parameter.variable.value.count
                let expected = try fixture.doubles("out.values.\(parameter.name)")
                expectClose(
                    parameter.variable.value.floats, Array(expected[step * count..<(step + 1) * count]),
                    relative: 2e-6, absolute: 2e-6, what: "\(name): \(parameter.name) after step \(step + 1)")
            }
        }
        for (key, tensor) in optimizer.state {
            let parameter = key.split(separator: ".")[0]
            try expectClose(
                tensor.floats, shape: tensor.shape, fixture, "out.velocity.\(parameter)", relative: 2e-6,
                absolute: 2e-6)
        }
    }
}
