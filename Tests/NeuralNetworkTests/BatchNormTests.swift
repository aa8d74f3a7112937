import NeuralNetwork
import TestSupport
import Testing

@Suite("Batch normalization")
struct BatchNormTests {
    static let cases = [
        "batchNorm_training", "batchNorm_training_relu", "batchNorm_training_farFromZero",
        "batchNorm_training_momentum", "batchNorm_evaluation", "batchNorm_evaluation_relu",
    ]

    @Test(arguments: cases)
    func agreesWithPyTorch(name: String) throws {
        let test = try ImageCase(name), norm = try test.norm()
        // x of about 100 in float32 is known to 4e-6, and its standard deviation is 1.
        let tolerance = name.hasSuffix("farFromZero") ? 1e-4 : 2e-5
        let y = norm(test["in.x"], mode: try test.mode, relu: try test.fixture.meta("relu", as: Bool.self))
        try test.check([("out.y", y)], relative: tolerance, absolute: tolerance)
        try test.checkRunningStatistics(norm)
    }

    @Test func beginsAsPyTorchDoes() {
        let norm = BatchNorm2D(channels: 3)
        #expect(norm.parameters.map(\.name) == ["gamma", "beta"] && norm.parameterCount == 6)
        #expect(norm.gamma.value.floats == [1, 1, 1] && norm.beta.value.floats == [0, 0, 0])
        #expect(norm.buffers.map(\.name) == ["runningMean", "runningVariance"])
        #expect(norm.runningMean.floats == [0, 0, 0] && norm.runningVariance.floats == [1, 1, 1])
    }

    @Test func evaluationLeavesTheRunningStatisticsAlone() {
        let norm = BatchNorm2D(channels: 5)
        _ = norm(randomVariable([2, 3, 3, 5], seed: 1), mode: .evaluation)
        #expect(norm.runningMean.floats == [0, 0, 0, 0, 0] && norm.runningVariance.floats == [1, 1, 1, 1, 1])
    }

    @Test func aNaNInABatchDoesNotBecomeZero() {
        let x = Variable(Tensor([1, .nan, 3, 4], shape: [1, 2, 2, 1])), norm = BatchNorm2D(channels: 1)
        let values = norm(x, mode: .training, relu: true).value.floats
        #expect(values.filter(\.isNaN).count == 4)
    }

    /// The squares are no floats, the mean is one.
    @Test(arguments: [[0, 1e20, 0, 1e20], [0, 1e20, -1e20, 0]] as [[Float]])
    func aVarianceThatIsNoNumberDoesNotBecomeZero(values: [Float]) {
        let x = Variable(Tensor(values, shape: [1, 2, 2, 1])), norm = BatchNorm2D(channels: 1)
        let normalized = norm(x, mode: .training, relu: false).value.floats
        #expect(normalized.allSatisfy { $0.isNaN }, "\(normalized)")
    }

    /// Rows and channels that fill no whole vector, on every instruction set, against sums in double.
    @Test(arguments: Kernels.available, [[1, 1], [7, 5], [9, 16], [6, 33]])
    func kernelsEqualTheirFormulas(simd: String, shape: [Int]) throws {
        let kernels = try #require(Kernels.named(simd)), (rows, channels) = (shape[0], shape[1])
        let x = randomVariable(shape, seed: 1).value, dy = randomVariable(shape, seed: 2).value
        let mean = randomVariable([channels], seed: 3).value, factor = randomVariable([channels], seed: 4).value
        let beta = randomVariable([channels], seed: 5).value, reciprocal = randomVariable([channels], seed: 6).value
        let slope = randomVariable([channels], seed: 7).value, offset = randomVariable([channels], seed: 8).value
        func at(_ tensor: Tensor, _ index: Int) -> Double { Double(tensor.pointer[index]) }
        func column(_ f: (_ index: Int, _ channel: Int) -> Double) -> [Double] {
            (0..<channels).map { c in (0..<rows).reduce(0) { $0 + f($1 * channels + c, c) } }
        }
        func all(_ f: (_ index: Int, _ channel: Int) -> Double) -> [Double] {
            (0..<rows * channels).map { f($0, $0 % channels) }
        }
        func close(_ actual: Tensor, _ expected: [Double], _ what: String) {
            expectClose(actual.floats, expected, relative: 1e-5, absolute: 1e-5, what: what)
        }

        let total = Tensor(repeating: 1, shape: [channels]), n = Int64(rows), C = Int64(channels)
        kernels.channel_sums(n, C, x.pointer, total.pointer)
        close(total, column { index, _ in at(x, index) }.map { $0 + 1 }, "sums")

        let means = Tensor(zeros: [channels]), squares = Tensor(zeros: [channels])
        kernels.channel_moments(n, C, x.pointer, means.pointer, squares.pointer)
        let expectedMeans = column { index, _ in at(x, index) / Double(rows) }
        close(means, expectedMeans, "means")
        close(
            squares, column { index, c in (at(x, index) - expectedMeans[c]) * (at(x, index) - expectedMeans[c]) },
            "squares")

        // A z of exactly 0, where the gradient of the rectifier is 0.
        x.pointer[0] = mean.pointer[0]
        beta.pointer[0] = 0
        for relu in [false, true] {
            func z(_ index: Int, _ c: Int) -> Double { (at(x, index) - at(mean, c)) * at(factor, c) + at(beta, c) }
            var norm = NormKernel(
                channels: C, relu: relu ? 1 : 0, mean: mean.pointer, reciprocal: reciprocal.pointer,
                factor: factor.pointer, beta: beta.pointer)
            let y = Tensor(zeros: shape), dz = Tensor(zeros: shape), sums = Tensor(zeros: [2, channels])
            kernels.normalize(&norm, n, x.pointer, y.pointer)
            close(y, all { relu ? max(0, z($0, $1)) : z($0, $1) }, "normalized")

            kernels.norm_backward_sums(&norm, n, x.pointer, dy.pointer, dz.pointer, sums.pointer)
            func gradient(_ index: Int, _ c: Int) -> Double { relu && z(index, c) <= 0 ? 0 : at(dy, index) }
            close(dz, all(gradient), "dz")
            close(
                sums,
                column(gradient)
                    + column { gradient($0, $1) * (at(x, $0) - at(mean, $1)) * at(reciprocal, $1) }, "sums of dz")

            for accumulate in [false, true] {
                let dx = Tensor(repeating: 2, shape: shape)
                kernels.norm_backward(
                    &norm, n, slope.pointer, offset.pointer, x.pointer, dy.pointer,
                    accumulate ? UnsafePointer(dx.pointer) : nil, dx.pointer)
                close(
                    dx,
                    all {
                        at(factor, $1) * at(dy, $0) + at(slope, $1) * (at(x, $0) - at(mean, $1)) + at(offset, $1)
                            + (accumulate ? 2 : 0)
                    }, "dx")
            }
        }
    }
}
