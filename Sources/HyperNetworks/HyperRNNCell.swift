/// The HyperRNN (§3.2, Equations 5–8): a small recurrent cell, the hyper cell, makes or rescales the weights of a main
/// one at every step. The HyperLSTM is what the paper's experiments use; this is the form that it is derived from.
///
/// | symbol | name | shape |
/// |---|---|---|
/// | the hyper cell of Eq. 6 | `hyperCell` | an RNN of h units on H + I inputs |
/// | W_ĥh, b_ĥh | `W_hhat_h`, `b_hhat_h` | [h, N_z], [N_z] |
/// | W_ĥx, b_ĥx | `W_hhat_x`, `b_hhat_x` | [h, N_z], [N_z] |
/// | W_ĥb | `W_hhat_b` | [h, N_z] |
/// | W_bz, b_0 | `W_bz`, `b_0` | [N_z, H], [H] |
/// | W_hz, W_xz | in `weights` | by form |
public final class HyperRNNCell: RecurrentCell {
    /// The form in which the embeddings z_h and z_x make the main weights.
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
    /// Deviation `hyperStateForEmbeddings`.
    public let hyperStateForEmbeddings: HyperStateForEmbeddings

    /// A cell with the given parameters.
    ///
    /// - Parameters:
    ///   - weights: The main weights in one of the two forms.
    ///   - hyperCell: An RNN of h units on H + I inputs.
    ///   - hyperStateForEmbeddings: Deviation `hyperStateForEmbeddings`.
    /// - Precondition: Every parameter has its shape in the table above, and `weights` the shapes of their form.
    public init(
        weights: Weights, hyperCell: RNNCell, W_hhat_h: Variable, b_hhat_h: Variable, W_hhat_x: Variable,
        b_hhat_x: Variable, W_hhat_b: Variable, W_bz: Variable, b_0: Variable,
        hyperStateForEmbeddings: HyperStateForEmbeddings
    ) {
        let H = b_0.shape[0], h = hyperCell.units, I = hyperCell.inputs - H, Nz = W_bz.shape[0]
        let main: [(String, Variable, [Int])]
        switch weights {
        case .full(let W_hz, let W_xz):
            main = [("W_hz", W_hz, [Nz, H, H]), ("W_xz", W_xz, [Nz, I, H])]
        case .scaled(let W_h, let W_x, let W_hz, let W_xz):
            main = [("W_h", W_h, [H, H]), ("W_x", W_x, [I, H]), ("W_hz", W_hz, [Nz, H]), ("W_xz", W_xz, [Nz, H])]
        }
        let others: [(String, Variable, [Int])] = [
            ("W_hhat_h", W_hhat_h, [h, Nz]), ("b_hhat_h", b_hhat_h, [Nz]), ("W_hhat_x", W_hhat_x, [h, Nz]),
            ("b_hhat_x", b_hhat_x, [Nz]), ("W_hhat_b", W_hhat_b, [h, Nz]), ("W_bz", W_bz, [Nz, H]), ("b_0", b_0, [H]),
        ]
        for (name, parameter, shape) in main + others {
            precondition(parameter.shape == shape, "\(name) of a HyperRNN is \(shape), found \(parameter.shape)")
        }
        self.weights = weights
        self.hyperCell = hyperCell
        self.W_hhat_h = W_hhat_h
        self.b_hhat_h = b_hhat_h
        self.W_hhat_x = W_hhat_x
        self.b_hhat_x = b_hhat_x
        self.W_hhat_b = W_hhat_b
        self.W_bz = W_bz
        self.b_0 = b_0
        self.hyperStateForEmbeddings = hyperStateForEmbeddings
    }

    /// Initial values as A.2.3 gives them for the HyperLSTM: W_ĥh, W_ĥx zero with bias 1; W_ĥb normal with s.d. 0.01;
    /// b_0, W_bz zero; the hyper cell's weights orthogonal.
    ///
    /// In the efficient form W_h, W_x are orthogonal and W_hz, W_xz 0.1 / N_z, so that every scale starts at 0.1. In
    /// the full form, for which the paper gives no values, each of the N_z slices of W_hz and W_xz is orthogonal by
    /// itself, times 0.1 / √N_z: their sum, the first W_h, has elements of the efficient form's mean square (deviation
    /// `hyperRNNInitialValues`).
    ///
    /// - Parameters:
    ///   - inputs: I, the width of x.
    ///   - units: H of the main cell.
    ///   - hyperUnits: h of the hyper cell.
    ///   - embeddingSize: N_z.
    ///   - full: Whether the main weights are those of Eq. 5, in place of Eq. 8.
    ///   - hyperStateForEmbeddings: Deviation `hyperStateForEmbeddings`.
    ///   - initialValues: Of W_x in the main cell and in the hyper cell, and of the efficient form's W_hz and W_xz.
    ///   - random: Where the initial values are drawn from.
    public convenience init(
        inputs: Int, units: Int, hyperUnits: Int, embeddingSize Nz: Int, full: Bool,
        hyperStateForEmbeddings: HyperStateForEmbeddings, initialValues: RecurrentInitialValues,
        random: inout RandomStream
    ) {
        func recurrent() -> Variable { Initializer.orthogonal(rows: units, columns: units, random: &random) }
        func input() -> Variable {
            initialValues.input.variable(inputs: inputs, units: units, blocks: 1, random: &random)
        }
        func slices(_ slice: () -> Variable) -> Variable {
            let scaled = (0..<Nz).map { _ in affine(slice(), scale: 0.1 / Float(Nz).squareRoot()) }
            let whole = concatenateRows(scaled).value
            return Variable(whole.reshaped([Nz, whole.shape[0] / Nz, units]), requiresGradient: true)
        }
        let weights: Weights
        if full {
            weights = .full(W_hz: slices(recurrent), W_xz: slices(input))
        } else {
            weights = .scaled(
                W_h: recurrent(), W_x: input(), W_hz: initialValues.scaling.variable([Nz, units], random: &random),
                W_xz: initialValues.scaling.variable([Nz, units], random: &random))
        }
        self.init(
            weights: weights,
            hyperCell: RNNCell(
                inputs: units + inputs, units: hyperUnits, inputInitialValues: initialValues.input, random: &random),
            W_hhat_h: Initializer.constant(0, [hyperUnits, Nz]), b_hhat_h: Initializer.constant(1, [Nz]),
            W_hhat_x: Initializer.constant(0, [hyperUnits, Nz]), b_hhat_x: Initializer.constant(1, [Nz]),
            W_hhat_b: Initializer.normal(standardDeviation: 0.01, [hyperUnits, Nz], random: &random),
            W_bz: Initializer.constant(0, [Nz, units]), b_0: Initializer.constant(0, [units]),
            hyperStateForEmbeddings: hyperStateForEmbeddings)
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

    public var inputs: Int {
        switch weights {
        case .full(_, let W_xz): W_xz.shape[1]
        case .scaled(_, let W_x, _, _): W_x.shape[0]
        }
    }
    public var units: Int { b_0.shape[0] }

    /// The count of a cell's parameters, by the shapes in the table above.
    public static func parameterCount(
        inputs I: Int, units H: Int, hyperUnits h: Int, embeddingSize Nz: Int, full: Bool
    ) -> Int {
        (full ? Nz * (H + I) * H : (H + I) * H + 2 * Nz * H) + RNNCell.parameterCount(inputs: H + I, units: h)
            + 3 * h * Nz + 2 * Nz + Nz * H + H
    }

    public func zeroState(batch: Int) -> HyperRNNState {
        HyperRNNState(main: RNNState(batch: batch, units: units), hyper: hyperCell.zeroState(batch: batch))
    }

    /// One step, x [B, I] and h [B, H]; no dropout is defined for it, and masks are not read.
    public func step(_ x: CellInput, _ state: HyperRNNState, masks: [Variable?]) -> HyperRNNState {
        let h = state.main.h
        // Eq. 6
        let hyper = hyperCell.step(.joined(h, x), state.hyper)
        let ĥ = hyperStateForEmbeddings == .current ? hyper.h : state.hyper.h
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
        return HyperRNNState(main: RNNState(h: tanh(y)), hyper: hyper)
    }

    /// ⟨W, z⟩ applied to an input: Σ_k z_k · (input W_k), each row with its own z.
    private static func inner(_ W: Variable, _ z: Variable, _ apply: (Variable) -> Variable) -> Variable {
        let terms = (0..<W.shape[0]).map { k in
            scaleRows(
                apply(reshape(rows(W, k..<k + 1, shared: true), Array(W.shape.dropFirst()))), by: columns(z, k..<k + 1))
        }
        return terms.dropFirst().reduce(terms[0], +)
    }
}
