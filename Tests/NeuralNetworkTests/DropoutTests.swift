import NeuralNetwork
import Testing

@Suite struct DropoutTests {
    /// More than two of the blocks that `dropout` works through, and a tail.
    private let count = 2 * 4096 + 37

    @Test func forwardAndBackwardUseOneMask() {
        var random = RandomStream(seed: 40, stream: 0, position: 11)
        let mask = DropoutMask(keep: 0.75, count: count, random: &random), factors = mask.tensor([count]).floats
        let values = (0..<count).map { Float($0 % 13 - 6) }, seed = (0..<count).map { Float($0 % 7 - 3) }
        let x = Variable(Tensor(values, shape: [count]), requiresGradient: true)
        for uses in [Float(1), 2] {
            let y = dropout(x, mask)
            #expect(y.value.floats == zip(values, factors).map { $0 * $1 })
            y.backward(seed: Tensor(seed, shape: [count]))
            #expect(x.gradient?.floats == zip(seed, factors).map { uses * ($0 * $1) })
        }
        #expect(factors.contains(0) && factors.contains(1 / 0.75))
    }

    @Test func keepProbabilityOneChangesNothing() {
        var random = RandomStream(seed: 41, stream: 0)
        let values = (0..<count).map { Float($0) }, x = Variable(Tensor(values, shape: [count]))
        let y = dropout(x, DropoutMask(keep: 1, count: count, random: &random))
        #expect(y.value.floats == values)
    }

    @Test func aGivenMaskMultiplies() {
        let x = Variable(Tensor([1, 2, 3, 4], shape: [2, 2]), requiresGradient: true)
        let y = dropout(x, DropoutMask(factors: Tensor([0, 2, 0, -1], shape: [2, 2])))
        #expect(y.shape == [2, 2] && y.value.floats == [0, 4, 0, -4])
        y.backward(seed: Tensor([5, 5, 5, 5], shape: [2, 2]))
        #expect(x.gradient?.floats == [0, 10, 0, -5])
    }
}
