/// Convolution by its definition, for any kernel and stride: a tile of output pixels × output channels stays in
/// registers while all taps and input channels go by.
struct DirectConvolution: ConvolutionAlgorithm {
    /// The taps of a convolution, the same for all images: where each begins in the padded image, in elements, and its
    /// first row in the kernel's matrix.
    private struct Taps {
        var offsets: [Int64], rows: [Int64]
    }

    /// The gradient of the input goes to pixels (i · s + a, j · s + b) for fixed a, b < s at a time: these see the same
    /// taps.
    private struct Phase {
        let taps: Taps
        let rows, columns, firstOutput: Int
    }

    let shape: ConvolutionShape
    let kernels: VectorKernels
    let gradientBorder: Int
    let rowGrain = 1
    let scratchCount = 0
    /// A tile of the kernel's gradient sees a few hundred pixels between being read and being written.
    var group: Int { max(1, min(4, 256 / shape.pixels)) }
    var kernelGradientCount: Int { shape.patch * shape.outputs }
    var kernelGradientParts: Int { kernelGradientCount }
    private let forward: Taps
    private let phases: [Phase]

    init(_ shape: ConvolutionShape, kernels: VectorKernels) {
        self.shape = shape
        self.kernels = kernels
        let (size, stride, padding) = (shape.size, shape.stride, shape.padding)
        // A row of the kernel sees `size` neighboring pixels: one run of inputs.
        let width = (shape.width + 2 * padding) * shape.inputs
        forward = Taps(
            offsets: (0..<size).map { Int64($0 * width) }, rows: (0..<size).map { Int64($0 * size * shape.inputs) })

        // y[i'] uses x[i' s + u − p], so x[i s + a] was used by y[i + (a + p − u) / s], for u where s divides.
        let uses = (0..<stride).map { a in
            (0..<size).filter { (a + padding - $0) % stride == 0 }.map { (u: $0, shift: (a + padding - $0) / stride) }
        }
        var border = 0
        for (a, taps) in uses.enumerated() {
            for (extent, output) in [(shape.height, shape.outputHeight), (shape.width, shape.outputWidth)] {
                let last = (extent - a + stride - 1) / stride - 1
                for tap in taps { border = max(border, -tap.shift, last + tap.shift - output + 1) }
            }
        }
        gradientBorder = border
        let gradientWidth = shape.outputWidth + 2 * border
        phases = (0..<stride * stride).map { phase in
            let (a, b) = (phase / stride, phase % stride)
            var taps = Taps(offsets: [], rows: [])
            for row in uses[a] {
                for column in uses[b] {
                    taps.offsets.append(
                        Int64(((row.shift + border) * gradientWidth + column.shift + border) * shape.outputs))
                    taps.rows.append(Int64((row.u * size + column.u) * shape.outputs))
                }
            }
            return Phase(
                taps: taps, rows: (shape.height - a + stride - 1) / stride,
                columns: (shape.width - b + stride - 1) / stride, firstOutput: (a * shape.width + b) * shape.inputs)
        }
    }

    func pack(_ kernel: Tensor, transposed: Bool) -> Tensor {
        let packed = Tensor(uninitialized: [kernel.count])
        let (from, to) = transposed ? (shape.outputs, shape.inputs) : (shape.inputs, shape.outputs)
        Parallel.chunks(of: from) { range, _ in
            kernels.conv_pack(
                Int64(shape.size * shape.size), Int64(from), Int64(to), kernel.pointer, transposed ? 1 : 0,
                Int64(range.lowerBound), Int64(range.upperBound), packed.pointer)
        }
        return packed
    }

    func forward(
        images: Int, rows: Int, _ padded: FloatPointer, _ packed: FloatPointer, bias: FloatPointer?,
        residual: FloatPointer?, _ y: FloatPointer, next: [UpcomingMemory], scratch: FloatPointer
    ) {
        withForward(rows: rows, outputRow: shape.outputWidth * shape.outputs) { convolution in
            for image in 0..<images {
                let at = image * shape.outputCount
                kernels.convolve(
                    convolution, padded + image * paddedCount, packed, bias, residual.map { UnsafePointer($0 + at) },
                    y + at)
            }
        }
    }

    func inputGradient(
        images: Int, _ padded: FloatPointer, _ packed: FloatPointer, accumulate: Bool, _ dx: FloatPointer,
        next: [UpcomingMemory], scratch: FloatPointer
    ) {
        for image in 0..<images {
            forEachPhase { convolution, firstOutput in
                let start = dx + image * shape.inputCount + firstOutput
                kernels.convolve(
                    convolution, padded + image * paddedGradientCount, packed, nil,
                    accumulate ? UnsafePointer(start) : nil, start)
            }
        }
    }

    func kernelGradient(
        images: Int, _ padded: FloatPointer, _ paddedGradient: FloatPointer, _ sums: FloatPointer,
        next: [UpcomingMemory], scratch: FloatPointer
    ) {
        withForward(rows: shape.outputHeight, outputRow: gradientRow) { convolution in
            kernels.convolve_weights(
                convolution, Int64(images), padded, Int64(paddedCount), paddedGradient + gradientStart,
                Int64(paddedGradientCount), sums)
        }
    }

    func addKernelGradient(_ parts: Range<Int>, of sums: FloatPointer, to gradient: FloatPointer) {
        kernels.axpy(Int64(parts.count), 1, sums + parts.lowerBound, gradient + parts.lowerBound)
    }

    private func withPointers(
        _ taps: Taps, _ extents: (UnsafePointer<Int64>, UnsafePointer<Int64>) -> ConvolutionExtents,
        _ body: (UnsafePointer<ConvolutionExtents>) -> Void
    ) {
        taps.offsets.withUnsafeBufferPointer { offsets in
            taps.rows.withUnsafeBufferPointer { rows in
                // A phase without taps writes zeros; an array has an address without elements too.
                withUnsafePointer(to: extents(offsets.baseAddress!, rows.baseAddress!), body)
            }
        }
    }

    /// The convolution for `rows` rows of output that lie `outputRow` floats apart, from the padded rows under them.
    private func withForward(rows: Int, outputRow: Int, _ body: (UnsafePointer<ConvolutionExtents>) -> Void) {
        let width = shape.width + 2 * shape.padding
        withPointers(
            forward,
            { offsets, firstRows in
                ConvolutionExtents(
                    rows: Int64(rows), columns: Int64(shape.outputWidth), outputs: Int64(shape.outputs),
                    inputRow: Int64(shape.stride * width * shape.inputs),
                    inputColumn: Int64(shape.stride * shape.inputs),
                    outputRow: Int64(outputRow), outputColumn: Int64(shape.outputs),
                    kernelRows: Int64(shape.patch), taps: Int64(shape.size), run: Int64(shape.size * shape.inputs),
                    tap: offsets, row: firstRows)
            }, body)
    }

    /// The convolutions of the padded gradient of the output that give the gradient of the input, and where in the
    /// image each begins.
    private func forEachPhase(_ body: (UnsafePointer<ConvolutionExtents>, _ firstOutput: Int) -> Void) {
        for phase in phases {
            withPointers(
                phase.taps,
                { offsets, firstRows in
                    ConvolutionExtents(
                        rows: Int64(phase.rows), columns: Int64(phase.columns), outputs: Int64(shape.inputs),
                        inputRow: Int64(gradientRow), inputColumn: Int64(shape.outputs),
                        outputRow: Int64(shape.stride * shape.width * shape.inputs),
                        outputColumn: Int64(shape.stride * shape.inputs),
                        kernelRows: Int64(shape.size * shape.size * shape.outputs), taps: Int64(phase.taps.rows.count),
                        run: Int64(shape.outputs), tap: offsets, row: firstRows)
                }, { body($0, phase.firstOutput) })
        }
    }
}
