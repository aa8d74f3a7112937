/// A batch normalization whose statistics are known: what a pass over pixels needs, forward and backward.
///
///     z = factor (x − mean) + β          factor = γ · reciprocal, reciprocal = 1 / √(variance + ε)
struct Normalization {
    let mean, reciprocal, factor, beta: Tensor
    /// Pixels that the statistics were taken from, to carry gradients through them; nil where they are constants.
    let count: Int?
    /// The shards that the statistics were taken from together; nil for the images at hand alone.
    let exchange: (any ShardExchange)?

    var channels: Int { mean.count }

    init(
        moments: ChannelMoments, isBatch: Bool, exchange: (any ShardExchange)?, gamma: Tensor, beta: Tensor,
        epsilon: Float
    ) {
        // The reciprocal of an infinite variance would be 0, and all values β: finite, as if nothing had happened.
        let greatest = Double(Float.greatestFiniteMagnitude)
        let reciprocals = moments.variance.map { $0 <= greatest ? 1 / ($0 + Double(epsilon)).squareRoot() : Double.nan }
        let shape = [moments.mean.count]
        mean = Tensor(moments.mean.map { Float($0) }, shape: shape)
        reciprocal = Tensor(reciprocals.map { Float($0) }, shape: shape)
        factor = Tensor(zip(reciprocals, gamma.floats).map { Float($0 * Double($1)) }, shape: shape)
        self.beta = beta
        self.exchange = exchange
        count = isBatch ? moments.count : nil
    }

    /// Calls `body` with the normalization in the form that the kernels take.
    func withKernel<R>(relu: Bool, _ body: (UnsafePointer<NormKernel>) -> R) -> R {
        defer { withExtendedLifetime(self) {} }
        return withUnsafePointer(
            to: NormKernel(
                channels: Int64(channels), relu: relu ? 1 : 0, mean: mean.pointer, reciprocal: reciprocal.pointer,
                factor: factor.pointer, beta: beta.pointer), body)
    }

    /// Carries dL/dz of all pixels to γ, β and x:
    ///
    ///     dγ = Σ dz x̂          dβ = Σ dz          dx = factor (dz − Σ dz / n − x̂ Σ dz x̂ / n)
    ///
    /// where the two sums of dx are left out if the statistics are constants.
    ///
    /// - Parameters:
    ///   - dZ: Of x's shape. Its memory may become x's gradient.
    ///   - sums: Σ dz and Σ dz x̂ of each part of the batch, [parts, 2, C].
    func propagate(_ dZ: Tensor, sums: Tensor, x: Variable, gamma: Variable, beta: Variable) {
        let channels = channels
        var totals = [Double](repeating: 0, count: 2 * channels)
        for part in 0..<sums.shape[0] {
            for n in 0..<2 * channels { totals[n] += Double(sums.pointer[part * 2 * channels + n]) }
        }
        beta.addGradient(Tensor(totals[..<channels].map { Float($0) }, shape: [channels]))
        gamma.addGradient(Tensor(totals[channels...].map { Float($0) }, shape: [channels]))
        guard x.requiresGradient else { return }
        // Pixels of every shard lie behind the statistics; γ and β have a gradient of their own in each.
        if let exchange { totals = exchange.sum(totals) }
        let slope = Tensor(zeros: [channels]), offset = Tensor(zeros: [channels])
        if let count {
            for c in 0..<channels {
                let factor = Double(factor.pointer[c]) / Double(count)
                offset.pointer[c] = Float(-factor * totals[c])
                slope.pointer[c] = Float(-factor * Double(reciprocal.pointer[c]) * totals[channels + c])
            }
        }
        // x's gradient is dZ, or what is there already, and changes once more.
        let isFirst = x.gradient == nil
        if isFirst { x.giveGradient(dZ) }
        let kernels = Kernels.current, value = x.value
        x.changeGradient(
            DeferredGradientChange(reads: isFirst ? [value] : [value, dZ]) { gradient, elements, dX in
                withKernel(relu: false) { norm in
                    // In blocks that stay in the cache while the kernel goes over their channels.
                    let block = max(1, 4096 / channels) * channels
                    for at in stride(from: elements.lowerBound, to: elements.upperBound, by: block) {
                        kernels.norm_backward(
                            norm, Int64(min(block, elements.upperBound - at) / channels), slope.pointer, offset.pointer,
                            value.pointer + at, (isFirst ? gradient : dZ).pointer + at,
                            isFirst ? nil : UnsafePointer(gradient.pointer + at), dX + at - elements.lowerBound)
                    }
                }
            })
    }
}

extension ChannelMoments {
    /// Statistics of the whole from those of its parts (Chan, Golub, LeVeque 1979), always in the same order.
    ///
    /// - Parameters:
    ///   - parts: Means and sums of squared differences from them, [parts, 2, C].
    ///   - counts: Pixels of each part.
    init(parts: Tensor, counts: [Int]) {
        let channels = parts.shape[2]
        self.init(channels: channels, counts: counts) { part, c in
            let values = parts.pointer + part * 2 * channels
            return (Double(values[c]), Double(values[channels + c]))
        }
    }

    /// Statistics of the whole batch from those of a shard and what the others give.
    init(gatheredFrom own: ChannelMoments, by exchange: any ShardExchange) {
        let channels = own.mean.count
        let shards = exchange.gather(own.mean + own.variance + [Double(own.count)])
        let counts = shards.map { Int($0[2 * channels]) }
        self.init(channels: channels, counts: counts) { shard, c in
            (shards[shard][c], shards[shard][channels + c] * Double(counts[shard]))
        }
    }

    /// - Parameter part: Mean and sum of squared differences from it, of a part's channel.
    private init(channels: Int, counts: [Int], part: (_ part: Int, _ channel: Int) -> (mean: Double, squares: Double)) {
        var mean = [Double](repeating: 0, count: channels), squares = mean, total = 0
        for (index, count) in counts.enumerated() {
            let all = total + count
            for c in 0..<channels {
                let values = part(index, c), difference = values.mean - mean[c]
                mean[c] += difference * Double(count) / Double(all)
                squares[c] +=
                    values.squares + difference * difference * Double(total) * Double(count) / Double(all)
            }
            total = all
        }
        self.init(mean: mean, variance: squares.map { $0 < 0 ? 0 : $0 / Double(total) }, count: total)
    }

    /// Statistics of the last axis of x, in one pass over it.
    init(of x: Tensor) {
        let channels = x.shape.last!, rows = x.count / channels, block = max(1, 16384 / channels)
        let blocks = (rows + block - 1) / block, parts = Tensor(uninitialized: [blocks, 2, channels])
        let kernels = Kernels.current
        func count(_ part: Int) -> Int { min(block, rows - part * block) }
        Parallel.chunks(of: blocks) { range, _ in
            for part in range {
                let out = parts.pointer + part * 2 * channels
                kernels.channel_moments(
                    Int64(count(part)), Int64(channels), x.pointer + part * block * channels, out, out + channels)
            }
        }
        self.init(parts: parts, counts: (0..<blocks).map(count))
    }
}
