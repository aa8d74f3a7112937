/// Convolution 3 × 3 with stride 1 by Winograd's minimal filtering F(2 × 2, 3 × 3) (Lavin, Gray 2016): 16
/// multiplications for four outputs in place of 36.
///
/// It rounds otherwise than the definition does, by no more: the transforms add a few numbers of one size.
struct WinogradConvolution: ConvolutionAlgorithm {
    let shape: ConvolutionShape
    let kernels: VectorKernels
    let gradientBorder = 1
    /// Outputs are computed in tiles of two rows.
    let rowGrain = 2

    /// Tiles that are worked on together: enough to read the transformed kernel for, few enough for the second-level
    /// cache.
    private static let strip = 64
    /// Positions of a transformed tile, and numbers of a transformed kernel for each pair of channels.
    private static let positions = 16

    static func fits(_ shape: ConvolutionShape) -> Bool {
        shape.size == 3 && shape.stride == 1 && shape.padding == 1 && shape.inputs % 16 == 0 && shape.outputs % 16 == 0
            && shape.height % 2 == 0 && shape.width % 2 == 0
    }

    /// The extents for images of `rows` rows.
    private func tiles(rows: Int, inputs: Int, outputs: Int) -> WinogradKernel {
        let columns = shape.width / 2
        return WinogradKernel(
            rows: Int64(rows / 2), columns: Int64(columns), inputs: Int64(inputs), outputs: Int64(outputs),
            inputRow: Int64((shape.width + 2) * inputs), outputRow: Int64(shape.width * outputs),
            strip: Int64(max(1, Self.strip / columns)))
    }

    var scratchCount: Int {
        var extents = tiles(rows: shape.height, inputs: shape.inputs, outputs: shape.outputs)
        return Int(kernels.winograd_scratch(&extents))
    }

    var kernelGradientCount: Int { Self.positions * shape.inputs * shape.outputs }

    func pack(_ kernel: Tensor, transposed: Bool) -> Tensor {
        let packed = Tensor(uninitialized: [kernelGradientCount]), (from, to) = (shape.inputs, shape.outputs)
        kernels.winograd_pack(
            Int64(transposed ? to : from), Int64(transposed ? from : to), kernel.pointer, transposed ? 1 : 0,
            packed.pointer)
        return packed
    }

    func forward(
        images: Int, rows: Int, _ padded: FloatPointer, _ packed: FloatPointer, bias: FloatPointer?,
        residual: FloatPointer?, _ y: FloatPointer, scratch: FloatPointer
    ) {
        var extents = tiles(rows: rows, inputs: shape.inputs, outputs: shape.outputs)
        kernels.winograd(
            &extents, Int64(images), padded, Int64(paddedCount), packed, bias, residual, y, Int64(shape.outputCount),
            scratch)
    }

    func inputGradient(
        images: Int, _ padded: FloatPointer, _ packed: FloatPointer, accumulate: Bool, _ dx: FloatPointer,
        scratch: FloatPointer
    ) {
        var extents = tiles(rows: shape.height, inputs: shape.outputs, outputs: shape.inputs)
        kernels.winograd(
            &extents, Int64(images), padded, Int64(paddedGradientCount), packed, nil, accumulate ? dx : nil, dx,
            Int64(shape.inputCount), scratch)
    }

    func kernelGradient(
        images: Int, _ padded: FloatPointer, _ dy: FloatPointer, _ sums: FloatPointer, scratch: FloatPointer
    ) {
        var extents = tiles(rows: shape.height, inputs: shape.inputs, outputs: shape.outputs)
        kernels.winograd_weights(
            &extents, Int64(images), padded, Int64(paddedCount), dy, Int64(shape.outputCount), sums, scratch)
    }

    func addKernelGradient(_ sums: FloatPointer, to gradient: FloatPointer) {
        kernels.winograd_kernel_gradient(Int64(shape.inputs * shape.outputs), sums, gradient)
    }
}
