/// The initial values of a recurrent cell that a configuration can choose.
public struct RecurrentInitialValues: Equatable, Sendable {
    /// Of W_x, in the hyper cell too.
    public var input: InputInitialValues
    /// Of W_hz and W_xz, where there is a hyper cell.
    public var scaling: ScalingInitialValues

    /// Those of A.2.3 by default.
    public init(input: InputInitialValues = .orthogonal, scaling: ScalingInitialValues = .constant) {
        self.input = input
        self.scaling = scaling
    }
}

/// The initial values of W_hz and W_xz, which make the scales d of rows from embeddings z (deviation
/// `scalingInitialValues`).
public enum ScalingInitialValues: String, CaseIterable, Sendable {
    /// 0.1 / N_z, as A.2.3 says.
    ///
    /// W_ĥh, W_ĥx and their biases start with constants as well, so that the N_z elements of an embedding have equal
    /// gradients and stay equal: training uses them as one.
    case constant
    /// 0.1 / N_z plus normal numbers of the same standard deviation, less their mean over the elements of z: every
    /// scale starts at 0.1 as with the constants, and every element in a direction of its own.
    case distinct

    /// W_hz or W_xz, [N_z, H] or, of a cell with gates, [gates, N_z, H].
    public func variable(_ shape: [Int], random: inout RandomStream) -> Variable {
        let (Nz, H) = (shape[shape.count - 2], shape[shape.count - 1])
        let start = 0.1 / Float(Nz)
        guard self == .distinct else { return Initializer.constant(start, shape) }
        var values = random.normal(shape.reduce(1, *)).map { start * $0 }
        for gate in stride(from: 0, to: values.count, by: Nz * H) {
            for unit in gate..<gate + H {
                let elements = stride(from: unit, to: unit + Nz * H, by: H)
                let mean = elements.reduce(0) { $0 + values[$1] } / Float(Nz)
                for element in elements { values[element] += start - mean }
            }
        }
        return Variable(Tensor(values, shape: shape), requiresGradient: true)
    }
}
