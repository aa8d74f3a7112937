import NeuralNetwork
import TestSupport
import Testing

@Suite struct InitializerTests {
    private func block(_ W: Tensor, _ gate: Int, of blocks: Int) -> [Float] {
        let width = W.shape[1], columns = width / blocks, values = W.floats
        return (0..<W.shape[0]).flatMap { (r: Int) -> ArraySlice<Float> in
            let start = r * width + gate * columns
            return values[start..<start + columns]
        }
    }

    /// Products of two rows collect `length` roundings of terms 1/length: 1e-5 is a hundred times that, and a hundredth
    /// of what a single pass of Gram and Schmidt leaves in an unlucky square matrix.
    @Test(arguments: [(1, 1), (1, 7), (7, 1), (2, 2), (64, 64), (33, 150), (150, 33), (127, 128)], [1, 4])
    func rowsOrColumnsOfEveryGateAreOrthonormal(extents: (Int, Int), blocks: Int) {
        let (rows, columns) = extents
        var random = RandomStream(seed: 30, stream: 0)
        let W = Initializer.orthogonal(rows: rows, columns: columns, blocks: blocks, random: &random)
        #expect(W.shape == [rows, blocks * columns] && W.requiresGradient)
        for gate in 0..<blocks {
            let found = orthogonalityError(block(W.value, gate, of: blocks), rows: rows, columns: columns)
            #expect(found <= 1e-5, "gate \(gate): \(found)")
        }
        if blocks > 1 && rows * columns > 1 {
            #expect(block(W.value, 0, of: blocks) != block(W.value, 1, of: blocks), "gates are drawn one by one")
        }
    }

    @Test func aSeedDeterminesTheMatrixAndTheStreamMovesOn() {
        func draw(_ seed: UInt64) -> ([Float], [Float]) {
            var random = RandomStream(seed: seed, stream: 7)
            let first = Initializer.orthogonal(rows: 20, columns: 30, blocks: 2, random: &random)
            return (
                first.value.floats,
                Initializer.orthogonal(rows: 20, columns: 30, blocks: 2, random: &random).value.floats
            )
        }
        let (first, second) = draw(1)
        #expect(draw(1) == (first, second))
        #expect(first != second && draw(2).0 != first)
    }

    /// In a process of its own, where the number of threads may be changed.
    @Test func theMatrixDoesNotDependOnTheNumberOfThreads() async {
        await #expect(processExitsWith: .success) {
            var matrices: Set<[Float]> = []
            for threads in [1, 2, 4] {
                try ComputeEnvironment.configure(threads: threads)
                var random = RandomStream(seed: 31, stream: 0)
                let W = Initializer.orthogonal(rows: 90, columns: 90, blocks: 4, random: &random)
                matrices.insert(W.value.floats)
            }
            #expect(matrices.count == 1)
        }
    }

    /// Of a uniformly distributed orthogonal matrix every element has mean 0 and variance 1/n. Without the sign of the
    /// triangular factor (Mezzadri 2007) the diagonal would have a mean away from 0.
    @Test func elementsOverManyMatricesHaveTheMomentsOfTheUniformDistribution() {
        let n = 4, draws = 4000
        var random = RandomStream(seed: 32, stream: 0)
        var mean = [Double](repeating: 0, count: n * n), square = mean, trace = 0.0, traceSquare = 0.0
        for _ in 0..<draws {
            let Q = Initializer.orthogonal(rows: n, columns: n, random: &random).value.floats.map(Double.init)
            for index in 0..<n * n {
                mean[index] += Q[index] / Double(draws)
                square[index] += Q[index] * Q[index] / Double(draws)
            }
            let t = (0..<n).reduce(0.0) { $0 + Q[$1 * n + $1] }
            trace += t / Double(draws)
            traceSquare += t * t / Double(draws)
        }
        // E q² = 1/n; var q² = 3 / (n (n + 2)) − 1/n². For the trace E t = 0, E t² = 1, E t⁴ = 3 (Diaconis, Shahshahani
        // 1994). Five standard deviations of a mean over the draws.
        let N = Double(n), D = Double(draws), squareVariance = 3 / (N * (N + 2)) - 1 / (N * N)
        for index in 0..<n * n {
            #expect(abs(mean[index]) <= 5 * (1 / (N * D)).squareRoot(), "mean of element \(index): \(mean[index])")
            #expect(
                abs(square[index] - 1 / N) <= 5 * (squareVariance / D).squareRoot(),
                "variance of element \(index): \(square[index])")
        }
        #expect(abs(trace) <= 5 * (1 / D).squareRoot() && abs(traceSquare - 1) <= 5 * (2 / D).squareRoot())
    }

    @Test func constantAndNormalParametersAreWhatTheySay() {
        let constant = Initializer.constant(0.25, [2, 3])
        #expect(constant.shape == [2, 3] && constant.requiresGradient)
        #expect(constant.value.floats == [Float](repeating: 0.25, count: 6))

        var random = RandomStream(seed: 33, stream: 0), again = random
        let normal = Initializer.normal(standardDeviation: 0.01, [100, 200], random: &random)
        #expect(normal.shape == [100, 200] && normal.requiresGradient)
        #expect(normal.value.floats == again.normal(20_000).map { $0 * 0.01 })
        // Five standard deviations of the estimate.
        let variance = normal.value.floats.reduce(0.0) { $0 + Double($1) * Double($1) } / 20_000
        #expect(abs(variance / 1e-4 - 1) <= 5 * (2.0 / 20_000).squareRoot())
    }

    @Test func aNewLinearLayerHasOrthogonalWeightsAndNoBias() {
        var random = RandomStream(seed: 34, stream: 0)
        let layer = Linear(inputs: 30, outputs: 12, random: &random)
        #expect(layer.W.shape == [30, 12] && layer.b.value.floats == [Float](repeating: 0, count: 12))
        #expect(orthogonalityError(layer.W.value.floats, rows: 30, columns: 12) <= 1e-5)
        #expect(layer.parameters.map(\.name) == ["W", "b"] && layer.parameterCount == 30 * 12 + 12)
        #expect(layer.parameters(under: "softmax").map(\.name) == ["softmax.W", "softmax.b"])
    }
}
