// Convolution without a matrix of patches: image by image, from a copy with a border of zeros that stays in the cache.
//
// A thread makes the copy, normalising on the way where a normalisation comes first, and convolves it while bias and
// residual wait in the registers of the result. The statistics that the next normalisation needs are taken from the
// finished image before it leaves the cache. The backward pass makes the copy again: normalised images are never stored.

/// The extents of a convolution as the direct kernels want them, forward and for the gradient of the input.
struct DirectConvolution {
    /// Taps that all images share; `kernel` with them is valid inside `withKernel` alone.
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
    /// Rows and columns of zeros around the gradient of the output.
    let gradientBorder: Int
    private let forward: Taps
    private let phases: [Phase]

    /// Whether the kernels apply: they compute 16 channels at a time.
    static func fits(_ shape: ConvolutionShape, inputGradient: Bool) -> Bool {
        shape.outputs % 16 == 0 && (!inputGradient || shape.inputs % 16 == 0)
    }

    init(_ shape: ConvolutionShape) {
        self.shape = shape
        let (size, stride, padding) = (shape.size, shape.stride, shape.padding)
        // A row of the kernel sees `size` neighbouring pixels: one run of inputs.
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

    /// Floats of an image with its border.
    var paddedCount: Int { (shape.height + 2 * shape.padding) * (shape.width + 2 * shape.padding) * shape.inputs }
    var paddedGradientCount: Int {
        (shape.outputHeight + 2 * gradientBorder) * (shape.outputWidth + 2 * gradientBorder) * shape.outputs
    }

    private func withPointers(
        _ taps: Taps, _ kernel: (UnsafePointer<Int64>, UnsafePointer<Int64>) -> ConvolutionKernel,
        _ body: (UnsafePointer<ConvolutionKernel>) -> Void
    ) {
        taps.offsets.withUnsafeBufferPointer { offsets in
            taps.rows.withUnsafeBufferPointer { rows in
                guard let offsets = offsets.baseAddress, let rows = rows.baseAddress else { return }
                withUnsafePointer(to: kernel(offsets, rows), body)
            }
        }
    }

    /// The convolution for `rows` rows of output, from the padded rows under them.
    func withForward(rows: Int, _ body: (UnsafePointer<ConvolutionKernel>) -> Void) {
        let width = shape.width + 2 * shape.padding
        withPointers(
            forward,
            { offsets, firstRows in
                ConvolutionKernel(
                    rows: Int64(rows), columns: Int64(shape.outputWidth), outputs: Int64(shape.outputs),
                    inputRow: Int64(shape.stride * width * shape.inputs),
                    inputColumn: Int64(shape.stride * shape.inputs),
                    outputRow: Int64(shape.outputWidth * shape.outputs), outputColumn: Int64(shape.outputs),
                    kernelRows: Int64(shape.patch), taps: Int64(shape.size), run: Int64(shape.size * shape.inputs),
                    tap: offsets, row: firstRows)
            }, body)
    }

    /// The convolutions of the padded gradient of the output that give the gradient of the input, and where in the image
    /// each begins.
    func forEachPhase(_ body: (UnsafePointer<ConvolutionKernel>, _ firstOutput: Int) -> Void) {
        let width = shape.outputWidth + 2 * gradientBorder
        for phase in phases {
            withPointers(
                phase.taps,
                { offsets, firstRows in
                    ConvolutionKernel(
                        rows: Int64(phase.rows), columns: Int64(phase.columns), outputs: Int64(shape.inputs),
                        inputRow: Int64(width * shape.outputs), inputColumn: Int64(shape.outputs),
                        outputRow: Int64(shape.stride * shape.width * shape.inputs),
                        outputColumn: Int64(shape.stride * shape.inputs),
                        kernelRows: Int64(shape.size * shape.size * shape.outputs), taps: Int64(phase.taps.rows.count),
                        run: Int64(shape.outputs), tap: offsets, row: firstRows)
                }, { body($0, phase.firstOutput) })
        }
    }

    /// True if some pixels of the input were used by no output: their gradient is 0, and no phase writes it.
    var leavesInputsOut: Bool { phases.contains { $0.taps.rows.isEmpty } }
}

/// `conv2D`, or with a norm `normReLUConv2D`, by the direct kernels.
///
/// - Parameters:
///   - kernels: The instruction set, for tests of all of them.
///   - mode: Of the norm.
package func directConv2D(
    _ x: Variable, norm: BatchNorm2D? = nil, _ kernel: Variable, bias: Variable?, stride: Int, padding: Int,
    mode: NormalisationMode = .training, residual: Variable? = nil, kernels: VectorKernels = Kernels.current
) -> Variable {
    let shape = ConvolutionShape(x.shape, kernel: kernel.shape, stride: stride, padding: padding)
    precondition(bias == nil || bias!.shape == [shape.outputs], "a bias for \(kernel.shape), found \(bias!.shape)")
    let direct = DirectConvolution(shape), outputs = shape.outputs, channels = shape.inputs
    let normalisation = norm?.normalisation(of: x, mode: mode)

    /// Writes rows of an image of x, normalised, with their border.
    func pad(_ image: Int, _ rows: Range<Int>, _ padded: FloatPointer) {
        func write(_ norm: UnsafePointer<NormKernel>?) {
            kernels.pad_rows(
                Int64(rows.lowerBound), Int64(rows.upperBound), Int64(shape.height), Int64(shape.width),
                Int64(channels), Int64(shape.padding), x.value.pointer + image * shape.inputCount, norm, padded)
        }
        if let normalisation { normalisation.withKernel(relu: true) { write($0) } } else { write(nil) }
    }

    /// The kernel in the order that the convolution reads it, or the one of the gradient of the input does.
    func pack(transposed: Bool) -> Tensor {
        precondition((transposed ? channels : outputs) % 16 == 0, "the direct kernels compute 16 channels at a time")
        let packed = Tensor(uninitialized: [kernel.value.count])
        kernels.conv_pack(
            Int64(shape.size * shape.size), Int64(transposed ? outputs : channels),
            Int64(transposed ? channels : outputs), kernel.value.pointer, transposed ? 1 : 0, packed.pointer)
        return packed
    }

    // With fewer images than parts to work on an image is cut into bands of rows.
    let bands = min(shape.outputHeight, (Parallel.parts + shape.batch - 1) / shape.batch)
    let parts = shape.batch * bands
    func rows(_ part: Int) -> Range<Int> {
        let band = part % bands
        return shape.outputHeight * band / bands..<shape.outputHeight * (band + 1) / bands
    }
    let y = Tensor(uninitialized: shape.output), packed = pack(transposed: false)
    // Statistics cost little here, and a pass over memory later.
    let moments = Variable.isRecording ? Tensor(uninitialized: [parts, 2, outputs]) : nil
    let scratch = Tensor(uninitialized: [Parallel.split(parts).count, direct.paddedCount])
    Parallel.chunks(of: parts) { range, chunk in
        let padded = scratch.pointer + chunk * direct.paddedCount
        for part in range {
            let image = part / bands, rows = rows(part), first = rows.lowerBound * shape.stride - shape.padding
            pad(image, first..<first + (rows.count - 1) * shape.stride + shape.size, padded)
            let at = (image * shape.pixels + rows.lowerBound * shape.outputWidth) * outputs
            direct.withForward(rows: rows.count) { convolution in
                kernels.convolve(
                    convolution, padded, packed.pointer, bias?.value.pointer,
                    residual.map { UnsafePointer($0.value.pointer + at) }, y.pointer + at)
            }
            guard let moments else { continue }
            let out = moments.pointer + part * 2 * outputs
            kernels.channel_moments(
                Int64(rows.count * shape.outputWidth), Int64(outputs), y.pointer + at, out, out + outputs)
        }
    }

    let operands = [x, kernel] + [norm?.gamma, norm?.beta, bias, residual].compactMap { $0 }
    let result = Variable(y, operands: operands) { dY in
        let wantsKernel = kernel.requiresGradient, wantsBias = bias?.requiresGradient == true
        let wantsInput = x.requiresGradient || norm != nil
        // Small images together, so that a tile of the weight gradient sees a few hundred pixels between being read and
        // being written.
        let group = max(1, min(4, 256 / shape.pixels)), chunks = Parallel.split(shape.batch).count
        let totals = ChunkSums(
            chunks: chunks, counts: [wantsKernel ? kernel.value.count : 0, wantsBias ? outputs : 0])
        let paddedCount = group * direct.paddedCount, count = paddedCount + direct.paddedGradientCount
        let scratch = Tensor(uninitialized: [chunks, count]), packed = wantsInput ? pack(transposed: true) : nil
        let sums = Tensor(uninitialized: [shape.batch, 2, channels])

        /// - Parameter dX: Takes the gradient of the convolution's input, and with a norm that of the value before the
        ///   ReLU.
        func propagate(_ dX: Tensor?, accumulate: Bool) {
            Parallel.chunks(of: shape.batch) { range, chunk in
                let padded = scratch.pointer + chunk * count, paddedGradient = padded + paddedCount
                for first in Swift.stride(from: range.lowerBound, to: range.upperBound, by: group) {
                    let images = first..<min(first + group, range.upperBound)
                    if wantsKernel {
                        for image in images {
                            pad(
                                image, -shape.padding..<shape.height + shape.padding,
                                padded + (image - first) * direct.paddedCount)
                        }
                        direct.withForward(rows: shape.outputHeight) { convolution in
                            kernels.convolve_weights(
                                convolution, Int64(images.count), padded, Int64(direct.paddedCount),
                                dY.pointer + first * shape.outputCount, Int64(shape.outputCount), totals[chunk, 0])
                        }
                    }
                    for image in images {
                        let dy = dY.pointer + image * shape.outputCount
                        if wantsBias {
                            kernels.channel_sums(Int64(shape.pixels), Int64(outputs), dy, totals[chunk, 1])
                        }
                        guard let dX, let packed else { continue }
                        let dx = dX.pointer + image * shape.inputCount, border = direct.gradientBorder
                        kernels.pad_rows(
                            Int64(-border), Int64(shape.outputHeight + border), Int64(shape.outputHeight),
                            Int64(shape.outputWidth), Int64(outputs), Int64(border), dy, nil, paddedGradient)
                        if !accumulate && direct.leavesInputsOut { dx.update(repeating: 0, count: shape.inputCount) }
                        direct.forEachPhase { convolution, firstOutput in
                            let start = dx + firstOutput
                            kernels.convolve(
                                convolution, paddedGradient, packed.pointer, nil,
                                accumulate ? UnsafePointer(start) : nil, start)
                        }
                        normalisation?.withKernel(relu: true) { norm in
                            kernels.norm_backward_sums(
                                norm, Int64(shape.height * shape.width), x.value.pointer + image * shape.inputCount, dx,
                                dx, sums.pointer + image * 2 * channels)
                        }
                    }
                }
            }
        }
        if let norm, let normalisation, wantsInput {
            let dZ = Tensor(uninitialized: x.shape)
            propagate(dZ, accumulate: false)
            normalisation.propagate(dZ, sums: sums, x: x, gamma: norm.gamma, beta: norm.beta)
        } else if wantsInput {
            x.addGradient { propagate($0, accumulate: $1) }
        } else {
            propagate(nil, accumulate: false)
        }
        if wantsKernel { totals.add(0, to: kernel) }
        if wantsBias, let bias { totals.add(1, to: bias) }
        residual?.giveGradient(dY)
    }
    if let moments {
        result.channelMoments = ChannelMoments(
            parts: moments, counts: (0..<parts).map { rows($0).count * shape.outputWidth })
    }
    return result
}
