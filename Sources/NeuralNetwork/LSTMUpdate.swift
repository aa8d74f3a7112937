/// The half of an LSTM that follows the matrix products: from gate pre-activations to the next state. The LSTM, the
/// layer-normalized LSTM, the HyperLSTM and the hyper cell inside it share it.
public struct LSTMUpdate {
    public let layerNorm: LSTMLayerNorm?
    /// Added to f after the layer normalization (deviation `forgetBias`).
    public let forgetBias: Float

    public init(layerNorm: LSTMLayerNorm?, forgetBias: Float) {
        self.layerNorm = layerNorm
        self.forgetBias = forgetBias
    }

    /// One update of the state (Eq. 13; Eq. 9 without dropout and layer normalization).
    ///
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
        let candidate = mask.map { tanh(g) * $0 } ?? tanh(g)
        let c = sigmoid(affine(f, offset: forgetBias)) * c + sigmoid(i) * candidate
        let h = sigmoid(o) * tanh(layerNorm?.cellState(c) ?? c)
        return LSTMState(h: h, c: c)
    }

    /// The constants and parameters of the update as the fused kernels take them. The pointers are valid while the
    /// parameters live.
    package func kernel(units: Int) -> LSTMKernel {
        LSTMKernel(
            units: Int64(units), epsilon: layerNorm?.epsilon ?? 0, forgetBias: forgetBias,
            gamma: layerNorm.map { UnsafePointer($0.gamma.value.pointer) },
            beta: layerNorm.map { UnsafePointer($0.beta.value.pointer) },
            gammaC: layerNorm.map { UnsafePointer($0.gamma_c.value.pointer) },
            betaC: layerNorm.map { UnsafePointer($0.beta_c.value.pointer) })
    }
}
