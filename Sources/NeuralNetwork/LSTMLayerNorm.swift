/// The parameters of layer normalization in an LSTM: one for each of the gates, one for c.
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
            gamma: Initializer.constant(1, [4 * units]), beta: Initializer.constant(0, [4 * units]),
            gamma_c: Initializer.constant(1, [units]), beta_c: Initializer.constant(0, [units]), epsilon: epsilon)
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
