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
