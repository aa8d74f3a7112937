/// A convolution algorithm for images that are padded with zeros. Each call runs on one thread unless it says
/// otherwise.
///
/// Images lie one after the other in memory: `paddedCount` floats for each padded image, `shape.outputCount` for each
/// output. `next` is the memory that the thread reads after the call; an algorithm may prefetch it.
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

    /// The kernel in the order that `forward` reads it, or `transposed` the one that `inputGradient` does; by all
    /// threads.
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

    /// Adds the parts `parts` of `kernelGradientParts` of what `kernelGradient` summed up to a gradient of the kernel's
    /// shape. Their lower bound is a multiple of 16, and so is the upper one, unless it is the end.
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
