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

    /// The moments begin at zero.
    ///
    /// - Parameters:
    ///   - beta1: β₁, the decay per step of the moving average of the gradient, in [0, 1).
    ///   - beta2: β₂, the decay per step of the moving average of its square, in [0, 1).
    ///   - epsilon: ε, added to the root of that average. The defaults are those of the article.
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
                        beta2, Float(stepSize), Float(correction), epsilon)
                }
            }
        }
    }
}
