import Foundation
import NeuralNetwork
import TestSupport
import Testing

@Suite struct AdamTests {
    /// Five steps of PyTorch's Adam. Per step x moves by `rate` at most and collects about ten roundings of that move
    /// and one of its own. The moments' factors are single precision: 1 − β₂ is 1.3e-5 from 0.001 in relative terms,
    /// which the correction by 1 − β₂^t takes out of x, but not out of v; 1 − β₁ is 2.4e-7 from 0.1.
    @Test(arguments: ["adam", "adam_smallGradients"])
    func fiveStepsFollowPyTorch(name: String) throws {
        let fixture = try Fixture.load(name), rate = try fixture.meta("rate", as: Double.self)
        let parameters = try ["W", "b"].map { key in
            NamedParameter(
                key,
                Variable(
                    Tensor(try fixture.floats("in.\(key)"), shape: try fixture.shape("in.\(key)")),
                    requiresGradient: true))
        }
        let optimizer = Adam(
            parameters: parameters, beta1: try fixture.meta("beta1", as: Float.self),
            beta2: try fixture.meta("beta2", as: Float.self), epsilon: try fixture.meta("epsilon", as: Float.self))
        let steps = try fixture.meta("steps", as: Int.self)
        for step in 0..<steps {
            for parameter in parameters {
                let count = parameter.variable.value.count
                let gradients = try fixture.floats("in.gradients.\(parameter.name)")
                parameter.variable.clearGradient()
                parameter.variable.addGradient(
                    Tensor(Array(gradients[step * count..<(step + 1) * count]), shape: parameter.variable.shape))
            }
            optimizer.step(learningRate: rate)
            #expect(optimizer.stepCount == step + 1)
            for parameter in parameters {
                let count = parameter.variable.value.count
                let expected = try fixture.doubles("out.values.\(parameter.name)")
                expectClose(
                    parameter.variable.value.floats, Array(expected[step * count..<(step + 1) * count]),
                    shape: parameter.variable.shape, relative: Double(step + 1) * 0x1p-24,
                    absolute: Double(step + 1) * 10 * rate * 0x1p-24 + 1e-9,
                    what: "\(name): \(parameter.name) after step \(step + 1)")
            }
        }
        let scale = name == "adam" ? 1 : 1e-8
        for (key, tensor) in optimizer.state {
            let names = key.split(separator: "."), first = names[1] == "m"
            try expectClose(
                tensor.floats, shape: tensor.shape, fixture, "out.\(first ? "first" : "second")Moment.\(names[0])",
                relative: first ? 2e-6 : 1.4e-5, absolute: first ? 1e-7 * scale : 0)
        }
        #expect(optimizer.state.map(\.name) == ["W.m", "b.m", "W.v", "b.v"])
    }

    @Test func aParameterWithoutAGradientCountsAsHavingGradientZero() {
        let x = Variable(Tensor([1], shape: [1]), requiresGradient: true)
        let optimizer = Adam(parameters: [NamedParameter("x", x)], beta1: 0.5, beta2: 0.5, epsilon: 0)
        x.addGradient(Tensor([4], shape: [1]))
        optimizer.step(learningRate: 0.25)
        #expect(x.value.floats == [0.75], "the first step is the rate times the sign")
        x.clearGradient()
        optimizer.step(learningRate: 0.25)
        // m = 1, v = 4; m̂ = 4/3, v̂ = 16/3: x − 0.25 · (4/3) / (4/√3) = 0.75 − 0.25/√3, to a few roundings.
        expectClose(x.value.floats, [0.75 - 0.25 / 3.0.squareRoot()], relative: 4 * 0x1p-24, absolute: 0, what: "x")
        #expect(optimizer.state.map { $0.tensor.floats } == [[1], [4]])
    }

    /// A large parameter is split over the threads; every element must move like the only element of a small one.
    @Test func everyElementOfALargeParameterMovesAlike() {
        let count = 100_003
        func moved(_ values: [Float], _ gradients: [Float]) -> [Float] {
            let x = Variable(Tensor(values, shape: [values.count]), requiresGradient: true)
            x.addGradient(Tensor(gradients, shape: [values.count]))
            let optimizer = Adam(parameters: [NamedParameter("x", x)])
            for _ in 0..<3 { optimizer.step(learningRate: 0.01) }
            return x.value.floats
        }
        let pattern: [(Float, Float)] = [(1, 0.5), (-2, 3), (0.25, -1e-3), (7, 0), (1e-3, -20)]
        let small = moved(pattern.map(\.0), pattern.map(\.1))
        let large = moved((0..<count).map { pattern[$0 % 5].0 }, (0..<count).map { pattern[$0 % 5].1 })
        #expect(large == (0..<count).map { small[$0 % 5] })
    }
}

@Suite struct GradientClippingTests {
    @Test(arguments: ["clip", "clip_inactive"])
    func theJointNormIsClipped(name: String) throws {
        let fixture = try Fixture.load(name), maximum = try fixture.meta("maxNorm", as: Double.self)
        let parameters = try ["W", "b"].map { key in
            let shape = try fixture.shape("in.gradients.\(key)")
            let variable = Variable(Tensor(zeros: shape), requiresGradient: true)
            variable.addGradient(Tensor(try fixture.floats("in.gradients.\(key)"), shape: shape))
            return NamedParameter(key, variable)
        }
        // 54 squares are summed in single precision: 54 roundings at most.
        let norm = clipGlobalNorm(parameters, maximum: maximum)
        expectClose(
            [norm], try fixture.doubles("out.norm"), shape: [], relative: 54 * 0x1p-24, absolute: 0, what: "norm")
        for parameter in parameters {
            let gradient = try #require(parameter.variable.gradient)
            if name == "clip_inactive" {
                #expect(gradient.floats == (try fixture.floats("in.gradients.\(parameter.name)")), "not a bit changes")
            }
            try expectClose(
                gradient.floats, shape: gradient.shape, fixture, "out.gradients.\(parameter.name)",
                relative: 56 * 0x1p-24, absolute: 0)
        }
        #expect((norm > maximum) == (name == "clip"))
        #expect(clipGlobalNorm(parameters, maximum: maximum) <= maximum * (1 + 56 * 0x1p-24))
    }

    /// Three million equal squares of 1/4: their sums in blocks are exact, so the norm must be. A parameter without a
    /// gradient counts for nothing.
    @Test func theNormOfManyElementsKeepsItsDigits() {
        let count = 3_000_001, x = Variable(Tensor(zeros: [count]), requiresGradient: true)
        x.addGradient(Tensor(repeating: 0.5, shape: [count]))
        let missing = NamedParameter("missing", Variable(Tensor(zeros: [5]), requiresGradient: true))
        let norm = clipGlobalNorm([NamedParameter("x", x), missing], maximum: 1)
        #expect(norm == (Double(count) * 0.25).squareRoot())
        #expect(x.gradient?.floats.allSatisfy { $0 == 0.5 * Float(1 / norm) } == true, "every element is scaled")
        #expect(missing.variable.gradient == nil)
    }
}

@Suite struct LearningRateScheduleTests {
    @Test func aStageHoldsUpToItsLastStepAndTheLastOneForEver() {
        let schedule = LearningRateSchedule.piecewiseConstant([
            .init(untilStep: 10, rate: 0.1), .init(untilStep: 20, rate: 0.01), .init(untilStep: 30, rate: 0.001),
        ])
        for (step, rate) in [
            (1, 0.1), (10, 0.1), (11, 0.01), (20, 0.01), (21, 0.001), (30, 0.001), (31, 0.001), (10_000, 0.001),
        ] {
            #expect(schedule.rate(atStep: step) == rate, "step \(step)")
        }
        #expect(LearningRateSchedule.piecewiseConstant([.init(untilStep: 1, rate: 0.5)]).rate(atStep: 9) == 0.5)
    }

    @Test func cosineRisesLinearlyAndFallsAlongHalfACosine() {
        let schedule = LearningRateSchedule.cosine(peak: 0.5, final: 0.125, warmUpSteps: 100, totalSteps: 1100)
        #expect(schedule.rate(atStep: 0) == 0)
        #expect(schedule.rate(atStep: 1) == 0.005)
        #expect(schedule.rate(atStep: 50) == 0.25)
        #expect(schedule.rate(atStep: 100) == 0.5)
        // cos is within an ulp of 0, ±1/2 and −1 there.
        let points = [(600, 0.3125), (100 + 333, 0.125 + 0.375 * (1 + cos(.pi * 0.333)) / 2), (1100, 0.125)]
        for (step, rate) in points { #expect(abs(schedule.rate(atStep: step) - rate) < 1e-15, "step \(step)") }
        #expect(schedule.rate(atStep: 1101) == schedule.rate(atStep: 1100))
        #expect(schedule.rate(atStep: 1_000_000) == schedule.rate(atStep: 1100))
        let falling = (100...1100).map { schedule.rate(atStep: $0) }
        #expect(zip(falling, falling.dropFirst()).allSatisfy { $0 > $1 })
    }

    @Test func holdStaysAtThePeakAndFallsLinearlyToTheFinalRate() {
        let schedule = LearningRateSchedule.hold(
            peak: 0.5, final: 0.125, warmUpSteps: 100, holdUntilStep: 300, totalSteps: 400)
        let points = [
            (1, 0.005), (50, 0.25), (100, 0.5), (300, 0.5), (301, 0.49625), (350, 0.3125), (400, 0.125), (401, 0.125),
        ]
        for (step, rate) in points { #expect(abs(schedule.rate(atStep: step) - rate) < 1e-15, "step \(step)") }
        let never = LearningRateSchedule.hold(peak: 0.5, final: 0, warmUpSteps: 0, holdUntilStep: 10, totalSteps: 10)
        #expect(never.rate(atStep: 10) == 0.5 && never.rate(atStep: 11) == 0)
    }

    @Test func cosineWithoutWarmUpStartsAtThePeak() {
        let schedule = LearningRateSchedule.cosine(peak: 0.5, final: 0, warmUpSteps: 0, totalSteps: 10)
        #expect(schedule.rate(atStep: 0) == 0.5)
        #expect(schedule.rate(atStep: 1) < 0.5 && schedule.rate(atStep: 1) > 0.48)
        #expect(abs(schedule.rate(atStep: 5) - 0.25) < 1e-15 && abs(schedule.rate(atStep: 10)) < 1e-15)
    }

    @Test func cosineThatIsAllWarmUpEndsAtThePeakAndThenDropsToTheFinalRate() {
        let schedule = LearningRateSchedule.cosine(peak: 0.5, final: 0.25, warmUpSteps: 10, totalSteps: 10)
        #expect(schedule.rate(atStep: 10) == 0.5 && schedule.rate(atStep: 11) == 0.25)
    }
}
