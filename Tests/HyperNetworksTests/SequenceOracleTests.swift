import HyperNetworks
import TestSupport
import Testing

extension Way {
    /// Runs a cell through a sequence.
    func run<Cell: RecurrentCell>(
        _ cell: Cell, _ x: CellInput, _ state: Cell.State, masks: [DropoutMask?] = []
    ) -> (h: Variable, last: Cell.State) {
        switch self {
        case .fused: cell.sequence(x, state, masks: masks)
        case .twin: cell.unrolled(x, state, masks: masks)
        }
    }
}

@Suite("Sequences against PyTorch in float64: values and all gradients")
struct SequenceOracleTests {
    static let lstms = [
        "lstm", "lstm_forgetBias0", "lstm_dense", "lstm_h33", "lstm_ln", "lstm_ln_forgetBias0", "lstm_ln_dense",
        "lstm_ln_h19", "lstm_ln_h33",
    ]

    @Test(arguments: lstms, Way.allCases)
    func lstm_equations9And13(name: String, way: Way) throws {
        let test = try OracleCase(name), cell = try test.lstm()
        let x = try test.input(vocabulary: cell.inputs)
        let result = way.run(cell, x, try test.state(), masks: [try test.mask("in.dropout")])
        try test.check(outputs: [
            ("out.h", result.h), ("out.hT", result.last.h), ("out.cT", result.last.c),
        ])
    }

    static let hyperLSTMs = [
        "hyperlstm", "hyperlstm_dense", "hyperlstm_nz4", "hyperlstm_nz17", "hyperlstm_hyperLN", "hyperlstm_ln",
        "hyperlstm_ln_dense", "hyperlstm_ln_nz4", "hyperlstm_ln_nz17", "hyperlstm_ln_hyperDropout",
        "hyperlstm_ln_previous", "hyperlstm_ln_forgetBias0", "hyperlstm_ln_h19", "hyperlstm_ln_h33",
    ]

    @Test(arguments: hyperLSTMs, Way.allCases)
    func hyperLSTM_equations10To13(name: String, way: Way) throws {
        let test = try OracleCase(name), cell = try test.hyperLSTM()
        let x = try test.input(vocabulary: cell.inputs)
        let state = HyperLSTMState(main: try test.state(), hyper: try test.state("in.hyper_"))
        let masks = [try test.mask("in.dropout"), try test.mask("in.hyperDropout")]
        let result = way.run(cell, x, state, masks: masks)
        try test.check(outputs: [
            ("out.h", result.h), ("out.hT", result.last.main.h), ("out.cT", result.last.main.c),
            ("out.hyper_hT", result.last.hyper.h), ("out.hyper_cT", result.last.hyper.c),
        ])
    }

    @Test(arguments: ["hyperrnn_efficient", "hyperrnn_full", "hyperrnn_previous"])
    func hyperRNN_equations5To8(name: String) throws {
        let test = try OracleCase(name)
        let W_hz = try test.variable("param.W_hz"), W_xz = try test.variable("param.W_xz")
        let weights: HyperRNNCell.Weights =
            name.hasSuffix("full")
            ? .full(W_hz: W_hz, W_xz: W_xz)
            : .scaled(
                W_h: try test.variable("param.W_h"), W_x: try test.variable("param.W_x"), W_hz: W_hz, W_xz: W_xz)
        let cell = HyperRNNCell(
            weights: weights,
            hyperCell: RNNCell(
                W_x: try test.variable("param.hyper.W_x"), W_h: try test.variable("param.hyper.W_h"),
                b: try test.variable("param.hyper.b")),
            W_hhat_h: try test.variable("param.W_hhat_h"), b_hhat_h: try test.variable("param.b_hhat_h"),
            W_hhat_x: try test.variable("param.W_hhat_x"), b_hhat_x: try test.variable("param.b_hhat_x"),
            W_hhat_b: try test.variable("param.W_hhat_b"), W_bz: try test.variable("param.W_bz"),
            b_0: try test.variable("param.b_0"),
            hyperStateForEmbeddings: name.hasSuffix("previous") ? .previous : .current)
        let x = try test.input(vocabulary: 0)
        let state = HyperRNNState(
            main: RNNState(h: try test.variable("in.h0")), hyper: RNNState(h: try test.variable("in.hyper_h0")))
        let result = cell.sequence(x, state)
        try test.check(outputs: [
            ("out.h", result.h), ("out.hT", result.last.h), ("out.hyper_hT", result.last.hyper.h),
        ])
    }
}
