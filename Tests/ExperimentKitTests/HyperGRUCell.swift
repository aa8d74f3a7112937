import HyperNetworks

/// A GRU whose weights a smaller GRU rescales at every step: a cell of a newcomer, in this one file.
///
/// The hyper cell reads x̂ = (h; x) and gives each gate two scaling vectors, as Eq. 7 and 12 do for an RNN and an LSTM:
///
///     ĥ_t = GRU(ĥ_{t-1}, x̂_t)                d = ĥ_t W_d + b_d
///     r, u = σ(d_h ⊙ h W_h + d_x ⊙ x W_x + b)  n = φ(d_x ⊙ x W_x + b + r ⊙ d_h ⊙ h W_h)
///     h_t = (1 − u) ⊙ n + u ⊙ h_{t-1}
///
/// | symbol | name | shape |
/// |---|---|---|
/// | W_x, W_h, b of the gates r, u, n | `W_x`, `W_h`, `b` | [I, 3H], [H, 3H], [3H] |
/// | the same of the hyper cell | `hyper.W_x`, `hyper.W_h`, `hyper.b` | [H + I, 3h], [h, 3h], [3h] |
/// | W_d, b_d | `W_d`, `b_d` | [h, 6H], [6H] |
final class HyperGRUCell: RecurrentCell {
    /// Weights of one GRU.
    struct Gates {
        let W_x, W_h, b: Variable

        func parameters(_ prefix: String) -> [NamedParameter] {
            [
                NamedParameter("\(prefix)W_x", W_x), NamedParameter("\(prefix)W_h", W_h),
                NamedParameter("\(prefix)b", b),
            ]
        }
    }

    let main: Gates
    let hyper: Gates
    let W_d, b_d: Variable

    var inputs: Int { main.W_x.shape[0] }
    var units: Int { main.W_h.shape[0] }
    var parameters: [NamedParameter] {
        main.parameters("") + hyper.parameters("hyper.") + [NamedParameter("W_d", W_d), NamedParameter("b_d", b_d)]
    }

    init(main: Gates, hyper: Gates, W_d: Variable, b_d: Variable) {
        (self.main, self.hyper, self.W_d, self.b_d) = (main, hyper, W_d, b_d)
    }

    /// Orthogonal weights, W_d zero, and scales that start at 0.5.
    convenience init(inputs: Int, units: Int, hyperUnits: Int, random: inout RandomStream) {
        func gates(_ inputs: Int, _ units: Int) -> Gates {
            Gates(
                W_x: Initializer.orthogonal(rows: inputs, columns: units, blocks: 3, random: &random),
                W_h: Initializer.orthogonal(rows: units, columns: units, blocks: 3, random: &random),
                b: Initializer.constant(0, [3 * units]))
        }
        self.init(
            main: gates(inputs, units), hyper: gates(units + inputs, hyperUnits),
            W_d: Initializer.constant(0, [hyperUnits, 6 * units]), b_d: Initializer.constant(0.5, [6 * units]))
    }

    func zeroState(batch: Int) -> HyperRNNState {
        HyperRNNState(
            main: RNNState(batch: batch, units: units), hyper: RNNState(batch: batch, units: hyper.W_h.shape[0]))
    }

    func step(_ x: CellInput, _ state: HyperRNNState, masks: [Variable?]) -> HyperRNNState {
        let h = state.main.h, ĥ = state.hyper.h, H = units
        let next = Self.gru(
            CellInput.joined(h, x).times(hyper.W_x), matmul(ĥ, hyper.W_h), hyper.b, ĥ)
        let d = addRow(matmul(next, W_d), b_d)
        let d_h = columns(d, 0..<3 * H), d_x = columns(d, 3 * H..<6 * H)
        return HyperRNNState(
            main: RNNState(h: Self.gru(d_x * x.times(main.W_x), d_h * matmul(h, main.W_h), main.b, h)),
            hyper: RNNState(h: next))
    }

    /// The next h from the input's and the state's part of the pre-activations.
    private static func gru(_ x: Variable, _ recurrent: Variable, _ b: Variable, _ h: Variable) -> Variable {
        let H = h.shape[1], x = addRow(x, b)
        let gates = sigmoid(columns(x, 0..<2 * H) + columns(recurrent, 0..<2 * H))
        let r = columns(gates, 0..<H), u = columns(gates, H..<2 * H)
        let n = tanh(columns(x, 2 * H..<3 * H) + r * columns(recurrent, 2 * H..<3 * H))
        return n + u * (h - n)
    }
}
