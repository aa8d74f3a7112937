// Convolution over images. Activations are [B, H, W, C], so that the channels of a pixel are one contiguous vector.

/// The extents of a convolution with a square kernel.
struct ConvolutionShape: CustomStringConvertible {
    let batch, height, width, inputs: Int
    let outputs, size, stride, padding: Int

    /// - Precondition: x is [B, H, W, in], the kernel [f, f, in, out], and at least one output pixel results.
    init(_ x: [Int], kernel: [Int], stride: Int, padding: Int) {
        precondition(
            x.count == 4 && kernel.count == 4 && kernel[0] == kernel[1] && kernel[2] == x[3],
            "a convolution takes x [B, H, W, in] and a kernel [f, f, in, out], found \(x) and \(kernel)")
        precondition(stride > 0 && padding >= 0, "stride \(stride), padding \(padding)")
        (batch, height, width, inputs) = (x[0], x[1], x[2], x[3])
        (size, outputs) = (kernel[0], kernel[3])
        (self.stride, self.padding) = (stride, padding)
        precondition(
            height + 2 * padding >= size && width + 2 * padding >= size,
            "a kernel \(kernel) does not fit into \(x) padded by \(padding)")
    }

    var outputHeight: Int { (height + 2 * padding - size) / stride + 1 }
    var outputWidth: Int { (width + 2 * padding - size) / stride + 1 }
    var output: [Int] { [batch, outputHeight, outputWidth, outputs] }
    /// Elements of one image.
    var inputCount: Int { height * width * inputs }
    var outputCount: Int { pixels * outputs }
    /// Output pixels of one image.
    var pixels: Int { outputHeight * outputWidth }
    /// Inputs that one output pixel sees: f · f · in.
    var patch: Int { size * size * inputs }
    var description: String {
        "\(size) × \(size), \(inputs) → \(outputs) at \(outputHeight) × \(outputWidth)"
    }
    /// Floating-point operations of the convolution, by its definition.
    var flops: Int { 2 * batch * pixels * patch * outputs }

    /// Calls `body` for every contiguous run of inputs under the kernel: `count` elements from `input` in the image,
    /// and from `column` in the matrix of patches [pixels, patch].
    func runs(_ body: (_ input: Int, _ column: Int, _ count: Int) -> Void) {
        for i in 0..<outputHeight {
            for j in 0..<outputWidth {
                let left = j * stride - padding, first = max(0, -left), last = min(size, width - left)
                guard first < last else { continue }
                for u in 0..<size {
                    let row = i * stride + u - padding
                    guard row >= 0 && row < height else { continue }
                    body(
                        (row * width + left + first) * inputs,
                        ((i * outputWidth + j) * size * size + u * size + first) * inputs, (last - first) * inputs)
                }
            }
        }
    }
}

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

/// Batch normalisation, ReLU and convolution, the unit that a pre-activation block is made of:
///
///     y = conv2D(max(norm(x), 0), kernel) + bias + residual
///
/// as one operation where the channels are multiples of 16. It keeps x alone: the normalised image is made when the convolution
/// reads it, image by image in the cache, and once more for the gradients.
///
/// - Parameters:
///   - x: [B, H, W, in].
///   - norm: Of `in` channels.
///   - kernel: [f, f, in, out]; zero padding keeps the size, so f is odd.
///   - bias: [out], or nil.
///   - residual: Of the result's shape, added to it; or nil.
/// - Returns: [B, ⌈H / stride⌉, ⌈W / stride⌉, out].
public func normReLUConv2D(
    _ x: Variable, norm: BatchNorm2D, kernel: Variable, bias: Variable?, stride: Int, mode: NormalisationMode,
    residual: Variable? = nil
) -> Variable {
    let padding = kernel.shape[0] / 2
    let shape = ConvolutionShape(x.shape, kernel: kernel.shape, stride: stride, padding: padding)
    precondition(kernel.shape[0] % 2 == 1, "zero padding keeps the size for odd kernels only, found \(kernel.shape)")
    precondition(
        residual == nil || residual!.shape == shape.output,
        "a residual for \(shape.output), found \(residual!.shape)")
    if let method = ConvolutionMethod.fastest(shape, inputGradient: true) {
        return fusedConv2D(
            x, norm: norm, kernel, bias: bias, stride: stride, padding: padding, method: method, mode: mode,
            residual: residual)
    }
    let y = matrixConv2D(norm(x, mode: mode, relu: true), kernel, bias: bias, stride: stride, padding: padding)
    return residual.map { y + $0 } ?? y
}

/// `conv2D` for any kernel: the patches under the kernel as the rows of a matrix, multiplied by the kernel read as
/// [f · f · in, out]. The reference of the other algorithms.
package func matrixConv2D(
    _ x: Variable, _ kernel: Variable, bias: Variable? = nil, stride: Int = 1, padding: Int
) -> Variable {
    let shape = ConvolutionShape(x.shape, kernel: kernel.shape, stride: stride, padding: padding)
    precondition(bias == nil || bias!.shape == [shape.outputs], "a bias for \(kernel.shape), found \(bias!.shape)")
    let (pixels, patch, outputs) = (shape.pixels, shape.patch, shape.outputs)
    let y = Tensor(uninitialized: shape.output), chunks = Parallel.split(shape.batch).count

    /// The patches of an image as a matrix [pixels, patch].
    func gather(_ image: Int, _ patches: FloatPointer) {
        let source = x.value.pointer + image * shape.inputCount
        if shape.padding > 0 { patches.update(repeating: 0, count: pixels * patch) }
        shape.runs { input, column, count in (patches + column).update(from: source + input, count: count) }
    }

    let patches = Tensor(uninitialized: [chunks, pixels * patch])
    Profile.measure(
        "convolution \(shape) by patches, forward", floats: shape.batch * (shape.inputCount + shape.outputCount)
    ) {
        Parallel.chunks(of: shape.batch) { images, chunk in
            let matrix = patches.pointer + chunk * pixels * patch
            for image in images {
                let out = y.pointer + image * shape.outputCount
                gather(image, matrix)
                if let bias {
                    for pixel in 0..<pixels { (out + pixel * outputs).update(from: bias.value.pointer, count: outputs) }
                }
                Blas.gemm(
                    m: pixels, n: outputs, k: patch, a: matrix, lda: patch, b: kernel.value.pointer, ldb: outputs,
                    beta: bias == nil ? 0 : 1, c: out, ldc: outputs)
            }
        }
    }

    return Variable(y, operands: [x, kernel] + (bias.map { [$0] } ?? [])) { dY in
        let sums = ChunkSums(
            chunks: chunks,
            counts: [kernel.requiresGradient ? patch * outputs : 0, bias?.requiresGradient == true ? outputs : 0])
        let patches = Tensor(uninitialized: [chunks, pixels * patch])
        func propagate(_ dX: Tensor?, _ accumulate: Bool) {
            if let dX, !accumulate { dX.fill(0) }
            Profile.measure(
                "convolution \(shape) by patches, backward",
                floats: shape.batch * (shape.outputCount + (dX == nil ? 1 : 2) * shape.inputCount)
            ) {
                Parallel.chunks(of: shape.batch) { images, chunk in
                    let matrix = patches.pointer + chunk * pixels * patch
                    for image in images {
                        let dy = dY.pointer + image * shape.outputCount
                        if bias?.requiresGradient == true {
                            Kernels.current.scatter_add_rows(
                                Int64(pixels), Int64(outputs), dy, Int64(outputs), nil, nil, sums[chunk, 1],
                                Int64(outputs))
                        }
                        if kernel.requiresGradient {
                            gather(image, matrix)
                            Blas.gemm(
                                transposeA: true, m: patch, n: outputs, k: pixels, a: matrix, lda: patch, b: dy,
                                ldb: outputs, beta: 1, c: sums[chunk, 0], ldc: outputs)
                        }
                        guard let dX else { continue }
                        Blas.gemm(
                            transposeB: true, m: pixels, n: patch, k: outputs, a: dy, lda: outputs,
                            b: kernel.value.pointer, ldb: outputs, beta: 0, c: matrix, ldc: patch)
                        let target = dX.pointer + image * shape.inputCount
                        shape.runs { input, column, count in
                            Kernels.current.axpy(Int64(count), 1, matrix + column, target + input)
                        }
                    }
                }
            }
        }
        if x.requiresGradient { x.addGradient { propagate($0, $1) } } else { propagate(nil, false) }
        if kernel.requiresGradient { sums.add(0, to: kernel) }
        if let bias { sums.add(1, to: bias) }
    }
}
