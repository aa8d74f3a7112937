// Convolution without a matrix of patches: image by image, from a copy with a border of zeros that stays in the cache.
//
// A thread makes the copy, normalizing on the way where a normalization comes first, and convolves it; bias and
// residual are added while the result is in registers. The statistics that the next normalization needs are taken from
// the finished image before it leaves the cache. The backward pass makes the copy again: normalized images are never
// stored.

/// `conv2D`, or with a norm `normReLUConv2D`, by one of the algorithms.
///
/// - Parameters:
///   - method: The algorithm; it must fit the shape.
///   - mode: Of the norm.
///   - kernels: The instruction set, for tests of all of them.
package func fusedConv2D(
    _ x: Variable, norm: BatchNorm2D? = nil, _ kernel: Variable, bias: Variable?, stride: Int, padding: Int,
    method: ConvolutionMethod, mode: NormalizationMode = .training, residual: Variable? = nil,
    kernels: VectorKernels = Kernels.current
) -> Variable {
    let shape = ConvolutionShape(x.shape, kernel: kernel.shape, stride: stride, padding: padding)
    if let bias { precondition(bias.shape == [shape.outputs], "a bias for \(kernel.shape), found \(bias.shape)") }
    precondition(
        // A norm's parameters need the gradient of what it gives.
        method.fits(shape, inputGradient: x.requiresGradient || norm != nil),
        "\(method) does not compute \(x.shape), \(kernel.shape)")
    let operation = FusedConvolution(
        x: x, norm: norm, normalization: norm?.normalization(of: x, mode: mode), kernel: kernel, bias: bias,
        residual: residual, name: "\(method) convolution \(shape)",
        algorithm: method.algorithm(shape, kernels: kernels), kernels: kernels)
    let (y, moments) = operation.forward()
    let operands = [x, kernel] + [norm?.gamma, norm?.beta, bias, residual].compactMap { $0 }
    let result = Variable(
        y, operands: operands,
        propagateParts: { FusedConvolutionBackward(operation, dY: $0, deferredChange: $1).addGradients() })
    result.channelMoments = moments
    return result
}

/// A convolution of a batch of images and what its two passes share.
private struct FusedConvolution {
    let x: Variable
    let norm: BatchNorm2D?
    /// The norm with the statistics of x.
    let normalization: Normalization?
    let kernel: Variable
    let bias: Variable?
    let residual: Variable?
    /// For the profile.
    let name: String
    let algorithm: any ConvolutionAlgorithm
    let kernels: VectorKernels

    var shape: ConvolutionShape { algorithm.shape }
    /// Images that a thread works on together.
    var group: Int { max(1, min(algorithm.group, shape.batch / Parallel.parts)) }

    /// The result, and the statistics of its channels where gradients are recorded: here they cost little, and later a
    /// pass over memory.
    func forward() -> (y: Tensor, moments: ChannelMoments?) {
        let group = group, outputs = shape.outputs
        let parts = ConvolutionPart.split(shape, group: group, grain: algorithm.rowGrain)
        let y = Tensor(uninitialized: shape.output)
        let moments = Variable.isRecording ? Tensor(uninitialized: [parts.count, 2, outputs]) : nil
        let chunks = Parallel.split(parts.count)
        let scratch = Tensor(
            uninitialized: [chunks.count, group * algorithm.paddedCount + algorithm.scratchCount])
        Profile.measure(
            "\(name), forward", flops: shape.flops,
            floats: shape.batch * (shape.inputCount + (residual == nil ? 1 : 2) * shape.outputCount)
        ) {
            let packed = algorithm.pack(kernel.value, transposed: false)
            Parallel.loop(chunks.count) { chunk in
                for index in chunks[chunk] {
                    let part = parts[index], isLast = index + 1 == chunks[chunk].upperBound
                    let at = part.firstPixel(shape) * outputs
                    convolve(
                        part, next: isLast ? 0..<0 : parts[index + 1].images, packed: packed,
                        scratch: scratch.pointer + chunk * scratch.shape[1], group: group, y: y.pointer + at,
                        residual: residual.map { $0.value.pointer + at })
                    guard let moments else { continue }
                    let out = moments.pointer + index * 2 * outputs
                    kernels.channel_moments(
                        Int64(part.pixels(shape)), Int64(outputs), y.pointer + at, out, out + outputs)
                }
            }
        }
        return (y, moments.map { ChannelMoments(parts: $0, counts: parts.map { $0.pixels(shape) }) })
    }

    /// Convolves one part of the batch on the calling thread.
    ///
    /// - Parameters:
    ///   - next: The images that the thread convolves after them.
    ///   - scratch: Room for the images with their borders, then for the algorithm.
    private func convolve(
        _ part: ConvolutionPart, next: Range<Int>, packed: Tensor, scratch: FloatPointer, group: Int, y: FloatPointer,
        residual: FloatPointer?
    ) {
        let rows = part.inputRows(shape)
        for (n, image) in part.images.enumerated() { pad(image, rows, scratch + n * algorithm.paddedCount) }
        algorithm.forward(
            images: part.images.count, rows: part.rows.count, scratch, packed.pointer, bias: bias?.value.pointer,
            residual: residual, y, next: [x.value.images(next)], scratch: scratch + group * algorithm.paddedCount)
    }

    /// Writes rows of an image of x, normalized, with their border.
    func pad(_ image: Int, _ rows: Range<Int>, _ padded: FloatPointer) {
        func write(_ norm: UnsafePointer<NormKernel>?) {
            kernels.pad_rows(
                Int64(rows.lowerBound), Int64(rows.upperBound), Int64(shape.height), Int64(shape.width),
                Int64(shape.inputs), Int64(shape.padding), x.value.pointer + image * shape.inputCount, norm, padded)
        }
        if let normalization { normalization.withKernel(relu: true) { write($0) } } else { write(nil) }
    }
}

/// A backward pass of a convolution. Its buffers follow its own split of the batch, whatever that of the forward pass
/// was.
private final class FusedConvolutionBackward {
    private enum Slot: Int, CaseIterable { case bias }

    private let operation: FusedConvolution
    private let dY: Tensor
    /// The last change of dY, which is applied as its images are read.
    private let deferredChange: DeferredGradientChange?
    private let group: Int
    private let chunks: [Range<Int>]
    private let totals: ChunkSums<Slot>
    /// Each chunk's sums for the kernel's gradient, [chunks, …]; nil where it is not asked for.
    private let kernelSums: Tensor?
    /// Of each chunk: images and gradients with their borders, then the algorithm's own, [chunks, …].
    private let scratch: Tensor
    /// Σ dz and Σ dz x̂ of each image, for the norm, [B, 2, C].
    private let sums: Tensor
    /// Whether the input's gradient is asked for.
    private let wantsInput: Bool

    init(_ operation: FusedConvolution, dY: Tensor, deferredChange: DeferredGradientChange?) {
        let shape = operation.shape, algorithm = operation.algorithm, group = operation.group
        let chunks = Parallel.split(shape.batch)
        (self.operation, self.dY, self.deferredChange) = (operation, dY, deferredChange)
        (self.group, self.chunks) = (group, chunks)
        totals = ChunkSums(chunks: chunks.count) { _ in
            operation.bias?.requiresGradient == true ? shape.outputs : 0
        }
        kernelSums =
            operation.kernel.requiresGradient
            ? Tensor(uninitialized: [chunks.count, algorithm.kernelGradientCount]) : nil
        let padded = group * (algorithm.paddedCount + algorithm.paddedGradientCount)
        scratch = Tensor(uninitialized: [chunks.count, padded + algorithm.scratchCount])
        sums = Tensor(uninitialized: [shape.batch, 2, shape.inputs])
        wantsInput = operation.x.requiresGradient || operation.norm != nil
    }

    /// Adds to the gradients of all operands.
    func addGradients() {
        let x = operation.x
        if !wantsInput {
            propagate(nil, accumulate: false)
        } else if let norm = operation.norm, let normalization = operation.normalization {
            let dZ = Tensor(uninitialized: x.shape)
            propagate(dZ, accumulate: false)
            normalization.propagate(dZ, sums: sums, x: x, gamma: norm.gamma, beta: norm.beta)
        } else {
            x.addGradient { propagate($0, accumulate: $1) }
        }
        addKernelGradient()
        if let bias = operation.bias, bias.requiresGradient { totals.add(.bias, to: bias) }
        operation.residual?.giveGradient(dY)
    }

    /// Adds the sums of all chunks, in order, to the kernel's gradient.
    private func addKernelGradient() {
        guard let kernelSums else { return }
        let algorithm = operation.algorithm
        Profile.measure("\(operation.name), sums", floats: kernelSums.count + 2 * operation.kernel.value.count) {
            operation.kernel.addGradient { gradient, accumulate in
                if !accumulate { gradient.fill(0) }
                Parallel.chunks(of: algorithm.kernelGradientParts, grain: 16) { parts, _ in
                    for chunk in chunks.indices {
                        algorithm.addKernelGradient(
                            parts, of: kernelSums.pointer + chunk * kernelSums.shape[1], to: gradient.pointer)
                    }
                }
            }
        }
    }

    /// Goes through all images once.
    ///
    /// - Parameter dX: Takes the gradient of the convolution's input, and with a norm that of the value before the
    ///   ReLU.
    private func propagate(_ dX: Tensor?, accumulate: Bool) {
        let shape = operation.shape, outputs = 1 + (deferredChange.map { $0.reads.count + 1 } ?? 0)
        Profile.measure(
            "\(operation.name), backward",
            flops: ((operation.kernel.requiresGradient ? 1 : 0) + (dX == nil ? 0 : 1)) * shape.flops,
            floats: shape.batch
                * (outputs * shape.outputCount + (dX == nil ? 1 : accumulate ? 3 : 2) * shape.inputCount)
        ) {
            let packed = dX == nil ? nil : operation.algorithm.pack(operation.kernel.value, transposed: true)
            Parallel.loop(chunks.count) { chunk in
                let range = chunks[chunk]
                if let kernelSums {
                    let count = kernelSums.shape[1]
                    (kernelSums.pointer + chunk * count).update(repeating: 0, count: count)
                }
                for first in Swift.stride(from: range.lowerBound, to: range.upperBound, by: group) {
                    let images = first..<min(first + group, range.upperBound)
                    let next = images.upperBound..<min(images.upperBound + group, range.upperBound)
                    padGradient(images, chunk: chunk)
                    addParameterGradients(images, next: next, chunk: chunk)
                    if let dX, let packed {
                        computeInputGradient(images, next: next, packed, chunk: chunk, accumulate: accumulate, dX)
                    }
                }
            }
        }
    }

    /// Copies the gradient of some images, after its last change, with a border of zeros.
    private func padGradient(_ images: Range<Int>, chunk: Int) {
        let shape = operation.shape, algorithm = operation.algorithm, border = algorithm.gradientBorder
        let count = shape.outputCount, row = shape.outputWidth * shape.outputs, edge = border * shape.outputs
        // A residual is given this gradient too, so there it is changed in its place; else in the copy alone.
        let inPlace = operation.residual != nil
        if inPlace { deferredChange?.apply(dY, images.lowerBound * count..<images.upperBound * count) }
        var to = paddedGradient(chunk)
        for image in images {
            for i in -border..<shape.outputHeight + border {
                defer { to += algorithm.gradientRow }
                guard (0..<shape.outputHeight).contains(i) else {
                    to.update(repeating: 0, count: algorithm.gradientRow)
                    continue
                }
                to.update(repeating: 0, count: edge)
                (to + edge + row).update(repeating: 0, count: edge)
                let first = image * count + i * row
                if !inPlace, let deferredChange {
                    deferredChange.write(dY, first..<first + row, to + edge)
                } else {
                    (to + edge).update(from: dY.pointer + first, count: row)
                }
            }
        }
    }

    /// Adds some images' part of the gradients of kernel and bias to the sums of a chunk.
    private func addParameterGradients(_ images: Range<Int>, next: Range<Int>, chunk: Int) {
        let shape = operation.shape, algorithm = operation.algorithm, dy = paddedGradient(chunk)
        if let kernelSums {
            let padded = scratch.pointer + chunk * scratch.shape[1]
            for (n, image) in images.enumerated() {
                operation.pad(
                    image, -shape.padding..<shape.height + shape.padding, padded + n * algorithm.paddedCount)
            }
            algorithm.kernelGradient(
                images: images.count, padded, dy, kernelSums.pointer + chunk * kernelSums.shape[1],
                next: [operation.x.value.images(next)], scratch: algorithmScratch(chunk))
        }
        if operation.bias?.requiresGradient == true {
            operation.kernels.channel_sums(
                Int64(images.count * algorithm.paddedGradientCount / shape.outputs), Int64(shape.outputs), dy,
                totals[chunk, .bias])
        }
    }

    /// Writes the gradient of some images, and with a norm the sums that its own gradient needs.
    private func computeInputGradient(
        _ images: Range<Int>, next: Range<Int>, _ packed: Tensor, chunk: Int, accumulate: Bool, _ dX: Tensor
    ) {
        let shape = operation.shape, algorithm = operation.algorithm, kernels = operation.kernels
        algorithm.inputGradient(
            images: images.count, paddedGradient(chunk), packed.pointer, accumulate: accumulate,
            dX.pointer + images.lowerBound * shape.inputCount,
            next: ([dY] + (deferredChange?.reads ?? [])).map { $0.images(next) }, scratch: algorithmScratch(chunk))
        operation.normalization?.withKernel(relu: true) { norm in
            for image in images {
                let at = image * shape.inputCount
                kernels.norm_backward_sums(
                    norm, Int64(shape.height * shape.width), operation.x.value.pointer + at, dX.pointer + at,
                    dX.pointer + at, sums.pointer + image * 2 * shape.inputs)
            }
        }
    }

    /// The part of a chunk's scratch that has the gradients with their borders.
    private func paddedGradient(_ chunk: Int) -> FloatPointer {
        scratch.pointer + chunk * scratch.shape[1] + group * operation.algorithm.paddedCount
    }

    /// The part of a chunk's scratch that the algorithm works in.
    private func algorithmScratch(_ chunk: Int) -> FloatPointer {
        let algorithm = operation.algorithm
        return scratch.pointer + chunk * scratch.shape[1]
            + group * (algorithm.paddedCount + algorithm.paddedGradientCount)
    }
}

/// The part that a thread convolves at once: some images, or where there are fewer images than threads some rows of
/// one.
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

    /// The first pixel of output in the batch.
    func firstPixel(_ shape: ConvolutionShape) -> Int {
        images.lowerBound * shape.pixels + rows.lowerBound * shape.outputWidth
    }

    func pixels(_ shape: ConvolutionShape) -> Int { images.count * rows.count * shape.outputWidth }

    /// The rows of the input, border included, that the rows of output see.
    func inputRows(_ shape: ConvolutionShape) -> Range<Int> {
        let first = rows.lowerBound * shape.stride - shape.padding
        return first..<first + (rows.count - 1) * shape.stride + shape.size
    }
}

extension Tensor {
    /// Some images of a batch, [B, H, W, C], as memory to be fetched.
    fileprivate func images(_ range: Range<Int>) -> UpcomingMemory {
        let image = count / shape[0]
        return UpcomingMemory(floats: pointer + range.lowerBound * image, count: Int64(range.count * image))
    }
}
