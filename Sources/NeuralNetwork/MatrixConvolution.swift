/// `conv2D` for any kernel: the patches under the kernel as the rows of a matrix (im2col), multiplied by the kernel
/// read as [f · f · in, out]. The reference of the other algorithms.
package func matrixConv2D(
    _ x: Variable, _ kernel: Variable, bias: Variable? = nil, stride: Int = 1, padding: Int
) -> Variable {
    let shape = ConvolutionShape(x.shape, kernel: kernel.shape, stride: stride, padding: padding)
    if let bias { precondition(bias.shape == [shape.outputs], "a bias for \(kernel.shape), found \(bias.shape)") }
    let operation = MatrixConvolution(x: x, kernel: kernel, bias: bias, shape: shape)
    return Variable(operation.forward(), operands: [x, kernel] + (bias.map { [$0] } ?? [])) { dY in
        MatrixConvolutionBackward(operation, dY: dY).addGradients()
    }
}

/// A convolution of a batch of images and what its two passes share.
private struct MatrixConvolution {
    let x: Variable
    let kernel: Variable
    let bias: Variable?
    let shape: ConvolutionShape

    /// The kernel as a matrix [f · f · in, out].
    var weights: MatrixView { kernel.value.matrix }

    /// Memory for one matrix of patches a chunk, [chunks · pixels, patch].
    func patches(chunks: Int) -> Tensor { Tensor(uninitialized: [chunks * shape.pixels, shape.patch]) }

    /// The rows of one chunk in that memory.
    func rows(_ chunk: Int) -> Range<Int> { chunk * shape.pixels..<(chunk + 1) * shape.pixels }

    /// The patches of an image.
    func gather(_ image: Int, _ patches: MatrixView) {
        let source = x.value.pointer + image * shape.inputCount
        if shape.padding > 0 { patches.pointer.update(repeating: 0, count: shape.pixels * shape.patch) }
        shape.runs { input, column, count in
            (patches.pointer + column).update(from: source + input, count: count)
        }
    }

    /// Output or its gradient of an image as a matrix [pixels, out].
    func image(_ image: Int, of tensor: Tensor) -> MatrixView {
        tensor.matrix.rows(image * shape.pixels..<(image + 1) * shape.pixels)
    }

    func forward() -> Tensor {
        let y = Tensor(uninitialized: shape.output), chunks = Parallel.split(shape.batch)
        let patches = patches(chunks: chunks.count)
        Profile.measure(
            "convolution \(shape) by patches, forward", floats: shape.batch * (shape.inputCount + shape.outputCount)
        ) {
            Parallel.loop(chunks.count) { chunk in
                let matrix = patches.matrix.rows(rows(chunk))
                for image in chunks[chunk] {
                    let out = self.image(image, of: y)
                    gather(image, matrix)
                    if let bias {
                        for pixel in 0..<shape.pixels {
                            (out.pointer + pixel * shape.outputs)
                                .update(from: bias.value.pointer, count: shape.outputs)
                        }
                    }
                    Blas.multiply(matrix, weights, into: out, accumulate: bias != nil)
                }
            }
        }
        return y
    }
}

/// A backward pass. Its buffers follow its own split of the batch, whatever that of the forward pass was.
private final class MatrixConvolutionBackward {
    private enum Slot: Int, CaseIterable { case kernel, bias }

    private let operation: MatrixConvolution
    private let dY: Tensor
    private let chunks: [Range<Int>]
    private let sums: ChunkSums<Slot>
    private let patches: Tensor

    init(_ operation: MatrixConvolution, dY: Tensor) {
        let shape = operation.shape, chunks = Parallel.split(shape.batch)
        (self.operation, self.dY, self.chunks) = (operation, dY, chunks)
        sums = ChunkSums(chunks: chunks.count) { slot in
            switch slot {
            case .kernel: operation.kernel.requiresGradient ? shape.patch * shape.outputs : 0
            case .bias: operation.bias?.requiresGradient == true ? shape.outputs : 0
            }
        }
        patches = operation.patches(chunks: chunks.count)
    }

    /// Adds to the gradients of all operands.
    func addGradients() {
        let (x, kernel) = (operation.x, operation.kernel)
        if x.requiresGradient {
            x.addGradient { propagate($0, accumulate: $1) }
        } else {
            propagate(nil, accumulate: false)
        }
        if kernel.requiresGradient { sums.add(.kernel, to: kernel) }
        if let bias = operation.bias { sums.add(.bias, to: bias) }
    }

    /// Goes through all images once; dX takes the gradient of the input.
    private func propagate(_ dX: Tensor?, accumulate: Bool) {
        let shape = operation.shape
        if let dX, !accumulate { dX.fill(0) }
        Profile.measure(
            "convolution \(shape) by patches, backward",
            floats: shape.batch * (shape.outputCount + (dX == nil ? 1 : 2) * shape.inputCount)
        ) {
            Parallel.loop(chunks.count) { chunk in
                for image in chunks[chunk] {
                    addParameterGradients(image, chunk: chunk)
                    if let dX { addInputGradient(image, chunk: chunk, dX) }
                }
            }
        }
    }

    private func addParameterGradients(_ image: Int, chunk: Int) {
        let dy = operation.image(image, of: dY), width = Int64(dy.columnCount)
        if operation.bias?.requiresGradient == true {
            Kernels.current.scatter_add_rows(
                Int64(dy.rowCount), width, dy.pointer, width, nil, nil, sums[chunk, .bias], width)
        }
        if operation.kernel.requiresGradient {
            let matrix = patches.matrix.rows(operation.rows(chunk))
            operation.gather(image, matrix)
            let total = MatrixView(
                pointer: sums[chunk, .kernel], rowCount: matrix.columnCount, columnCount: dy.columnCount,
                stride: dy.columnCount)
            Blas.multiply(matrix, transposeA: true, dy, into: total, accumulate: true)
        }
    }

    private func addInputGradient(_ image: Int, chunk: Int, _ dX: Tensor) {
        let shape = operation.shape, matrix = patches.matrix.rows(operation.rows(chunk))
        Blas.multiply(operation.image(image, of: dY), operation.weights, transposeB: true, into: matrix)
        let target = dX.pointer + image * shape.inputCount
        shape.runs { input, column, count in
            Kernels.current.axpy(Int64(count), 1, matrix.pointer + column, target + input)
        }
    }
}
