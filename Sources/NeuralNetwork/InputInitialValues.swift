/// The initial values of the input weights W_x of a recurrent cell (deviation `inputInitialValues`).
public enum InputInitialValues: String, Sendable, CaseIterable {
    /// (Semi-)orthogonal gate by gate, as A.2.3 says of all weights.
    case orthogonal
    /// Uniform with variance 1/inputs: the author's code leaves W_x at the default of its framework since October 18, 2016,
    /// and that was this one then (TensorFlow before 1.0).
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
