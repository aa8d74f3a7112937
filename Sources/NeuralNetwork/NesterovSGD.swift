/// Stochastic gradient descent with Nesterov momentum, in the form that frameworks use (Sutskever et al. 2013, as
/// rewritten for PyTorch's and Torch's `sgd`):
///
///     v ← μ v + g          x ← x − rate · (g + μ v)
///
/// L2 regularization is no part of it: `l2Penalty` adds to the loss, so that it reaches generated kernels too.
public final class NesterovSGD {
    private let parameters: [NamedParameter]
    private let momentum: Float
    private let velocities: [Tensor]

    /// - Parameter momentum: μ.
    public init(parameters: [NamedParameter], momentum: Float = 0.9) {
        self.parameters = parameters
        self.momentum = momentum
        velocities = parameters.map { Tensor(zeros: $0.variable.shape) }
    }

    /// The velocities, for a checkpoint: `<parameter>.velocity`, each of the parameter's shape.
    public var state: [(name: String, tensor: Tensor)] {
        zip(parameters, velocities).map { ("\($0.name).velocity", $1) }
    }

    /// Moves every parameter by its gradient. A parameter without a gradient counts as having gradient 0.
    public func step(learningRate: Double) {
        let rate = Float(learningRate), momentum = momentum
        Profile.measure("Nesterov momentum", floats: 5 * parameters.reduce(0) { $0 + $1.variable.value.count }) {
            for (parameter, v) in zip(parameters, velocities) {
                let x = parameter.variable.value, g = parameter.variable.gradientOrZeros
                Parallel.chunks(of: x.count, grain: 1 << 14) { range, _ in
                    let (x, g, v) = (x.pointer, g.pointer, v.pointer)
                    for n in range {
                        let velocity = momentum * v[n] + g[n]
                        v[n] = velocity
                        x[n] -= rate * (g[n] + momentum * velocity)
                    }
                }
            }
        }
    }
}
