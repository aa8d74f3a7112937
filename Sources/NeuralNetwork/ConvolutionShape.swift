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
