/// The parameters of layer normalization in an LSTM: one for each of the gates, one for c.
public final class LSTMLayerNorm: Module {
    public let gamma: Variable
    public let beta: Variable
    public let gamma_c: Variable
    public let beta_c: Variable
    /// ε under the square root.
    public let epsilon: Float

    /// - Parameters:
    ///   - gamma: γ of the gates i, g, f, o, [4H].
    ///   - beta: β of the gates, [4H].
    ///   - gamma_c: γ of c, [H].
    ///   - beta_c: β of c, [H].
    ///   - epsilon: ε under the square root.
    /// - Precondition: These shapes.
    public init(gamma: Variable, beta: Variable, gamma_c: Variable, beta_c: Variable, epsilon: Float) {
        let H = gamma_c.shape[0]
        precondition(
            gamma_c.shape == [H] && beta_c.shape == [H] && gamma.shape == [4 * H] && beta.shape == [4 * H],
            "layer normalization in an LSTM has gamma and beta [4H], gamma_c and beta_c [H], found"
                + " \(gamma.shape), \(beta.shape), \(gamma_c.shape), \(beta_c.shape)")
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
