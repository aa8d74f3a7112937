/// The plain recurrent cell (Eq. 4):
///
///     h_t = φ(W_h h_{t-1} + W_x x_t + b)
///
/// | symbol | name | shape |
/// |---|---|---|
/// | W_x | `W_x` | [I, H] |
/// | W_h | `W_h` | [H, H] |
/// | b | `b` | [H] |
public final class RNNCell: Module {
    public let W_x: Variable
    public let W_h: Variable
    public let b: Variable

    public init(W_x: Variable, W_h: Variable, b: Variable) {
        self.W_x = W_x
        self.W_h = W_h
        self.b = b
    }

    /// Orthogonal weights, biases 0.
    public convenience init(inputs: Int, units: Int, random: inout RandomStream) {
        self.init(
            W_x: Initialiser.orthogonal(rows: inputs, columns: units, random: &random),
            W_h: Initialiser.orthogonal(rows: units, columns: units, random: &random),
            b: Initialiser.constant(0, [units]))
    }

    public var parameters: [NamedParameter] {
        [NamedParameter("W_x", W_x), NamedParameter("W_h", W_h), NamedParameter("b", b)]
    }

    /// - Parameters:
    ///   - x: x_t, B rows.
    ///   - h: h_{t-1}, [B, H].
    /// - Returns: h_t, [B, H].
    public func step(_ x: CellInput, _ h: Variable) -> Variable {
        // Eq. 4
        tanh(addRow(matmul(h, W_h) + x.times(W_x), b))
    }
}
