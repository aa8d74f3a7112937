@testable import NeuralNetwork
import TestSupport
import Testing

/// A case of `generate_images.py`: its tensors as variables, and the comparison of outputs and gradients with it.
struct ImageCase {
    let fixture: Fixture
    /// Every `in.*` and `param.*` that has a gradient, as a parameter.
    let variables: [String: Variable]

    init(_ name: String) throws {
        let fixture = try Fixture.load("images/\(name)")
        self.fixture = fixture
        let keys = (fixture.keys("in.") + fixture.keys("param.")).filter { fixture.has("grad.\($0)") }
        variables = try Dictionary(
            uniqueKeysWithValues: keys.map { key in
                (
                    key,
                    Variable(
                        Tensor(try fixture.floats(key), shape: try fixture.shape(key)), requiresGradient: true)
                )
            })
    }

    /// A constant of the case.
    func meta<Value: LosslessStringConvertible>(_ key: String) throws -> Value {
        try fixture.meta(key, as: Value.self)
    }

    subscript(key: String) -> Variable { variables[key]! }

    /// Compares outputs, then the gradients of Σ cotangent · output.
    func check(
        _ outputs: [(key: String, value: Variable)], relative: Double = 2e-5, absolute: Double = 2e-5,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var objective: Variable?
        for (key, value) in outputs {
            try expectClose(
                value.value.floats, shape: value.shape, fixture, key, relative: relative, absolute: absolute,
                sourceLocation: sourceLocation)
            let cotangent = try fixture.floats("cotangent.\(key)")
            let part = sum(value * Variable(Tensor(cotangent, shape: value.shape)))
            objective = objective.map { $0 + part } ?? part
        }
        objective?.backward()
        for (key, variable) in variables.sorted(by: { $0.key < $1.key }) {
            try #require(variable.gradient != nil, "\(key) got no gradient", sourceLocation: sourceLocation)
            try expectClose(
                variable.gradient!.floats, shape: variable.shape, fixture, "grad.\(key)", relative: relative,
                absolute: absolute, sourceLocation: sourceLocation)
        }
    }

    /// A normalization with the case's parameters and running statistics.
    func norm() throws -> BatchNorm2D {
        let norm = BatchNorm2D(
            gamma: self["param.gamma"], beta: self["param.beta"], momentum: try meta("momentum"),
            epsilon: try meta("epsilon"))
        norm.runningMean.copy(from: try fixture.floats("in.runningMean"))
        norm.runningVariance.copy(from: try fixture.floats("in.runningVariance"))
        return norm
    }

    var mode: NormalizationMode {
        get throws { try fixture.meta("training", as: Bool.self) ? .training : .evaluation }
    }

    func checkRunningStatistics(_ norm: BatchNorm2D, sourceLocation: SourceLocation = #_sourceLocation) throws {
        for (name, tensor) in norm.buffers {
            try expectClose(
                tensor.floats, shape: tensor.shape, fixture, "out.\(name)", relative: 1e-5, absolute: 1e-6,
                sourceLocation: sourceLocation)
        }
    }
}

/// Normal numbers.
func randomVariable(_ shape: [Int], scale: Float = 1, seed: UInt64, requiresGradient: Bool = true) -> Variable {
    var random = RandomStream(seed: seed, stream: 77)
    let values = random.normal(shape.reduce(1, *)).map { $0 * scale }
    return Variable(Tensor(values, shape: shape), requiresGradient: requiresGradient)
}

/// Which way a convolution is computed.
enum ConvolutionWay: String, CaseIterable, CustomTestStringConvertible {
    case fastest, matrix

    var testDescription: String { rawValue }
}

@Suite("Convolution")
struct ConvolutionTests {
    static let cases = [
        "conv3_16to16", "conv3_3to16", "conv3_5to3", "conv3_stride2_16to32", "conv3_stride2_odd_32to16",
        "conv3_stride2_3to5", "conv3_noPadding_16to16", "conv7_1to16", "conv5_16to16", "conv1_stride2_16to16",
        "conv5_stride3_5to16", "conv4_stride2_16to16",
    ]

    @Test(arguments: cases, ConvolutionWay.allCases)
    func agreesWithPyTorch(name: String, way: ConvolutionWay) throws {
        let test = try ImageCase(name), stride: Int = try test.meta("stride")
        let padding: Int = try test.meta("padding"), x = test["in.x"], kernel = test["param.kernel"]
        let bias = test.variables["param.bias"]
        switch way {
        case .fastest:
            try test.check([("out.y", conv2D(x, kernel, bias: bias, stride: stride, padding: padding))])
        case .matrix:
            try test.check([("out.y", matrixConv2D(x, kernel, bias: bias, stride: stride, padding: padding))])
        }
    }

    /// Batch, height, width, inputs, outputs, kernel size, stride, padding.
    static let shapes = [
        [1, 1, 1, 16, 16, 3, 1, 1], [3, 8, 8, 16, 16, 3, 1, 1], [2, 7, 5, 32, 16, 3, 1, 1],
        [5, 8, 8, 32, 48, 3, 1, 1], [2, 9, 33, 16, 32, 3, 1, 1], [2, 4, 4, 64, 128, 3, 1, 1],
        [3, 8, 8, 16, 32, 3, 2, 1], [2, 7, 5, 32, 64, 3, 2, 1], [2, 1, 2, 16, 16, 3, 2, 1],
        [2, 19, 17, 48, 16, 3, 2, 1], [2, 14, 14, 16, 16, 7, 1, 3], [2, 9, 8, 16, 32, 5, 3, 1],
        [2, 5, 5, 16, 16, 1, 2, 0], [1, 8, 7, 16, 32, 3, 1, 0],
        // An image of more tiles than a strip of Winograd's weight gradient has, as CIFAR-10's are.
        [1, 12, 48, 16, 32, 3, 1, 1],
    ]

    @Test(arguments: shapes, Kernels.available)
    func algorithmsEqualTheMatrixProduct(shape: [Int], simd: String) throws {
        let kernels = try #require(Kernels.named(simd)), (f, inputs, outputs) = (shape[5], shape[3], shape[4])
        func run(_ convolve: (Variable, Variable, Variable) -> Variable) -> [Tensor] {
            let x = randomVariable([shape[0], shape[1], shape[2], inputs], seed: 1)
            let kernel = randomVariable([f, f, inputs, outputs], scale: 0.2, seed: 2)
            let bias = randomVariable([outputs], seed: 3)
            // x is used twice, so that one gradient is added to the other.
            let y = convolve(x, kernel, bias), weights = randomVariable(y.shape, seed: 4, requiresGradient: false)
            (sum(y * weights) + sum(x * x)).backward()
            return [y.value, x.gradient!, kernel.gradient!, bias.gradient!]
        }
        let expected = run { matrixConv2D($0, $1, bias: $2, stride: shape[6], padding: shape[7]) }
        let extents = ConvolutionShape(
            [shape[0], shape[1], shape[2], inputs], kernel: [f, f, inputs, outputs], stride: shape[6],
            padding: shape[7])
        for method in ConvolutionMethod.allCases where method.fits(extents, inputGradient: true) {
            let actual = run {
                fusedConv2D(
                    $0, $1, bias: $2, stride: shape[6], padding: shape[7], method: method, kernels: kernels)
            }
            for (what, (a, e)) in zip(["y", "dx", "dK", "dbias"], zip(actual, expected)) {
                expectClose(
                    a.floats, e.floats.map(Double.init), shape: e.shape, relative: 2e-5, absolute: 2e-4,
                    what: "\(method): \(what)")
            }
        }
    }

    /// The rounding error as the documentation of `WinogradConvolution` states it, by a sum in double precision.
    @Test(arguments: Kernels.available, [16, 64])
    func winogradsErrorIsAFewTimesTheDefinitions(simd: String, channels: Int) throws {
        let kernels = try #require(Kernels.named(simd)), side = 8
        let x = randomVariable([2, side, side, channels], seed: 1, requiresGradient: false)
        let kernel = randomVariable([3, 3, channels, 16], scale: 0.1, seed: 2, requiresGradient: false)
        let (xs, ks) = (x.value.floats, kernel.value.floats)
        var exact = [Double](repeating: 0, count: 2 * side * side * 16)
        for (image, i, j) in (0..<2 * side * side).map({ ($0 / side / side, $0 / side % side, $0 % side) }) {
            for (u, v) in (0..<9).map({ ($0 / 3, $0 % 3) }) {
                let (row, column) = (i + u - 1, j + v - 1)
                guard (0..<side).contains(row), (0..<side).contains(column) else { continue }
                for c in 0..<channels {
                    let value = Double(xs[((image * side + row) * side + column) * channels + c])
                    let weights = ((u * 3 + v) * channels + c) * 16, at = ((image * side + i) * side + j) * 16
                    for o in 0..<16 { exact[at + o] += value * Double(ks[weights + o]) }
                }
            }
        }
        let deviation = (exact.reduce(0) { $0 + $1 * $1 } / Double(exact.count)).squareRoot()
        func error(_ method: ConvolutionMethod) -> Double {
            let y = fusedConv2D(x, kernel, bias: nil, stride: 1, padding: 1, method: method, kernels: kernels)
            let squares = zip(y.value.floats, exact).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
            return (squares / Double(exact.count)).squareRoot() / deviation
        }
        #expect(error(.winograd) < 4 * error(.direct))
        #expect(error(.winograd) < 2e-6)
    }

    @Test(arguments: [1, 2, 5])
    func theNumberOfPartsAndBandsChangesNothingButRounding(batch: Int) throws {
        func run(parts: Int) throws -> [Tensor] {
            try Parallel.$partsOverride.withValue(parts) {
                let x = randomVariable([batch, 12, 8, 16], seed: 1), norm = BatchNorm2D(channels: 16)
                let kernel = randomVariable([3, 3, 16, 16], scale: 0.2, seed: 2)
                let y = normReLUConv2D(x, norm: norm, kernel: kernel, bias: nil, stride: 1, mode: .training)
                let moments = try #require(y.channelMoments)
                sum(y * y).backward()
                let statistics = (moments.mean + moments.variance).map { Float($0) }
                return [
                    y.value, x.gradient!, kernel.gradient!, norm.gamma.gradient!, Tensor(statistics, shape: [32]),
                ]
            }
        }
        let results = try run(parts: 1)
        for parts in [2, 3, 7, 32] {
            for (n, (actual, expected)) in zip(try run(parts: parts), results).enumerated() {
                expectClose(
                    actual.floats, expected.floats.map(Double.init), shape: expected.shape, relative: 1e-5,
                    absolute: 1e-4, what: "\(parts) parts: tensor \(n)")
            }
        }
    }

    @Test func theSameStepTwiceGivesTheSameBits() {
        func run() -> [[UInt32]] {
            let x = randomVariable([4, 8, 8, 16], seed: 1), norm = BatchNorm2D(channels: 16)
            let kernel = randomVariable([3, 3, 16, 32], scale: 0.2, seed: 2), bias = randomVariable([32], seed: 3)
            let y = normReLUConv2D(x, norm: norm, kernel: kernel, bias: bias, stride: 2, mode: .training)
            sum(y * y).backward()
            return [y.value, x.gradient!, kernel.gradient!, bias.gradient!].map { $0.floats.map(\.bitPattern) }
        }
        let first = run(), second = run()
        #expect(first == second)
    }
}

@Suite("Normalization, ReLU and convolution as one operation")
struct ConvolutionUnitTests {
    enum Way: CaseIterable { case fused, composed }

    static let cases = ["block_16to16", "block_16to32_stride2", "block_3to5", "block_32to16_evaluation"]

    @Test(arguments: cases, Way.allCases)
    func agreesWithPyTorch(name: String, way: Way) throws {
        let test = try ImageCase(name), norm = try test.norm(), mode = try test.mode
        let stride: Int = try test.meta("stride")
        let x = test["in.x"], kernel = test["param.kernel"], bias = test["param.bias"]
        let y =
            way == .fused
            ? normReLUConv2D(
                x, norm: norm, kernel: kernel, bias: bias, stride: stride, mode: mode, residual: test["in.residual"])
            : conv2D(norm(x, mode: mode, relu: true), kernel, bias: bias, stride: stride, padding: 1)
                + test["in.residual"]
        try test.check([("out.y", y)], relative: 5e-5, absolute: 5e-5)
        try test.checkRunningStatistics(norm)
    }

    /// Two blocks, the second with a shortcut that changes the size: gradients meet, are handed on and are added.
    @Test(arguments: Kernels.available, [NormalizationMode.training, .evaluation])
    func blocksEqualTheirTwins(simd: String, mode: NormalizationMode) throws {
        let kernels = try #require(Kernels.named(simd))
        for method in ConvolutionMethod.allCases { blocksEqualTheirTwins(kernels, method: method, mode: mode) }
    }

    private func blocksEqualTheirTwins(_ kernels: VectorKernels, method: ConvolutionMethod, mode: NormalizationMode) {
        func run(fused: Bool) -> [Tensor] {
            let widths = [(16, 16), (16, 16), (16, 32), (32, 32)]
            let norms = widths.map { BatchNorm2D(channels: $0.0) }
            for (n, norm) in norms.enumerated() {
                norm.gamma.value.copy(from: randomVariable(norm.gamma.shape, seed: UInt64(20 + n)).value)
                norm.beta.value.copy(from: randomVariable(norm.gamma.shape, seed: UInt64(30 + n)).value)
                norm.runningMean.fill(0.25)
                norm.runningVariance.fill(2)
            }
            let weights = widths.enumerated().map {
                randomVariable([3, 3, $1.0, $1.1], scale: 0.1, seed: UInt64($0))
            }
            let biases = widths.enumerated().map { randomVariable([$1.1], seed: UInt64(10 + $0)) }
            let x = randomVariable([3, 16, 8, 16], seed: 40)
            func unit(_ n: Int, _ x: Variable, stride: Int, residual: Variable? = nil) -> Variable {
                if fused {
                    return fusedConv2D(
                        x, norm: norms[n], weights[n], bias: biases[n], stride: stride, padding: 1,
                        method: stride == 1 ? method : .direct, mode: mode, residual: residual, kernels: kernels)
                }
                let y = matrixConv2D(
                    norms[n](x, mode: mode, relu: true), weights[n], bias: biases[n], stride: stride,
                    padding: 1)
                return residual.map { y + $0 } ?? y
            }
            let first = unit(1, unit(0, x, stride: 1), stride: 1, residual: x)
            let shortcut = subsampleAndPadChannels(first, stride: 2, channels: 32)
            let y = unit(3, unit(2, first, stride: 2), stride: 1, residual: shortcut)
            sum(y * randomVariable(y.shape, seed: 41, requiresGradient: false)).backward()
            return [y.value, x.gradient!] + (weights + biases).map { $0.gradient! }
                + norms.flatMap { [$0.gamma.gradient!, $0.beta.gradient!, $0.runningMean, $0.runningVariance] }
        }
        for (n, (actual, expected)) in zip(run(fused: true), run(fused: false)).enumerated() {
            expectClose(
                actual.floats, expected.floats.map(Double.init), shape: expected.shape, relative: 1e-4, absolute: 1e-3,
                what: "tensor \(n)")
        }
    }

    @Test func statisticsOfTheResultAreThoseOfAPassOverIt() throws {
        // Far from 0, where a difference of squares would have no digits left.
        let x = randomVariable([3, 6, 5, 16], seed: 1), kernel = randomVariable([3, 3, 16, 32], scale: 0.01, seed: 2)
        let bias = Variable(Tensor(repeating: 300, shape: [32]), requiresGradient: true)
        let y = conv2D(x, kernel, bias: bias, padding: 1), moments = try #require(y.channelMoments)
        let values = y.value.floats.map(Double.init), count = values.count / 32
        #expect(moments.count == count)
        for c in 0..<32 {
            let channel = stride(from: c, to: values.count, by: 32).map { values[$0] }
            let mean = channel.reduce(0, +) / Double(count)
            let variance = channel.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
            #expect(abs(moments.mean[c] - mean) < 1e-4)
            #expect(abs(moments.variance[c] / variance - 1) < 1e-3)
        }
    }

    @Test func evaluationComputesNoStatistics() {
        let x = randomVariable([2, 4, 4, 16], seed: 1), kernel = randomVariable([3, 3, 16, 16], seed: 2)
        let y = withoutGradient { conv2D(x, kernel, padding: 1) }
        #expect(y.channelMoments == nil && !y.requiresGradient)
    }
}
