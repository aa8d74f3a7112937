@_exported import NeuralNetwork

/// The HyperLSTM (A.2.2, Equations 10–13): a small LSTM, the hyper cell, rescales the rows of a main LSTM's weights at
/// every step.
///
/// | symbol | name | shape |
/// |---|---|---|
/// | W_x^y, W_h^y, b_0^y | `W_x`, `W_h`, `b_0` | [I, 4H], [H, 4H], [4H] |
/// | LN of Eq. 12 and 13 | `update.layerNorm` | [4H], [4H], [H], [H] |
/// | the hyper cell of Eq. 10 | `hyperCell` | an LSTM of h units on H + I inputs |
/// | W_ĥh^y, b_ĥh^y | `W_hhat_h`, `b_hhat_h` | [h, 4 N_z], [4 N_z] |
/// | W_ĥx^y, b_ĥx^y | `W_hhat_x`, `b_hhat_x` | [h, 4 N_z], [4 N_z] |
/// | W_ĥb^y | `W_hhat_b` | [h, 4 N_z] |
/// | W_hz^y, W_xz^y, W_bz^y | `W_hz`, `W_xz`, `W_bz` | [4, N_z, H] |
///
/// y runs over the gates i, g, f, o, in this order. Matrices are applied from the right: the paper's W x is x W here.
public final class HyperLSTMCell: RecurrentCell {
    public let W_x: Variable
    public let W_h: Variable
    public let b_0: Variable
    public let update: LSTMUpdate
    public let hyperCell: LSTMCell
    public let W_hhat_h: Variable
    public let b_hhat_h: Variable
    public let W_hhat_x: Variable
    public let b_hhat_x: Variable
    public let W_hhat_b: Variable
    public let W_hz: Variable
    public let W_xz: Variable
    public let W_bz: Variable
    /// Deviation `hyperStateForEmbeddings`.
    public let hyperStateForEmbeddings: HyperStateForEmbeddings

    public var inputs: Int { W_x.shape[0] }
    public var units: Int { W_h.shape[0] }
    /// N_z.
    public var embeddingSize: Int { W_hz.shape[1] }

    /// A cell with the given parameters.
    ///
    /// - Parameters:
    ///   - update: The normalization of Eq. 12 and all of Eq. 13, with layer normalization of H units or without.
    ///   - hyperCell: An LSTM of h units on H + I inputs.
    ///   - hyperStateForEmbeddings: Deviation `hyperStateForEmbeddings`.
    /// - Precondition: Every parameter has its shape in the table above.
    public init(
        W_x: Variable, W_h: Variable, b_0: Variable, update: LSTMUpdate, hyperCell: LSTMCell, W_hhat_h: Variable,
        b_hhat_h: Variable, W_hhat_x: Variable, b_hhat_x: Variable, W_hhat_b: Variable, W_hz: Variable, W_xz: Variable,
        W_bz: Variable, hyperStateForEmbeddings: HyperStateForEmbeddings
    ) {
        let H = W_h.shape[0], h = hyperCell.units
        precondition(W_hz.shape.count == 3, "W_hz is [4, N_z, H], found \(W_hz.shape)")
        precondition(W_x.shape.count == 2, "W_x is [I, 4H], found \(W_x.shape)")
        let I = W_x.shape[0], Nz = W_hz.shape[1]
        // The fused operations read these through pointers: a wrong shape must not get there.
        for (name, parameter, shape) in [
            ("W_x", W_x, [I, 4 * H]), ("W_h", W_h, [H, 4 * H]), ("b_0", b_0, [4 * H]),
            ("hyper.W_x", hyperCell.W_x, [H + I, 4 * h]),
            ("W_hhat_h", W_hhat_h, [h, 4 * Nz]), ("b_hhat_h", b_hhat_h, [4 * Nz]),
            ("W_hhat_x", W_hhat_x, [h, 4 * Nz]), ("b_hhat_x", b_hhat_x, [4 * Nz]),
            ("W_hhat_b", W_hhat_b, [h, 4 * Nz]), ("W_hz", W_hz, [4, Nz, H]), ("W_xz", W_xz, [4, Nz, H]),
            ("W_bz", W_bz, [4, Nz, H]),
        ] {
            precondition(parameter.shape == shape, "\(name) of a HyperLSTM is \(shape), found \(parameter.shape)")
        }
        precondition(
            update.layerNorm.map { $0.gamma_c.shape == [H] } ?? true,
            "the layer normalization of a HyperLSTM of \(H) units has \(update.layerNorm?.gamma_c.shape ?? []) units")
        self.W_x = W_x
        self.W_h = W_h
        self.b_0 = b_0
        self.update = update
        self.hyperCell = hyperCell
        self.W_hhat_h = W_hhat_h
        self.b_hhat_h = b_hhat_h
        self.W_hhat_x = W_hhat_x
        self.b_hhat_x = b_hhat_x
        self.W_hhat_b = W_hhat_b
        self.W_hz = W_hz
        self.W_xz = W_xz
        self.W_bz = W_bz
        self.hyperStateForEmbeddings = hyperStateForEmbeddings
    }

    /// The initial values of A.2.3: hyper cell biases 0 and its weights orthogonal; W_ĥh, W_ĥx zero with bias 1; W_ĥb
    /// normal with s.d. 0.01; W_h, W_x orthogonal; b_0, W_bz zero; W_hz, W_xz 0.1 / N_z, so that every scale starts at
    /// 0.1 (deviations `inputInitialValues`, `scalingInitialValues`).
    ///
    /// - Parameters:
    ///   - inputs: I, the width of x.
    ///   - units: H of the main cell.
    ///   - hyperUnits: h of the hyper cell.
    ///   - embeddingSize: N_z.
    ///   - layerNormEpsilon: ε of the main cell's layer normalization, nil for none.
    ///   - hyperLayerNormEpsilon: The same for the hyper cell (deviation `hyperLayerNorm`).
    ///   - forgetBias: Added to f in both cells (deviation `forgetBias`).
    ///   - hyperStateForEmbeddings: Deviation `hyperStateForEmbeddings`.
    ///   - initialValues: Of W_x in the main cell and in the hyper cell, and of W_hz and W_xz.
    ///   - random: Where the initial values are drawn from.
    public convenience init(
        inputs: Int, units: Int, hyperUnits: Int, embeddingSize Nz: Int, layerNormEpsilon: Float?,
        hyperLayerNormEpsilon: Float?, forgetBias: Float, hyperStateForEmbeddings: HyperStateForEmbeddings,
        initialValues: RecurrentInitialValues, random: inout RandomStream
    ) {
        self.init(
            W_x: initialValues.input.variable(inputs: inputs, units: units, blocks: 4, random: &random),
            W_h: Initializer.orthogonal(rows: units, columns: units, blocks: 4, random: &random),
            b_0: Initializer.constant(0, [4 * units]),
            update: LSTMUpdate(
                layerNorm: layerNormEpsilon.map { LSTMLayerNorm(units: units, epsilon: $0) }, forgetBias: forgetBias),
            hyperCell: LSTMCell(
                inputs: units + inputs, units: hyperUnits, layerNormEpsilon: hyperLayerNormEpsilon,
                forgetBias: forgetBias, inputInitialValues: initialValues.input, random: &random),
            W_hhat_h: Initializer.constant(0, [hyperUnits, 4 * Nz]), b_hhat_h: Initializer.constant(1, [4 * Nz]),
            W_hhat_x: Initializer.constant(0, [hyperUnits, 4 * Nz]), b_hhat_x: Initializer.constant(1, [4 * Nz]),
            W_hhat_b: Initializer.normal(standardDeviation: 0.01, [hyperUnits, 4 * Nz], random: &random),
            W_hz: initialValues.scaling.variable([4, Nz, units], random: &random),
            W_xz: initialValues.scaling.variable([4, Nz, units], random: &random),
            W_bz: Initializer.constant(0, [4, Nz, units]), hyperStateForEmbeddings: hyperStateForEmbeddings)
    }

    public var parameters: [NamedParameter] {
        [NamedParameter("W_x", W_x), NamedParameter("W_h", W_h), NamedParameter("b_0", b_0)]
            + (update.layerNorm?.parameters ?? []) + hyperCell.parameters(under: "hyper") + [
                NamedParameter("W_hhat_h", W_hhat_h), NamedParameter("b_hhat_h", b_hhat_h),
                NamedParameter("W_hhat_x", W_hhat_x), NamedParameter("b_hhat_x", b_hhat_x),
                NamedParameter("W_hhat_b", W_hhat_b), NamedParameter("W_hz", W_hz), NamedParameter("W_xz", W_xz),
                NamedParameter("W_bz", W_bz),
            ]
    }

    /// The weight scaling vectors and the bias that Eq. 11 and 12 make of the hyper cell's output, [B, 4H] each.
    public struct Scaling {
        public let d_h: Variable
        public let d_x: Variable
        public let b: Variable
    }

    /// - Parameter ĥ: The hyper cell's output, [B, h].
    public func scaling(_ ĥ: Variable) -> Scaling {
        // Eq. 11
        let z_h = addRow(matmul(ĥ, W_hhat_h), b_hhat_h)
        let z_x = addRow(matmul(ĥ, W_hhat_x), b_hhat_x)
        let z_b = matmul(ĥ, W_hhat_b)
        // Eq. 12: d_h, d_x, b
        return Scaling(d_h: gateByGate(z_h, W_hz), d_x: gateByGate(z_x, W_xz), b: addRow(gateByGate(z_b, W_bz), b_0))
    }

    /// z^y W^y for each gate y, side by side: [B, 4 N_z] and [4, N_z, H] to [B, 4H].
    private func gateByGate(_ z: Variable, _ W: Variable) -> Variable {
        let Nz = embeddingSize, W = reshape(W, [4 * Nz, units])
        return concatenateColumns(
            (0..<4).map { y in
                matmul(columns(z, y * Nz..<(y + 1) * Nz), rows(W, y * Nz..<(y + 1) * Nz, shared: true))
            })
    }

    /// The count of a cell's parameters, by the shapes in the table above.
    public static func parameterCount(
        inputs I: Int, units H: Int, hyperUnits h: Int, embeddingSize Nz: Int, layerNorm: Bool, hyperLayerNorm: Bool
    ) -> Int {
        LSTMCell.parameterCount(inputs: I, units: H, layerNorm: layerNorm)
            + LSTMCell.parameterCount(inputs: H + I, units: h, layerNorm: hyperLayerNorm)
            + 4 * (2 * (h * Nz + Nz) + h * Nz) + 12 * Nz * H
    }

    public var maskWidths: [Int] { [units] + hyperCell.maskWidths }

    public func zeroState(batch: Int) -> HyperLSTMState {
        HyperLSTMState(main: LSTMState(batch: batch, units: units), hyper: hyperCell.zeroState(batch: batch))
    }

    /// One step; the masks are on φ(g) of the main cell and of the hyper cell.
    public func step(_ x: CellInput, _ state: HyperLSTMState, masks: [Variable?]) -> HyperLSTMState {
        // Eq. 10: the ordinary cell on x̂_t = (h_{t-1}; x_t)
        let hyper = hyperCell.step(.joined(state.main.h, x), state.hyper, masks: Array(masks.dropFirst()))
        let scaling = scaling(hyperStateForEmbeddings == .current ? hyper.h : state.hyper.h)
        // Eq. 12; its LN and Eq. 13 are the update's
        let y = scaling.d_h * matmul(state.main.h, W_h) + scaling.d_x * x.times(W_x) + scaling.b
        return HyperLSTMState(main: update(y, c: state.main.c, mask: masks.first ?? nil), hyper: hyper)
    }

    public func packed(batch: Int) -> PackedHyperLSTM { PackedHyperLSTM(self, batch: batch) }
}
