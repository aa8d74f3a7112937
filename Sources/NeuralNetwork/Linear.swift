/// A linear layer.
///
///     y[r, o] = Σ_i x[r, i] W[i, o] + b[o]
///
/// | symbol | name | shape |
/// |---|---|---|
/// | W | `W` | [in, out] |
/// | b | `b` | [out] |
public final class Linear: Module {
    public let W: Variable
    public let b: Variable

    public init(W: Variable, b: Variable) {
        precondition(b.shape == [W.shape[1]], "a bias for \(W.shape) has shape [\(W.shape[1])], found \(b.shape)")
        self.W = W
        self.b = b
    }

    /// Orthogonal weights, biases 0.
    public convenience init(inputs: Int, outputs: Int, random: inout RandomStream) {
        self.init(
            W: Initializer.orthogonal(rows: inputs, columns: outputs, random: &random),
            b: Initializer.constant(0, [outputs]))
    }

    public var parameters: [NamedParameter] { [NamedParameter("W", W), NamedParameter("b", b)] }

    /// x W + b.
    ///
    /// - Parameter x: [.., in].
    /// - Returns: [R, out].
    public func callAsFunction(_ x: Variable) -> Variable { addRow(matmul(x, W), b) }
}
