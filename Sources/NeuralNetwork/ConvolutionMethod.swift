/// The algorithms, fastest first.
package enum ConvolutionMethod: CaseIterable, Sendable {
    case winograd, direct

    /// Whether the method computes this shape. Both need channels in multiples of 16, the direct one inputs only where
    /// their gradient is asked for; Winograd's also 3 × 3 kernels, stride 1 and images of whole tiles.
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
