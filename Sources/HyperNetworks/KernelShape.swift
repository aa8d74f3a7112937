/// The extents of a convolution's kernel: C_in × C_out filters of f × f.
public struct KernelShape: Sendable, Equatable {
    /// f.
    public let size: Int
    /// C_in.
    public let inputs: Int
    /// C_out.
    public let outputs: Int

    public init(size: Int, inputs: Int, outputs: Int) {
        self.size = size
        self.inputs = inputs
        self.outputs = outputs
    }

    /// The tensor's shape, [f, f, C_in, C_out].
    public var extents: [Int] { [size, size, inputs, outputs] }
    public var count: Int { size * size * inputs * outputs }

    /// √(2 / fan-in), the standard deviation that keeps the variance of activations through ReLU (He et al. 2015).
    public var heStandardDeviation: Float { (2 / Float(size * size * inputs)).squareRoot() }

    /// A kernel of normal draws with that standard deviation (deviation `staticOwnedInitialValues`).
    func heKernel(random: inout RandomStream) -> Variable {
        Initializer.normal(standardDeviation: heStandardDeviation, extents, random: &random)
    }
}
