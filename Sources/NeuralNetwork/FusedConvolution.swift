// Convolution without a matrix of patches: image by image, from a copy with a border of zeros that stays in the cache.
//
// A thread makes the copy, normalising on the way where a normalisation comes first, and convolves it while bias and
// residual wait in the registers of the result. The statistics that the next normalisation needs are taken from the
// finished image before it leaves the cache. The backward pass makes the copy again: normalised images are never stored.

/// A way to convolve images that have a border of zeros; each call runs on one thread.
///
/// Images in memory: with their border `paddedCount` floats, their outputs `shape.outputCount`; one after the other.
protocol ConvolutionAlgorithm {
    var shape: ConvolutionShape { get }
    /// Images to work on together.
    var group: Int { get }
    /// A band of output rows begins at a multiple of this.
    var rowGrain: Int { get }
    /// Rows and columns of zeros that the gradient of the output needs around it.
    var gradientBorder: Int { get }
    /// Floats of scratch that each call needs.
    var scratchCount: Int { get }
    /// Floats of the sums that `kernelGradient` adds to.
    var kernelGradientCount: Int { get }

    /// The kernel in the order that `forward` reads it, or `transposed` the one that `inputGradient` does.
    func pack(_ kernel: Tensor, transposed: Bool) -> Tensor

    /// y = convolution + bias + residual for `rows` rows of output of each image.
    func forward(
        images: Int, rows: Int, _ padded: FloatPointer, _ packed: FloatPointer, bias: FloatPointer?,
        residual: FloatPointer?, _ y: FloatPointer, scratch: FloatPointer)

    /// dx (+)= the gradient of the input from the one of the output, with its border.
    func inputGradient(
        images: Int, _ padded: FloatPointer, _ packed: FloatPointer, accumulate: Bool, _ dx: FloatPointer,
        scratch: FloatPointer)

    /// Adds the images' part of the kernel's gradient to `sums`, in an order of the algorithm's own.
    func kernelGradient(
        images: Int, _ padded: FloatPointer, _ dy: FloatPointer, _ sums: FloatPointer, scratch: FloatPointer)

    /// Adds what `kernelGradient` summed up to a gradient of the kernel's shape.
    func addKernelGradient(_ sums: FloatPointer, to gradient: FloatPointer)
}

extension ConvolutionAlgorithm {
    /// Floats of an image with its border.
    var paddedCount: Int { (shape.height + 2 * shape.padding) * (shape.width + 2 * shape.padding) * shape.inputs }
    var paddedGradientCount: Int {
        (shape.outputHeight + 2 * gradientBorder) * (shape.outputWidth + 2 * gradientBorder) * shape.outputs
    }
}

/// The algorithms, fastest first.
package enum ConvolutionMethod: CaseIterable, Sendable {
    case winograd, direct

    /// Whether the method computes this shape: 16 channels at a time, Winograd's 3 × 3 kernels with stride 1
    /// and images of whole tiles.
    func fits(_ shape: ConvolutionShape, inputGradient: Bool) -> Bool {
        switch self {
        case .winograd: WinogradConvolution.fits(shape)
        case .direct: shape.outputs % 16 == 0 && (!inputGradient || shape.inputs % 16 == 0)
        }
    }

    /// The fastest that computes this shape, or nil.
    static func fastest(_ shape: ConvolutionShape, inputGradient: Bool) -> ConvolutionMethod? {
        allCases.first { $0.fits(shape, inputGradient: inputGradient) }
    }

    func algorithm(_ shape: ConvolutionShape, kernels: VectorKernels) -> any ConvolutionAlgorithm {
        switch self {
        case .winograd: WinogradConvolution(shape: shape, kernels: kernels)
        case .direct: DirectConvolution(shape, kernels: kernels)
        }
    }
}

/// `conv2D`, or with a norm `normReLUConv2D`, by one of the algorithms.
///
/// - Parameters:
///   - method: The algorithm; it must fit the shape.
///   - mode: Of the norm.
///   - kernels: The instruction set, for tests of all of them.
package func fusedConv2D(
    _ x: Variable, norm: BatchNorm2D? = nil, _ kernel: Variable, bias: Variable?, stride: Int, padding: Int,
    method: ConvolutionMethod, mode: NormalisationMode = .training, residual: Variable? = nil,
    kernels: VectorKernels = Kernels.current
) -> Variable {
    let shape = ConvolutionShape(x.shape, kernel: kernel.shape, stride: stride, padding: padding)
    precondition(bias == nil || bias!.shape == [shape.outputs], "a bias for \(kernel.shape), found \(bias!.shape)")
    precondition(
        method.fits(shape, inputGradient: x.requiresGradient), "\(method) does not compute \(x.shape), \(kernel.shape)")
    let algorithm = method.algorithm(shape, kernels: kernels), outputs = shape.outputs, channels = shape.inputs
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

    let group = max(1, min(algorithm.group, shape.batch / Parallel.parts))
    let parts = ConvolutionPart.split(shape, group: group, grain: algorithm.rowGrain)
    let y = Tensor(uninitialized: shape.output), packed = algorithm.pack(kernel.value, transposed: false)
    // Statistics cost little here, and a pass over memory later.
    let moments = Variable.isRecording ? Tensor(uninitialized: [parts.count, 2, outputs]) : nil
    let paddedCount = group * algorithm.paddedCount
    let scratch = Tensor(
        uninitialized: [Parallel.split(parts.count).count, paddedCount + algorithm.scratchCount])
    Profile.measure(
        "\(method) convolution \(shape), forward", flops: shape.flops,
        floats: shape.batch * (shape.inputCount + (residual == nil ? 1 : 2) * shape.outputCount)
    ) {
        Parallel.chunks(of: parts.count) { range, chunk in
            let padded = scratch.pointer + chunk * scratch.shape[1]
            for index in range {
                let part = parts[index], rows = part.inputRows(shape)
                for (n, image) in part.images.enumerated() { pad(image, rows, padded + n * algorithm.paddedCount) }
                let at = (part.images.lowerBound * shape.pixels + part.rows.lowerBound * shape.outputWidth) * outputs
                algorithm.forward(
                    images: part.images.count, rows: part.rows.count, padded, packed.pointer, bias: bias?.value.pointer,
                    residual: residual.map { $0.value.pointer + at }, y.pointer + at, scratch: padded + paddedCount)
                guard let moments else { continue }
                let out = moments.pointer + index * 2 * outputs
                kernels.channel_moments(
                    Int64(part.pixels(shape)), Int64(outputs), y.pointer + at, out, out + outputs)
            }
        }
    }

    let operands = [x, kernel] + [norm?.gamma, norm?.beta, bias, residual].compactMap { $0 }
    let result = Variable(y, operands: operands) { dY in
        let wantsKernel = kernel.requiresGradient, wantsBias = bias?.requiresGradient == true
        let wantsInput = x.requiresGradient || norm != nil
        let chunks = Parallel.split(shape.batch).count
        let totals = ChunkSums(
            chunks: chunks,
            counts: [wantsKernel ? algorithm.kernelGradientCount : 0, wantsBias ? outputs : 0])
        let paddedGradientCount = group * algorithm.paddedGradientCount
        let count = paddedCount + paddedGradientCount + algorithm.scratchCount
        let scratch = Tensor(uninitialized: [chunks, count])
        let packed = wantsInput ? algorithm.pack(kernel.value, transposed: true) : nil
        let sums = Tensor(uninitialized: [shape.batch, 2, channels])

        /// - Parameter dX: Takes the gradient of the convolution's input, and with a norm that of the value before the
        ///   ReLU.
        func propagate(_ dX: Tensor?, accumulate: Bool) {
            Profile.measure(
                "\(method) convolution \(shape), backward",
                flops: ((wantsKernel ? 1 : 0) + (dX == nil ? 0 : 1)) * shape.flops,
                floats: shape.batch * (shape.outputCount + (dX == nil ? 1 : accumulate ? 3 : 2) * shape.inputCount)
            ) {
                Parallel.chunks(of: shape.batch) { range, chunk in
                    let padded = scratch.pointer + chunk * count, paddedGradient = padded + paddedCount
                    let scratch = paddedGradient + paddedGradientCount
                    for first in Swift.stride(from: range.lowerBound, to: range.upperBound, by: group) {
                        let images = first..<min(first + group, range.upperBound)
                        let dy = dY.pointer + first * shape.outputCount
                        if wantsKernel {
                            for (n, image) in images.enumerated() {
                                pad(
                                    image, -shape.padding..<shape.height + shape.padding,
                                    padded + n * algorithm.paddedCount)
                            }
                            algorithm.kernelGradient(
                                images: images.count, padded, dy, totals[chunk, 0], scratch: scratch)
                        }
                        if wantsBias {
                            kernels.channel_sums(
                                Int64(images.count * shape.pixels), Int64(outputs), dy, totals[chunk, 1])
                        }
                        guard let dX, let packed else { continue }
                        let border = algorithm.gradientBorder
                        for n in 0..<images.count {
                            kernels.pad_rows(
                                Int64(-border), Int64(shape.outputHeight + border), Int64(shape.outputHeight),
                                Int64(shape.outputWidth), Int64(outputs), Int64(border), dy + n * shape.outputCount,
                                nil, paddedGradient + n * algorithm.paddedGradientCount)
                        }
                        algorithm.inputGradient(
                            images: images.count, paddedGradient, packed.pointer, accumulate: accumulate,
                            dX.pointer + first * shape.inputCount, scratch: scratch)
                        normalisation?.withKernel(relu: true) { norm in
                            for image in images {
                                let at = image * shape.inputCount
                                kernels.norm_backward_sums(
                                    norm, Int64(shape.height * shape.width), x.value.pointer + at, dX.pointer + at,
                                    dX.pointer + at, sums.pointer + image * 2 * channels)
                            }
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
        kernel.addGradient { gradient, accumulate in
            if !accumulate { gradient.fill(0) }
            for chunk in 0..<chunks { algorithm.addKernelGradient(totals[chunk, 0], to: gradient.pointer) }
        }
        if wantsBias, let bias { totals.add(1, to: bias) }
        residual?.giveGradient(dY)
    }
    if let moments {
        result.channelMoments = ChannelMoments(parts: moments, counts: parts.map { $0.pixels(shape) })
    }
    return result
}

/// What a thread convolves at once: some images, or where there are fewer images than threads some rows of one.
private struct ConvolutionPart {
    let images: Range<Int>
    /// Of the output.
    let rows: Range<Int>

    static func split(_ shape: ConvolutionShape, group: Int, grain: Int) -> [ConvolutionPart] {
        let height = shape.outputHeight
        guard shape.batch < Parallel.parts else {
            return stride(from: 0, to: shape.batch, by: group).map {
                ConvolutionPart(images: $0..<min($0 + group, shape.batch), rows: 0..<height)
            }
        }
        let grains = (height + grain - 1) / grain
        let bands = min(grains, (Parallel.parts + shape.batch - 1) / max(1, shape.batch))
        return (0..<shape.batch * bands).map { part in
            let (image, band) = (part / bands, part % bands)
            return ConvolutionPart(
                images: image..<image + 1,
                rows: grains * band / bands * grain..<min(height, grains * (band + 1) / bands * grain))
        }
    }

    func pixels(_ shape: ConvolutionShape) -> Int { images.count * rows.count * shape.outputWidth }

    /// The rows of the input, border included, that the rows of output see.
    func inputRows(_ shape: ConvolutionShape) -> Range<Int> {
        let first = rows.lowerBound * shape.stride - shape.padding
        return first..<first + (rows.count - 1) * shape.stride + shape.size
    }
}
