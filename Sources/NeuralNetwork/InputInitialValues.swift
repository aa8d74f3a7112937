/// The initial values of the input weights W_x of a recurrent cell (deviation `inputInitialValues`).
public enum InputInitialValues: String, Sendable, CaseIterable {
    /// (Semi-)orthogonal gate by gate, as A.2.3 says of all weights.
    case orthogonal
    /// Uniform with variance 1 / inputs, the default of TensorFlow before version 1.0: the author's code uses it for
    /// W_x since October 18, 2016.
    case uniformUnitScaling = "uniform-unit-scaling"

    /// W_x [inputs, blocks · units].
    ///
    /// - Parameter blocks: Matrices side by side: the gates of a cell, or 1.
    public func variable(inputs: Int, units: Int, blocks: Int, random: inout RandomStream) -> Variable {
        switch self {
        case .orthogonal: Initializer.orthogonal(rows: inputs, columns: units, blocks: blocks, random: &random)
        case .uniformUnitScaling:
            Initializer.uniformUnitScaling(rows: inputs, columns: blocks * units, random: &random)
        }
    }
}
