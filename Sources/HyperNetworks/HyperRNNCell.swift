/// The HyperRNN (§3.2, Equations 5–8): a small recurrent cell, the hyper cell, makes or rescales the weights of a main
/// one at every step. The HyperLSTM is what the experiments use; this is the form that the paper derives it from.
///
/// | symbol | name | shape |
/// |---|---|---|
/// | the hyper cell of Eq. 6 | `hyperCell` | an RNN of h units on H + I inputs |
/// | W_ĥh, b_ĥh | `W_hhat_h`, `b_hhat_h` | [h, N_z], [N_z] |
/// | W_ĥx, b_ĥx | `W_hhat_x`, `b_hhat_x` | [h, N_z], [N_z] |
/// | W_ĥb | `W_hhat_b` | [h, N_z] |
/// | W_bz, b_0 | `W_bz`, `b_0` | [N_z, H], [H] |
/// | W_hz, W_xz | in `weights` | by form |
public final class HyperRNNCell: Module {
    /// How the embeddings z_h and z_x make the main weights.
    public enum Weights {
        /// Eq. 5: W_h(z) = ⟨W_hz, z⟩, N_z times the memory of an RNN. W_hz [N_z, H, H], W_xz [N_z, I, H].
        case full(W_hz: Variable, W_xz: Variable)
        /// Eq. 7, 8: the rows of W_h and W_x, scaled. W_h [H, H], W_x [I, H], W_hz and W_xz [N_z, H].
        case scaled(W_h: Variable, W_x: Variable, W_hz: Variable, W_xz: Variable)
    }

    public let weights: Weights
    public let hyperCell: RNNCell
    public let W_hhat_h: Variable
    public let b_hhat_h: Variable
    public let W_hhat_x: Variable
    public let b_hhat_x: Variable
    public let W_hhat_b: Variable
    public let W_bz: Variable
    public let b_0: Variable

    public init(
        weights: Weights, hyperCell: RNNCell, W_hhat_h: Variable, b_hhat_h: Variable, W_hhat_x: Variable,
        b_hhat_x: Variable, W_hhat_b: Variable, W_bz: Variable, b_0: Variable
    ) {
        self.weights = weights
        self.hyperCell = hyperCell
        self.W_hhat_h = W_hhat_h
        self.b_hhat_h = b_hhat_h
        self.W_hhat_x = W_hhat_x
        self.b_hhat_x = b_hhat_x
        self.W_hhat_b = W_hhat_b
        self.W_bz = W_bz
        self.b_0 = b_0
    }

    /// The efficient form with the initial values that A.2.3 gives for the HyperLSTM.
    public convenience init(
        inputs: Int, units: Int, hyperUnits: Int, embeddingSize Nz: Int, random: inout RandomStream
    ) {
        self.init(
            weights: .scaled(
                W_h: Initialiser.orthogonal(rows: units, columns: units, random: &random),
                W_x: Initialiser.orthogonal(rows: inputs, columns: units, random: &random),
                W_hz: Initialiser.constant(0.1 / Float(Nz), [Nz, units]),
                W_xz: Initialiser.constant(0.1 / Float(Nz), [Nz, units])),
            hyperCell: RNNCell(inputs: units + inputs, units: hyperUnits, random: &random),
            W_hhat_h: Initialiser.constant(0, [hyperUnits, Nz]), b_hhat_h: Initialiser.constant(1, [Nz]),
            W_hhat_x: Initialiser.constant(0, [hyperUnits, Nz]), b_hhat_x: Initialiser.constant(1, [Nz]),
            W_hhat_b: Initialiser.normal(standardDeviation: 0.01, [hyperUnits, Nz], random: &random),
            W_bz: Initialiser.constant(0, [Nz, units]), b_0: Initialiser.constant(0, [units]))
    }

    public var parameters: [NamedParameter] {
        let own: [NamedParameter]
        switch weights {
        case .full(let W_hz, let W_xz):
            own = [NamedParameter("W_hz", W_hz), NamedParameter("W_xz", W_xz)]
        case .scaled(let W_h, let W_x, let W_hz, let W_xz):
            own = [
                NamedParameter("W_h", W_h), NamedParameter("W_x", W_x), NamedParameter("W_hz", W_hz),
                NamedParameter("W_xz", W_xz),
            ]
        }
        return own + hyperCell.parameters(under: "hyper") + [
            NamedParameter("W_hhat_h", W_hhat_h), NamedParameter("b_hhat_h", b_hhat_h),
            NamedParameter("W_hhat_x", W_hhat_x), NamedParameter("b_hhat_x", b_hhat_x),
            NamedParameter("W_hhat_b", W_hhat_b), NamedParameter("W_bz", W_bz), NamedParameter("b_0", b_0),
        ]
    }

    /// One step.
    ///
    /// - Parameters:
    ///   - x: x_t, B rows.
    ///   - h: h_{t-1}, [B, H].
    ///   - ĥ: ĥ_{t-1}, [B, h].
    /// - Returns: h_t and ĥ_t.
    public func step(_ x: CellInput, h: Variable, hyper ĥ: Variable) -> (h: Variable, hyper: Variable) {
        // Eq. 6
        let ĥ = hyperCell.step(.joined(h, x), ĥ)
        let z_h = addRow(matmul(ĥ, W_hhat_h), b_hhat_h)
        let z_x = addRow(matmul(ĥ, W_hhat_x), b_hhat_x)
        let z_b = matmul(ĥ, W_hhat_b)
        let b = addRow(matmul(z_b, W_bz), b_0)
        let y: Variable
        switch weights {
        case .full(let W_hz, let W_xz):
            // Eq. 5
            y = Self.inner(W_hz, z_h) { matmul(h, $0) } + Self.inner(W_xz, z_x) { x.times($0) } + b
        case .scaled(let W_h, let W_x, let W_hz, let W_xz):
            // Eq. 8
            y = matmul(z_h, W_hz) * matmul(h, W_h) + matmul(z_x, W_xz) * x.times(W_x) + b
        }
        return (tanh(y), ĥ)
    }

    /// ⟨W, z⟩ applied to an input: Σ_k z_k · (input W_k), each row with its own z.
    private static func inner(_ W: Variable, _ z: Variable, _ apply: (Variable) -> Variable) -> Variable {
        let terms = (0..<W.shape[0]).map { k in
            scaleRows(apply(reshape(rows(W, k..<k + 1), Array(W.shape.dropFirst()))), by: columns(z, k..<k + 1))
        }
        return terms.dropFirst().reduce(terms[0], +)
    }
}
