/// A way to convolve images that have a border of zeros; a call runs on one thread where it does not say otherwise.
///
/// Images in memory: with their border `paddedCount` floats, their outputs `shape.outputCount`; one after the other.
/// `next` is what the thread reads after a call, which may fetch it.
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
    /// Parts of them that go to different elements of the kernel's gradient.
    var kernelGradientParts: Int { get }

    /// The kernel in the order that `forward` reads it, or `transposed` the one that `inputGradient` does; by all threads.
    func pack(_ kernel: Tensor, transposed: Bool) -> Tensor

    /// y = convolution + bias + residual for `rows` rows of output of each image.
    func forward(
        images: Int, rows: Int, _ padded: FloatPointer, _ packed: FloatPointer, bias: FloatPointer?,
        residual: FloatPointer?, _ y: FloatPointer, next: [UpcomingMemory], scratch: FloatPointer)

    /// dx (+)= the gradient of the input from the one of the output, with its border.
    func inputGradient(
        images: Int, _ padded: FloatPointer, _ packed: FloatPointer, accumulate: Bool, _ dx: FloatPointer,
        next: [UpcomingMemory], scratch: FloatPointer)

    /// Adds the images' part of the kernel's gradient to `sums`, in an order of the algorithm's own, from them and the
    /// gradient of the output, both with their borders.
    func kernelGradient(
        images: Int, _ padded: FloatPointer, _ paddedGradient: FloatPointer, _ sums: FloatPointer,
        next: [UpcomingMemory], scratch: FloatPointer)

    /// Adds some parts of what `kernelGradient` summed up, from and to multiples of 16, to a gradient of the kernel's
    /// shape.
    func addKernelGradient(_ parts: Range<Int>, of sums: FloatPointer, to gradient: FloatPointer)
}

extension ConvolutionAlgorithm {
    /// Floats of an image with its border.
    var paddedCount: Int { (shape.height + 2 * shape.padding) * (shape.width + 2 * shape.padding) * shape.inputs }
    var paddedGradientCount: Int { (shape.outputHeight + 2 * gradientBorder) * gradientRow }
    /// Floats of a row of pixels of the output's gradient with its border.
    var gradientRow: Int { (shape.outputWidth + 2 * gradientBorder) * shape.outputs }
    /// The first float within the border.
    var gradientStart: Int { gradientBorder * (gradientRow + shape.outputs) }
}
