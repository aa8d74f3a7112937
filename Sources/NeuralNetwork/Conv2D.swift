// Convolution over images. Activations are [B, H, W, C], so that the channels of a pixel are one contiguous vector.

/// Two-dimensional convolution (cross-correlation, as networks have it) with zero padding:
///
///     y[b, i, j, o] = Σ_{u, v, c} x[b, i·s + u − p, j·s + v − p, c] K[u, v, c, o] + bias[o]
///
/// - Parameters:
///   - x: [B, H, W, in].
///   - kernel: [f, f, in, out].
///   - bias: [out], or nil.
///   - stride: s.
///   - padding: p, rows and columns of zeros on every side.
/// - Returns: [B, (H + 2p − f) / s + 1, (W + 2p − f) / s + 1, out].
public func conv2D(
    _ x: Variable, _ kernel: Variable, bias: Variable? = nil, stride: Int = 1, padding: Int
) -> Variable {
    let shape = ConvolutionShape(x.shape, kernel: kernel.shape, stride: stride, padding: padding)
    guard let method = ConvolutionMethod.fastest(shape, inputGradient: x.requiresGradient) else {
        return matrixConv2D(x, kernel, bias: bias, stride: stride, padding: padding)
    }
    return fusedConv2D(x, kernel, bias: bias, stride: stride, padding: padding, method: method)
}

/// Batch normalization, ReLU and convolution, the unit that a pre-activation block is made of:
///
///     y = conv2D(max(norm(x), 0), kernel) + bias + residual
///
/// as one operation where the channels are multiples of 16. It keeps x alone: the normalized image is made when the
/// convolution reads it, image by image in the cache, and once more for the gradients.
///
/// - Parameters:
///   - x: [B, H, W, in].
///   - norm: Of `in` channels.
///   - kernel: [f, f, in, out]; zero padding keeps the size, so f is odd.
///   - bias: [out], or nil.
///   - residual: Of the result's shape, added to it; or nil.
/// - Returns: [B, ⌈H / stride⌉, ⌈W / stride⌉, out].
public func normReLUConv2D(
    _ x: Variable, norm: BatchNorm2D, kernel: Variable, bias: Variable?, stride: Int, mode: NormalizationMode,
    residual: Variable? = nil
) -> Variable {
    let padding = kernel.shape[0] / 2
    let shape = ConvolutionShape(x.shape, kernel: kernel.shape, stride: stride, padding: padding)
    precondition(kernel.shape[0] % 2 == 1, "zero padding keeps the size for odd kernels only, found \(kernel.shape)")
    if let residual {
        precondition(residual.shape == shape.output, "a residual for \(shape.output), found \(residual.shape)")
    }
    if let method = ConvolutionMethod.fastest(shape, inputGradient: true) {
        return fusedConv2D(
            x, norm: norm, kernel, bias: bias, stride: stride, padding: padding, method: method, mode: mode,
            residual: residual)
    }
    let y = matrixConv2D(norm(x, mode: mode, relu: true), kernel, bias: bias, stride: stride, padding: padding)
    return residual.map { y + $0 } ?? y
}
