// Operations that shrink images: pooling, and the shortcut of a residual block that changes their size.

/// The largest value of each 2 × 2 square of pixels; an odd last row or column is left out.
///
///     y[b, i, j, c] = max over u, v in {0, 1} of x[b, 2 i + u, 2 j + v, c]
///
/// The gradient goes to the first of equal values.
///
/// - Parameter x: [B, H, W, C].
/// - Returns: [B, H / 2, W / 2, C].
public func maxPool2x2(_ x: Variable) -> Variable { maxPool2x2(x, kernels: Kernels.current) }

/// The same with a chosen instruction set, for tests of all of them.
package func maxPool2x2(_ x: Variable, kernels: VectorKernels) -> Variable {
    precondition(x.shape.count == 4, "pooling takes [B, H, W, C], found \(x.shape)")
    let (batch, height, width, channels) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let shape = [batch, height / 2, width / 2, channels], row = width * channels
    let y = Tensor(uninitialized: shape)

    /// Calls `body` with the offsets of every row of the result and of the two rows that it comes from.
    func forEachRow(_ body: (_ output: Int, _ input: Int) -> Void) {
        Parallel.chunks(of: batch * shape[1]) { rows, _ in
            for index in rows {
                let (image, i) = (index / shape[1], index % shape[1])
                body(index * shape[2] * channels, (image * height + 2 * i) * row)
            }
        }
    }

    forEachRow { output, input in
        kernels.max_pool(Int64(shape[2]), Int64(channels), x.value.pointer + input, Int64(row), y.pointer + output)
    }
    return Variable(y, operands: [x]) { dY in
        x.addGradient { dX, accumulate in
            // The gradient of an odd last row or column, which gave to no output, is 0.
            if !accumulate && (height % 2 == 1 || width % 2 == 1) { dX.fill(0) }
            forEachRow { output, input in
                kernels.max_pool_backward(
                    Int64(shape[2]), Int64(channels), x.value.pointer + input, Int64(row), y.pointer + output,
                    dY.pointer + output, accumulate ? 1 : 0, dX.pointer + input)
            }
        }
    }
}

/// The mean over all pixels of an image.
///
/// - Parameter x: [B, H, W, C].
/// - Returns: [B, C].
public func globalAveragePool(_ x: Variable) -> Variable {
    precondition(x.shape.count == 4, "pooling takes [B, H, W, C], found \(x.shape)")
    let (batch, channels) = (x.shape[0], x.shape[3]), pixels = x.shape[1] * x.shape[2], count = pixels * channels
    let y = Tensor(zeros: [batch, channels]), share = 1 / Float(pixels)
    Parallel.chunks(of: batch) { images, _ in
        for image in images {
            let out = y.pointer + image * channels
            Kernels.current.channel_sums(Int64(pixels), Int64(channels), x.value.pointer + image * count, out)
            for c in 0..<channels { out[c] *= share }
        }
    }
    return Variable(y, operands: [x]) { dY in
        x.addGradient { dX, accumulate in
            if !accumulate { dX.fill(0) }
            Parallel.chunks(of: batch) { images, _ in
                for image in images {
                    for pixel in 0..<pixels {
                        Kernels.current.axpy(
                            Int64(channels), share, dY.pointer + image * channels,
                            dX.pointer + image * count + pixel * channels)
                    }
                }
            }
        }
    }
}

/// The shortcut without parameters: every `stride`-th pixel, with channels of zeros behind its own.
///
///     y[b, i, j, c] = x[b, i·s, j·s, c] for c < C, else 0
///
/// - Parameters:
///   - x: [B, H, W, C].
///   - stride: s.
///   - channels: Channels of the result, at least C.
/// - Returns: [B, ⌈H / s⌉, ⌈W / s⌉, channels].
public func subsampleAndPadChannels(_ x: Variable, stride: Int, channels: Int) -> Variable {
    precondition(
        x.shape.count == 4 && stride > 0 && channels >= x.shape[3],
        "a shortcut takes [B, H, W, C] to no fewer channels, found \(x.shape), stride \(stride), \(channels) channels")
    if stride == 1 && channels == x.shape[3] { return x }
    let (batch, height, width, own) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let shape = [batch, (height + stride - 1) / stride, (width + stride - 1) / stride, channels]
    let y = Tensor(uninitialized: shape)

    /// Calls `body` with the offsets of every pixel of the result and of its source.
    func forEachPixel(_ body: (_ output: Int, _ input: Int) -> Void) {
        Parallel.chunks(of: batch * shape[1]) { rows, _ in
            for row in rows {
                let (image, i) = (row / shape[1], row % shape[1])
                for j in 0..<shape[2] {
                    body((row * shape[2] + j) * channels, ((image * height + i * stride) * width + j * stride) * own)
                }
            }
        }
    }

    forEachPixel { output, input in
        (y.pointer + output).update(from: x.value.pointer + input, count: own)
        (y.pointer + output + own).update(repeating: 0, count: channels - own)
    }
    return Variable(y, operands: [x]) { dY in
        x.addGradient { dX, accumulate in
            if !accumulate { dX.fill(0) }
            forEachPixel { output, input in
                Kernels.current.axpy(Int64(own), 1, dY.pointer + output, dX.pointer + input)
            }
        }
    }
}
