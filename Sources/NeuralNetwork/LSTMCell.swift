/// h and c of a recurrent cell, [B, H] each.
public struct LSTMState {
    public var h: Variable
    public var c: Variable

    public init(h: Variable, c: Variable) {
        self.h = h
        self.c = c
    }

    /// Zeros.
    public init(batch: Int, units: Int) {
        h = Variable(Tensor(zeros: [batch, units]))
        c = Variable(Tensor(zeros: [batch, units]))
    }
}

/// The parameters of layer normalisation in an LSTM: one for each of the gates, one for c.
public final class LSTMLayerNorm: Module {
    public let gamma: Variable
    public let beta: Variable
    public let gamma_c: Variable
    public let beta_c: Variable
    /// ε under the square root.
    public let epsilon: Float

    public init(gamma: Variable, beta: Variable, gamma_c: Variable, beta_c: Variable, epsilon: Float) {
        self.gamma = gamma
        self.beta = beta
        self.gamma_c = gamma_c
        self.beta_c = beta_c
        self.epsilon = epsilon
    }

    /// γ = 1, β = 0.
    public convenience init(units: Int, epsilon: Float) {
        self.init(
            gamma: Initialiser.constant(1, [4 * units]), beta: Initialiser.constant(0, [4 * units]),
            gamma_c: Initialiser.constant(1, [units]), beta_c: Initialiser.constant(0, [units]), epsilon: epsilon)
    }

    public var parameters: [NamedParameter] {
        [
            NamedParameter("gamma", gamma), NamedParameter("beta", beta), NamedParameter("gamma_c", gamma_c),
            NamedParameter("beta_c", beta_c),
        ]
    }

    /// LN of gate pre-activations [B, 4H], each gate by itself.
    public func gates(_ y: Variable) -> Variable { layerNorm(y, gamma: gamma, beta: beta, groups: 4, epsilon: epsilon) }

    /// LN of c [B, H].
    public func cellState(_ c: Variable) -> Variable { layerNorm(c, gamma: gamma_c, beta: beta_c, epsilon: epsilon) }
}

/// The half of an LSTM that follows the matrix products: from gate pre-activations to the next state. The LSTM, the
/// layer-normalised LSTM, the HyperLSTM and the hyper cell inside it share it.
public struct LSTMUpdate {
    public let layerNorm: LSTMLayerNorm?
    /// Added to f after the layer normalisation (deviation `forgetBias`).
    public let forgetBias: Float

    public init(layerNorm: LSTMLayerNorm?, forgetBias: Float) {
        self.layerNorm = layerNorm
        self.forgetBias = forgetBias
    }

    /// - Parameters:
    ///   - y: Pre-activations of the gates i, g, f, o, [B, 4H].
    ///   - c: c_{t-1}, [B, H].
    ///   - mask: Recurrent dropout on φ(g), [B, H], or nil.
    /// - Returns: h_t and c_t.
    public func callAsFunction(_ y: Variable, c: Variable, mask: Variable?) -> LSTMState {
        let H = c.shape[1]
        let y = layerNorm?.gates(y) ?? y
        let i = columns(y, 0..<H), g = columns(y, H..<2 * H), f = columns(y, 2 * H..<3 * H)
        let o = columns(y, 3 * H..<4 * H)
        // Eq. 13 (Eq. 9 without dropout and layer normalisation)
        let candidate = mask.map { tanh(g) * $0 } ?? tanh(g)
        let c = sigmoid(affine(f, offset: forgetBias)) * c + sigmoid(i) * candidate
        let h = sigmoid(o) * tanh(layerNorm?.cellState(c) ?? c)
        return LSTMState(h: h, c: c)
    }

    /// The same for the fused operations.
    package func kernel(units: Int) -> LSTMKernel {
        LSTMKernel(
            units: Int64(units), epsilon: layerNorm?.epsilon ?? 0, forgetBias: forgetBias,
            gamma: layerNorm.map { UnsafePointer($0.gamma.value.pointer) },
            beta: layerNorm.map { UnsafePointer($0.beta.value.pointer) },
            gammaC: layerNorm.map { UnsafePointer($0.gamma_c.value.pointer) },
            betaC: layerNorm.map { UnsafePointer($0.beta_c.value.pointer) })
    }
}

/// An LSTM cell, with or without layer normalisation (Eq. 9, 10; Eq. 13 for recurrent dropout).
///
/// | symbol | name | shape |
/// |---|---|---|
/// | W_x^i, W_x^g, W_x^f, W_x^o | `W_x` | [I, 4H] |
/// | W_h^i … | `W_h` | [H, 4H] |
/// | b^i … | `b` | [4H] |
/// | γ, β of LN, gates and c | `layerNorm` | [4H], [4H], [H], [H] |
///
/// Gates are packed in the paper's order i, g, f, o.
public final class LSTMCell: Module {
    public let W_x: Variable
    public let W_h: Variable
    public let b: Variable
    public let update: LSTMUpdate

    public var inputs: Int { W_x.shape[0] }
    public var units: Int { W_h.shape[0] }

    public init(W_x: Variable, W_h: Variable, b: Variable, update: LSTMUpdate) {
        let H = W_h.shape[0]
        precondition(
            W_h.shape == [H, 4 * H] && W_x.shape.count == 2 && W_x.shape[1] == 4 * H && b.shape == [4 * H],
            "an LSTM cell has W_x [I, 4H], W_h [H, 4H], b [4H], found \(W_x.shape), \(W_h.shape), \(b.shape)")
        self.W_x = W_x
        self.W_h = W_h
        self.b = b
        self.update = update
    }

    /// Orthogonal weights gate by gate, biases 0 (A.2.3; deviations `orthogonalPerGate`, `inputInitialValues`).
    public convenience init(
        inputs: Int, units: Int, layerNormEpsilon: Float?, forgetBias: Float, inputInitialValues: InputInitialValues,
        random: inout RandomStream
    ) {
        self.init(
            W_x: inputInitialValues.variable(inputs: inputs, units: units, random: &random),
            W_h: Initialiser.orthogonal(rows: units, columns: units, blocks: 4, random: &random),
            b: Initialiser.constant(0, [4 * units]),
            update: LSTMUpdate(
                layerNorm: layerNormEpsilon.map { LSTMLayerNorm(units: units, epsilon: $0) }, forgetBias: forgetBias))
    }

    public var parameters: [NamedParameter] {
        [NamedParameter("W_x", W_x), NamedParameter("W_h", W_h), NamedParameter("b", b)]
            + (update.layerNorm?.parameters ?? [])
    }

    /// One step. `lstmSequence` does the same for a whole sequence, faster.
    ///
    /// - Parameters:
    ///   - x: x_t, B rows.
    ///   - state: h_{t-1} and c_{t-1}.
    ///   - mask: Recurrent dropout on φ(g), [B, H], or nil.
    public func step(_ x: CellInput, _ state: LSTMState, mask: Variable? = nil) -> LSTMState {
        // Eq. 9
        let y = addRow(matmul(state.h, W_h) + x.times(W_x), b)
        return update(y, c: state.c, mask: mask)
    }
}
