/// The plain recurrent cell (Eq. 4):
///
///     h_t = φ(W_h h_{t-1} + W_x x_t + b)
///
/// | symbol | name | shape |
/// |---|---|---|
/// | W_x | `W_x` | [I, H] |
/// | W_h | `W_h` | [H, H] |
/// | b | `b` | [H] |
public final class RNNCell: RecurrentCell {
    public let W_x: Variable
    public let W_h: Variable
    public let b: Variable

    public var inputs: Int { W_x.shape[0] }
    public var units: Int { W_h.shape[0] }

    /// A cell with the given parameters.
    ///
    /// - Parameters:
    ///   - W_x: [I, H].
    ///   - W_h: [H, H].
    ///   - b: [H].
    /// - Precondition: These shapes.
    public init(W_x: Variable, W_h: Variable, b: Variable) {
        let H = W_h.shape[0]
        precondition(
            W_h.shape == [H, H] && W_x.shape.count == 2 && W_x.shape[1] == H && b.shape == [H],
            "an RNN cell has W_x [I, H], W_h [H, H], b [H], found \(W_x.shape), \(W_h.shape), \(b.shape)")
        self.W_x = W_x
        self.W_h = W_h
        self.b = b
    }

    /// Orthogonal weights, biases 0 (A.2.3; deviation `inputInitialValues`).
    ///
    /// - Parameters:
    ///   - inputs: I, the width of x.
    ///   - units: H.
    ///   - inputInitialValues: How W_x starts.
    ///   - random: Where the initial values are drawn from.
    public convenience init(
        inputs: Int, units: Int, inputInitialValues: InputInitialValues, random: inout RandomStream
    ) {
        self.init(
            W_x: inputInitialValues.variable(inputs: inputs, units: units, blocks: 1, random: &random),
            W_h: Initializer.orthogonal(rows: units, columns: units, random: &random),
            b: Initializer.constant(0, [units]))
    }

    public var parameters: [NamedParameter] {
        [NamedParameter("W_x", W_x), NamedParameter("W_h", W_h), NamedParameter("b", b)]
    }

    /// The count of a cell's parameters, by the shapes in the table above.
    public static func parameterCount(inputs I: Int, units H: Int) -> Int { H * (I + H + 1) }

    public func zeroState(batch: Int) -> RNNState { RNNState(batch: batch, units: units) }

    /// One step, x [B, I] and h [B, H]; no dropout is defined for it, and masks are not read.
    public func step(_ x: CellInput, _ state: RNNState, masks: [Variable?]) -> RNNState {
        // Eq. 4
        RNNState(h: tanh(addRow(matmul(state.h, W_h) + x.times(W_x), b)))
    }
}
