import CKernels
import Compute
import Testing

/// The fused LSTM step in each instruction set against the portable one. That they compute an LSTM is tested elsewhere,
/// over whole sequences against PyTorch; here it is that the widths, their tails and their strides agree.
struct LSTMKernelTests {
    struct Cell: Sendable, CustomTestStringConvertible {
        let units: Int, layerNorm: Bool, masked: Bool

        var testDescription: String { "H = \(units)\(layerNorm ? ", layer norm" : "")\(masked ? ", mask" : "")" }

        static let all = [1, 5, 16, 17, 33, 1003].flatMap { units in
            [false, true].flatMap { norm in [false, true].map { Cell(units: units, layerNorm: norm, masked: $0) } }
        }
    }

    /// Everything that goes in, drawn once.
    private struct Inputs {
        let gamma: [Float], beta: [Float], gammaC: [Float], betaC: [Float]
        var y: [Float], c: [Float]
        let mask: [Float], dh: [Float], dc: [Float]
        let rows: Int, ldy: Int, cell: Cell

        init(_ cell: Cell, rows: Int) {
            var samples = Samples(seed: 20)
            let H = cell.units
            (self.rows, self.cell) = (rows, cell)
            ldy = 4 * H + 3
            gamma = samples.normal(4 * H, deviation: 0.3).map { 1 + $0 }
            beta = samples.normal(4 * H, deviation: 0.3)
            gammaC = samples.normal(H, deviation: 0.3).map { 1 + $0 }
            betaC = samples.normal(H, deviation: 0.3)
            y = spread(samples.normal(rows * 4 * H), rows: rows, columns: 4 * H, ld: 4 * H + 3)
            c = samples.normal(rows * H)
            mask = samples.integers(rows * H, bound: 1).map { $0 == 0 ? 0 : 1.25 }
            dh = samples.normal(rows * H)
            dc = samples.normal(rows * H)
        }

        func with<R>(_ body: (UnsafePointer<ck_lstm>, UnsafePointer<Float>?) -> R) -> R {
            gamma.withUnsafeBufferPointer { gamma in
                beta.withUnsafeBufferPointer { beta in
                    gammaC.withUnsafeBufferPointer { gammaC in
                        betaC.withUnsafeBufferPointer { betaC in
                            mask.withUnsafeBufferPointer { mask in
                                let norm = cell.layerNorm
                                var kernel = LSTMKernel(
                                    units: Int64(cell.units), epsilon: 1e-3, forgetBias: 1,
                                    gamma: norm ? gamma.baseAddress : nil, beta: norm ? beta.baseAddress : nil,
                                    gammaC: norm ? gammaC.baseAddress : nil, betaC: norm ? betaC.baseAddress : nil)
                                return body(&kernel, cell.masked ? mask.baseAddress : nil)
                            }
                        }
                    }
                }
            }
        }
    }

    /// c, h and statistics; NaN where nothing was written.
    private func forward(_ kernels: ck_kernels, _ inputs: Inputs) -> [String: [Float]] {
        let H = inputs.cell.units, rows = inputs.rows
        var c = [Float](repeating: .nan, count: rows * H), h = c
        var stats = [Float](repeating: inputs.cell.layerNorm ? .nan : 0, count: rows * lstmStatistics)
        inputs.with { kernel, mask in
            kernels.lstm_forward(kernel, Int64(rows), inputs.y, Int64(inputs.ldy), inputs.c, mask, &c, &h, &stats)
        }
        return ["c": c, "h": h, "stats": stats]
    }

    /// All gradients, from the same forward results for every instruction set; parameter gradients start at 1.
    private func backward(_ kernels: ck_kernels, _ inputs: Inputs, _ forward: [String: [Float]]) -> [String: [Float]] {
        let H = inputs.cell.units, rows = inputs.rows
        var y = inputs.y, dc = inputs.dc, scratch = [Float](repeating: .nan, count: 5 * H)
        var dgamma = [Float](repeating: 1, count: 4 * H), dbeta = dgamma
        var dgammaC = [Float](repeating: 1, count: H), dbetaC = dgammaC
        inputs.with { kernel, mask in
            kernels.lstm_backward(
                kernel, Int64(rows), &y, Int64(inputs.ldy), inputs.c, forward["c"]!, mask, forward["stats"]!, inputs.dh,
                &dc, &dgamma, &dbeta, &dgammaC, &dbetaC, &scratch)
        }
        for r in 0..<rows {
            #expect(y[(r * inputs.ldy + 4 * H)..<((r + 1) * inputs.ldy)].allSatisfy { $0 == untouched })
        }
        return ["dy": y, "dc": dc, "dgamma": dgamma, "dbeta": dbeta, "dgammaC": dgammaC, "dbetaC": dbetaC]
    }

    /// Both sides sum over H units in their own order: each addition adds at most 2^-24 of the largest term, and 64
    /// more stand for everything else (σ and tanh to 2 ulp, ten products, 1/√variance). A lost element of H = 1003
    /// changes a mean by 1e-3, sixteen times what is allowed.
    private func compare(_ found: [String: [Float]], _ expected: [String: [Float]], _ inputs: Inputs, _ simd: String) {
        let allowed = Double(inputs.cell.units + 64) * rounding
        for (name, values) in expected {
            let relevant = values.filter { $0 != untouched }
            let scale = Double(max(1, relevant.map(abs).max() ?? 1))
            let worst =
                zip(found[name] ?? [], values).map { abs(Double($0) - Double($1)) }
                .max { $0 < $1 || $1.isNaN } ?? .nan
            #expect(found[name]?.count == values.count)
            #expect(worst <= allowed * scale, "\(simd) \(name), \(inputs.rows) rows: off by \(worst)")
            #expect(values.allSatisfy { $0.isFinite }, "portable \(name)")
        }
    }

    @Test(arguments: Cell.all, [1, 3, 8])
    func everyInstructionSetGivesTheSameStepForwardAndBackward(cell: Cell, rows: Int) throws {
        let inputs = Inputs(cell, rows: rows), portable = try #require(Kernels.named("portable"))
        let expected = forward(portable, inputs), gradients = backward(portable, inputs, expected)
        for simd in Kernels.available where simd != "portable" {
            let kernels = try #require(Kernels.named(simd))
            compare(forward(kernels, inputs), expected, inputs, simd)
            compare(backward(kernels, inputs, expected), gradients, inputs, simd)
        }
        if !cell.layerNorm {
            #expect(gradients["dgamma"] == [Float](repeating: 1, count: 4 * cell.units), "no layer norm, no gradient")
        }
    }

    /// A reciprocal of 0 would make zeros of a row, which a loss would not show.
    @Test(arguments: Kernels.available) func aVarianceBeyondAllFloatsIsNoNumber(simd: String) throws {
        let kernels = try #require(Kernels.named(simd)), H = 33
        let inputs = Inputs(Cell(units: H, layerNorm: true, masked: false), rows: 1)
        var (gate, state) = (inputs, inputs)
        for j in stride(from: 0, to: H, by: 2) {
            gate.y[j] = 1e20
            state.c[j] = 1e20
        }
        // The reciprocals of the first gate and of the new cell state.
        for (inputs, place) in [(gate, 1), (state, 9)] {
            let step = forward(kernels, inputs)
            #expect(step["stats"]![place].isNaN && step["h"]!.allSatisfy { $0.isNaN })
        }
    }

    /// Rows do not depend on what else is in the batch, to the last bit.
    @Test(arguments: Kernels.available, [false, true])
    func aRowAloneGivesTheBitsOfTheRowInABatch(simd: String, layerNorm: Bool) throws {
        let kernels = try #require(Kernels.named(simd)), H = 37
        let inputs = Inputs(Cell(units: H, layerNorm: layerNorm, masked: false), rows: 3)
        let batch = forward(kernels, inputs)
        var c = [Float](repeating: .nan, count: H), h = c, stats = [Float](repeating: 0, count: lstmStatistics)
        inputs.with { kernel, _ in
            kernels.lstm_forward(
                kernel, 1, Array(inputs.y[2 * inputs.ldy..<2 * inputs.ldy + 4 * H]), Int64(4 * H),
                Array(inputs.c[(2 * H)...]), nil, &c, &h, &stats)
        }
        #expect(c == Array(batch["c"]![(2 * H)...]) && h == Array(batch["h"]![(2 * H)...]))
    }
}
