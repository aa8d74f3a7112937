/// L2 regularization of kernels, owned or generated, to be added to the loss:
///
///     coefficient · ½ Σ_K ‖K‖²          with the gradient coefficient · K
///
/// - Returns: A scalar.
public func l2Penalty(_ kernels: [Variable], coefficient: Double) -> Variable {
    var squares = [Double](repeating: 0, count: kernels.count)
    squares.withUnsafeMutableBufferPointer { squares in
        let squares = squares
        Parallel.loop(kernels.count) { index in
            let values = kernels[index].value
            // In blocks: a single float sum over many squares would lose digits.
            squares[index] = stride(from: 0, to: values.count, by: 1 << 12).reduce(0) { total, first in
                let part = values.pointer + first, count = Int64(min(1 << 12, values.count - first))
                return total + Double(Kernels.current.dot(count, part, part))
            }
        }
    }
    let total = Float(coefficient / 2 * squares.reduce(0, +))
    return Variable(Tensor([total], shape: []), operands: kernels) { gradient in
        let factor = Float(coefficient * Double(gradient.pointer[0]))
        for kernel in kernels {
            kernel.addGradient { dK, accumulate in
                if !accumulate { dK.fill(0) }
                Kernels.current.axpy(Int64(dK.count), factor, kernel.value.pointer, dK.pointer)
            }
        }
    }
}
