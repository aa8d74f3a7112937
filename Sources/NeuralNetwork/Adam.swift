import Foundation

/// Adam (Kingma, Ba 2015), without weight decay.
///
///     m ← β₁ m + (1 − β₁) g          v ← β₂ v + (1 − β₂) g²
///     x ← x − rate · (m / (1 − β₁^t)) / (√(v / (1 − β₂^t)) + ε)
public final class Adam {
    private let parameters: [NamedParameter]
    private let beta1: Float
    private let beta2: Float
    private let epsilon: Float
    private let first: [Tensor]
    private let second: [Tensor]
    /// Steps made: t.
    public var stepCount = 0

    public init(parameters: [NamedParameter], beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8) {
        self.parameters = parameters
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        first = parameters.map { Tensor(zeros: $0.variable.shape) }
        second = parameters.map { Tensor(zeros: $0.variable.shape) }
    }

    /// The moments, for a checkpoint: `<parameter>.m` and `<parameter>.v`, each of the parameter's shape.
    public var state: [(name: String, tensor: Tensor)] {
        zip(parameters, first).map { ("\($0.name).m", $1) } + zip(parameters, second).map { ("\($0.name).v", $1) }
    }

    /// Moves every parameter by its gradient. A parameter without a gradient counts as having gradient 0.
    public func step(learningRate: Double) {
        stepCount += 1
        let stepSize = learningRate / (1 - pow(Double(beta1), Double(stepCount)))
        let correction = 1 / (1 - pow(Double(beta2), Double(stepCount))).squareRoot()
        Profile.measure("Adam", floats: 7 * parameters.reduce(0) { $0 + $1.variable.value.count }) {
            for (parameter, (m, v)) in zip(parameters, zip(first, second)) {
                let x = parameter.variable.value, g = parameter.variable.gradientOrZeros
                Parallel.chunks(of: x.count, grain: 1 << 14) { range, _ in
                    let at = range.lowerBound
                    Kernels.current.adam(
                        Int64(range.count), x.pointer + at, g.pointer + at, m.pointer + at, v.pointer + at, beta1,
                        beta2,
                        Float(stepSize), Float(correction), epsilon)
                }
            }
        }
    }
}

/// Scales all gradients by one factor so that their joint Euclidean norm is at most `maximum` (deviation
/// `clipByGlobalNorm`).
///
/// - Returns: The norm before scaling.
@discardableResult
public func clipGlobalNorm(_ parameters: [NamedParameter], maximum: Double) -> Double {
    let gradients = parameters.compactMap(\.variable.gradient)
    var total = 0.0
    for gradient in gradients {
        // In blocks: a single float sum over millions of squares would lose digits.
        let block = 1 << 14, blocks = (gradient.count + block - 1) / block
        var sums = [Double](repeating: 0, count: blocks)
        sums.withUnsafeMutableBufferPointer { sums in
            let sums = sums
            Parallel.loop(blocks) { index in
                let part = gradient.pointer + index * block
                sums[index] = Double(Kernels.current.dot(Int64(min(block, gradient.count - index * block)), part, part))
            }
        }
        total += sums.reduce(0, +)
    }
    let norm = total.squareRoot()
    if norm > maximum {
        let factor = Float(maximum / norm)
        for gradient in gradients {
            Parallel.chunks(of: gradient.count, grain: 1 << 14) { range, _ in
                for n in range { gradient.pointer[n] *= factor }
            }
        }
    }
    return norm
}
