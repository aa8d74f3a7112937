/// Batch normalization of the channels of images (Ioffe, Szegedy 2015), over all pixels of all images:
///
///     y = γ (x − mean) / √(variance + ε) + β
///
/// Training uses the mean and biased variance of the batch, all of its shards together, and moves the running ones
/// toward the batch's mean and unbiased variance by the fraction `momentum`, as PyTorch does. Evaluation uses the
/// running ones.
///
/// | symbol | name | shape |
/// |---|---|---|
/// | γ, β | `gamma`, `beta` | [C] |
/// | | `runningMean`, `runningVariance` | [C] |
public final class BatchNorm2D: Module {
    public let gamma: Variable
    public let beta: Variable
    /// State, not learned: 0 at first.
    public let runningMean: Tensor
    /// State, not learned: 1 at first.
    public let runningVariance: Tensor
    public let momentum: Float
    public let epsilon: Float

    /// γ = 1 and β = 0.
    public convenience init(channels: Int, momentum: Float = 0.1, epsilon: Float = 1e-5) {
        self.init(
            gamma: Initializer.constant(1, [channels]), beta: Initializer.constant(0, [channels]), momentum: momentum,
            epsilon: epsilon)
    }

    /// Given γ and β.
    public init(gamma: Variable, beta: Variable, momentum: Float = 0.1, epsilon: Float = 1e-5) {
        precondition(gamma.shape.count == 1 && beta.shape == gamma.shape, "gamma \(gamma.shape), beta \(beta.shape)")
        self.gamma = gamma
        self.beta = beta
        runningMean = Tensor(zeros: gamma.shape)
        runningVariance = Tensor(repeating: 1, shape: gamma.shape)
        self.momentum = momentum
        self.epsilon = epsilon
    }

    public var parameters: [NamedParameter] { [NamedParameter("gamma", gamma), NamedParameter("beta", beta)] }

    /// The running statistics, which a checkpoint holds besides the parameters.
    public var buffers: [(name: String, tensor: Tensor)] {
        [("runningMean", runningMean), ("runningVariance", runningVariance)]
    }

    /// The statistics to normalize x by. In training they move the running ones.
    func normalization(of x: Variable, mode: NormalizationMode) -> Normalization {
        let channels = gamma.value.count
        precondition(
            x.shape.count == 4 && x.shape[3] == channels && x.value.count > 0,
            "batch normalization of \(channels) channels takes [B, H, W, \(channels)], found \(x.shape)")
        let moments: ChannelMoments, exchange = mode == .training ? CurrentShard.normalizationExchange : nil
        switch mode {
        case .training:
            let own = x.channelMoments ?? ChannelMoments(of: x.value)
            moments = exchange.map { ChannelMoments(gatheredFrom: own, by: $0) } ?? own
            precondition(
                moments.count > 1,
                "batch normalization in training needs two pixels of a channel or more, found \(x.shape)")
            let unbiased = Double(moments.count) / Double(moments.count - 1)
            for c in 0..<channels {
                runningMean.pointer[c] += momentum * (Float(moments.mean[c]) - runningMean.pointer[c])
                runningVariance.pointer[c] +=
                    momentum
                    * (Float(moments.variance[c] * unbiased) - runningVariance.pointer[c])
            }
        case .evaluation:
            moments = ChannelMoments(
                mean: runningMean.floats.map(Double.init), variance: runningVariance.floats.map(Double.init), count: 0)
        }
        return Normalization(
            moments: moments, isBatch: mode == .training, exchange: exchange, gamma: gamma.value, beta: beta.value,
            epsilon: epsilon)
    }

    /// Normalizes x, in training by the batch's statistics, which also update the running ones.
    ///
    /// - Parameters:
    ///   - x: [B, H, W, C].
    ///   - relu: Whether max(·, 0) follows, in the same pass.
    /// - Returns: [B, H, W, C].
    /// - Precondition: In training a channel has at least two elements.
    public func callAsFunction(_ x: Variable, mode: NormalizationMode, relu: Bool = false) -> Variable {
        let norm = normalization(of: x, mode: mode), kernels = Kernels.current, channels = norm.channels
        let images = x.shape[0], count = x.value.count / images, rows = Int64(count / channels)
        let y = Tensor(uninitialized: x.shape)
        norm.withKernel(relu: relu) { kernel in
            Parallel.chunks(of: images) { range, _ in
                for image in range {
                    kernels.normalize(kernel, rows, x.value.pointer + image * count, y.pointer + image * count)
                }
            }
        }
        return Variable(y, operands: [x, gamma, beta]) { dY in
            // dL/dz of the value before the ReLU, and its sums.
            let dZ = Tensor(uninitialized: x.shape), sums = Tensor(uninitialized: [images, 2, channels])
            norm.withKernel(relu: relu) { kernel in
                Parallel.chunks(of: images) { range, _ in
                    for image in range {
                        let at = image * count
                        kernels.norm_backward_sums(
                            kernel, rows, x.value.pointer + at, dY.pointer + at, dZ.pointer + at,
                            sums.pointer + image * 2 * channels)
                    }
                }
            }
            norm.propagate(dZ, sums: sums, x: x, gamma: self.gamma, beta: self.beta)
        }
    }
}
