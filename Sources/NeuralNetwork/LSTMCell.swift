/// An LSTM cell, with or without layer normalization (Eq. 9, 10; Eq. 13 for recurrent dropout).
///
/// | symbol | name | shape |
/// |---|---|---|
/// | W_x^i, W_x^g, W_x^f, W_x^o | `W_x` | [I, 4H] |
/// | W_h^i … | `W_h` | [H, 4H] |
/// | b^i … | `b` | [4H] |
/// | γ, β of LN, gates and c | `layerNorm` | [4H], [4H], [H], [H] |
///
/// Gates are packed in the paper's order i, g, f, o.
public final class LSTMCell: RecurrentCell {
    public let W_x: Variable
    public let W_h: Variable
    public let b: Variable
    public let update: LSTMUpdate

    public var inputs: Int { W_x.shape[0] }
    public var units: Int { W_h.shape[0] }

    /// A cell with the given parameters.
    ///
    /// - Parameters:
    ///   - W_x: [I, 4H].
    ///   - W_h: [H, 4H].
    ///   - b: [4H].
    ///   - update: What follows the products, with layer normalization of H units or without.
    /// - Precondition: These shapes.
    public init(W_x: Variable, W_h: Variable, b: Variable, update: LSTMUpdate) {
        let H = W_h.shape[0]
        precondition(
            W_h.shape == [H, 4 * H] && W_x.shape.count == 2 && W_x.shape[1] == 4 * H && b.shape == [4 * H],
            "an LSTM cell has W_x [I, 4H], W_h [H, 4H], b [4H], found \(W_x.shape), \(W_h.shape), \(b.shape)")
        precondition(
            update.layerNorm.map { $0.gamma_c.shape == [H] } ?? true,
            "the layer normalization of an LSTM of \(H) units has \(update.layerNorm?.gamma_c.shape ?? []) units")
        self.W_x = W_x
        self.W_h = W_h
        self.b = b
        self.update = update
    }

    /// Orthogonal weights gate by gate, biases 0 (A.2.3; deviations `orthogonalPerGate`, `inputInitialValues`).
    ///
    /// - Parameters:
    ///   - inputs: I, the width of x.
    ///   - units: H.
    ///   - layerNormEpsilon: ε of the layer normalization, nil for none.
    ///   - forgetBias: Added to f (deviation `forgetBias`).
    ///   - inputInitialValues: How W_x starts.
    ///   - random: Where the initial values are drawn from.
    public convenience init(
        inputs: Int, units: Int, layerNormEpsilon: Float?, forgetBias: Float, inputInitialValues: InputInitialValues,
        random: inout RandomStream
    ) {
        self.init(
            W_x: inputInitialValues.variable(inputs: inputs, units: units, blocks: 4, random: &random),
            W_h: Initializer.orthogonal(rows: units, columns: units, blocks: 4, random: &random),
            b: Initializer.constant(0, [4 * units]),
            update: LSTMUpdate(
                layerNorm: layerNormEpsilon.map { LSTMLayerNorm(units: units, epsilon: $0) }, forgetBias: forgetBias))
    }

    public var parameters: [NamedParameter] {
        [NamedParameter("W_x", W_x), NamedParameter("W_h", W_h), NamedParameter("b", b)]
            + (update.layerNorm?.parameters ?? [])
    }

    /// The count of a cell's parameters, by the shapes in the table above.
    public static func parameterCount(inputs I: Int, units H: Int, layerNorm: Bool) -> Int {
        4 * H * (I + H + 1) + (layerNorm ? 10 * H : 0)
    }

    public var maskWidths: [Int] { [units] }

    public func zeroState(batch: Int) -> LSTMState { LSTMState(batch: batch, units: units) }

    /// One step; the mask is on φ(g).
    public func step(_ x: CellInput, _ state: LSTMState, masks: [Variable?]) -> LSTMState {
        // Eq. 9
        let y = addRow(matmul(state.h, W_h) + x.times(W_x), b)
        return update(y, c: state.c, mask: masks.first ?? nil)
    }

    public func packed(batch: Int) -> PackedLSTM { PackedLSTM(self, batch: batch) }
}
