/// Convolution 3 × 3 with stride 1 by Winograd's minimal filtering F(4 × 4, 3 × 3) (Lavin, Gray 2016): 36
/// multiplications for 16 outputs in place of 144.
///
/// The transforms add to the rounding error: it is two to three times that of the definition, about 1e-6 of the
/// result's standard deviation with 64 channels.
struct WinogradConvolution: ConvolutionAlgorithm {
    let shape: ConvolutionShape
    let kernels: VectorKernels
    let gradientBorder = 1
    /// Outputs are computed in tiles of 4 × 4.
    let rowGrain = tileSide

    private static let tileSide = 4
    /// Positions of a transformed tile, and numbers of a transformed kernel for each pair of channels.
    private static let positions = 36

    static func fits(_ shape: ConvolutionShape) -> Bool {
        shape.size == 3 && shape.stride == 1 && shape.padding == 1 && shape.inputs % 16 == 0 && shape.outputs % 16 == 0
            && shape.height % tileSide == 0 && shape.width % tileSide == 0
    }

    /// Images of 32 tiles: enough to read and write the sums of the kernel's gradient for, few enough for the
    /// second-level cache.
    var group: Int { max(1, 32 * Self.tileSide * Self.tileSide / shape.pixels) }

    /// The extents for images of `rows` rows.
    private func tiles(rows: Int, inputs: Int, outputs: Int) -> WinogradExtents {
        let columns = shape.width / Self.tileSide
        return WinogradExtents(
            rows: Int64(rows / Self.tileSide), columns: Int64(columns), inputs: Int64(inputs), outputs: Int64(outputs),
            inputRow: Int64((shape.width + 2) * inputs), outputRow: Int64(shape.width * outputs))
    }

    var scratchCount: Int {
        var extents = tiles(rows: shape.height, inputs: shape.inputs, outputs: shape.outputs)
        return Int(kernels.winograd_scratch(&extents))
    }

    var kernelGradientParts: Int { shape.inputs * shape.outputs }
    var kernelGradientCount: Int { Self.positions * kernelGradientParts }

    func pack(_ kernel: Tensor, transposed: Bool) -> Tensor {
        let packed = Tensor(uninitialized: [kernelGradientCount])
        let (from, to) = transposed ? (shape.outputs, shape.inputs) : (shape.inputs, shape.outputs)
        Parallel.chunks(of: from) { range, _ in
            kernels.winograd_pack(
                Int64(from), Int64(to), kernel.pointer, transposed ? 1 : 0, Int64(range.lowerBound),
                Int64(range.upperBound), packed.pointer)
        }
        return packed
    }

    func forward(
        images: Int, rows: Int, _ padded: FloatPointer, _ packed: FloatPointer, bias: FloatPointer?,
        residual: FloatPointer?, _ y: FloatPointer, next: [UpcomingMemory], scratch: FloatPointer
    ) {
        var extents = tiles(rows: rows, inputs: shape.inputs, outputs: shape.outputs)
        kernels.winograd(
            &extents, Int64(images), padded, Int64(paddedCount), packed, bias, residual, y, Int64(shape.outputCount),
            next, Int64(next.count), scratch)
    }

    func inputGradient(
        images: Int, _ padded: FloatPointer, _ packed: FloatPointer, accumulate: Bool, _ dx: FloatPointer,
        next: [UpcomingMemory], scratch: FloatPointer
    ) {
        var extents = tiles(rows: shape.height, inputs: shape.outputs, outputs: shape.inputs)
        kernels.winograd(
            &extents, Int64(images), padded, Int64(paddedGradientCount), packed, nil, accumulate ? dx : nil, dx,
            Int64(shape.inputCount), next, Int64(next.count), scratch)
    }

    func kernelGradient(
        images: Int, _ padded: FloatPointer, _ paddedGradient: FloatPointer, _ sums: FloatPointer,
        next: [UpcomingMemory], scratch: FloatPointer
    ) {
        var extents = tiles(rows: shape.height, inputs: shape.inputs, outputs: shape.outputs)
        extents.outputRow = Int64(gradientRow)
        kernels.winograd_weights(
            &extents, Int64(images), padded, Int64(paddedCount), paddedGradient + gradientStart,
            Int64(paddedGradientCount), sums, next, Int64(next.count), scratch)
    }

    func addKernelGradient(_ parts: Range<Int>, of sums: FloatPointer, to gradient: FloatPointer) {
        kernels.winograd_kernel_gradient(
            Int64(kernelGradientParts), Int64(parts.lowerBound), Int64(parts.upperBound), sums, gradient)
    }
}
