import CKernels
import Compute
import Testing

/// The weight scaling vectors (Eq. 11 and 12) of each instruction set against loops that read like the equations.
///
/// All of it is sums of products, so on small whole numbers every result is exact and any difference is an error.
struct ScalingKernelTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let simd: String, units: Int, embedding: Int, rows: Int, gathered: Bool

        var testDescription: String {
            "\(simd), H = \(units), Nz = \(embedding), \(rows) rows, \(gathered ? "gathered" : "dense") x"
        }

        static let all = Kernels.available.flatMap { simd in
            [(1, 4), (5, 1), (16, 4), (17, 5), (33, 4), (1003, 3)].flatMap { units, embedding in
                [1, 3, 8].flatMap { rows in
                    [false, true].map {
                        Case(simd: simd, units: units, embedding: embedding, rows: rows, gathered: $0)
                    }
                }
            }
        }
    }

    @Test(arguments: Case.all)
    func forwardAndBackwardAreExactlyTheEquations(_ test: Case) throws {
        let kernels = try #require(Kernels.named(test.simd))
        let (H, Nz, rows, symbols) = (test.units, test.embedding, test.rows, 4), width = 4 * H, weights = 4 * Nz * H
        let ld = width + 1, ldp = width + 2, ldy = width + 3, lddx = width + 4
        var samples = Samples(seed: 21)
        let whz = samples.integers(weights, bound: 2), wxz = samples.integers(weights, bound: 2)
        let wbz = samples.integers(weights, bound: 2), b0 = samples.integers(width, bound: 3)
        let p = samples.integers(rows * width, bound: 2), z = samples.integers(rows * 12 * Nz, bound: 2)
        let dy = samples.integers(rows * width, bound: 2)
        let tableRows = test.gathered ? symbols : rows
        let x = samples.integers(tableRows * width, bound: 2)
        let index = samples.indices(rows, below: symbols)
        let scale: [Float] = (0..<rows).map { [1, 0, 2, 0.5][$0 % 4] }  // input dropout; powers of two stay exact

        // Eq. 11 and 12, element by element, in the order of the paper.
        func weight(_ W: [Float], _ gate: Int, _ k: Int, _ j: Int) -> Float { W[(gate * Nz + k) * H + j] }
        /// z_h, z_x, z_b for `part` 0, 1, 2.
        func embedding(_ r: Int, _ part: Int, _ gate: Int, _ k: Int) -> Float {
            z[r * 12 * Nz + (part * 4 + gate) * Nz + k]
        }
        func scaling(_ W: [Float], _ r: Int, _ part: Int, _ gate: Int, _ j: Int) -> Float {
            (0..<Nz).reduce(0) { $0 + embedding(r, part, gate, $1) * weight(W, gate, $1, j) }
        }
        func source(_ r: Int) -> Int { test.gathered ? Int(index[r]) : r }
        func factor(_ r: Int) -> Float { test.gathered ? scale[r] : 1 }
        var y = [Float](repeating: 0, count: rows * width), dp = y
        var dx = samples.integers(tableRows * width)
        let dxBefore = dx
        if !test.gathered { dx = [Float](repeating: 0, count: rows * width) }
        var dz = [Float](repeating: 0, count: rows * 12 * Nz)
        let before = (
            samples.integers(weights), samples.integers(weights), samples.integers(weights), samples.integers(width)
        )
        var (dwhz, dwxz, dwbz, db0) = before
        for r in 0..<rows {
            for gate in 0..<4 {
                for j in 0..<H {
                    let at = gate * H + j, here = r * width + at
                    let input = factor(r) * x[source(r) * width + at], gradient = dy[here]
                    let dh = scaling(whz, r, 0, gate, j), dxScaling = scaling(wxz, r, 1, gate, j)
                    y[here] = dh * p[here] + dxScaling * input + scaling(wbz, r, 2, gate, j) + b0[at]
                    dp[here] = gradient * dh
                    dx[source(r) * width + at] += gradient * dxScaling * factor(r)
                    db0[at] += gradient
                    for k in 0..<Nz {
                        let w = (gate * Nz + k) * H + j, zAt = r * 12 * Nz + gate * Nz + k
                        dz[zAt] += gradient * p[here] * whz[w]
                        dz[zAt + 4 * Nz] += gradient * input * wxz[w]
                        dz[zAt + 8 * Nz] += gradient * wbz[w]
                        dwhz[w] += gradient * p[here] * z[zAt]
                        dwxz[w] += gradient * input * z[zAt + 4 * Nz]
                        dwbz[w] += gradient * z[zAt + 8 * Nz]
                    }
                }
            }
        }

        var foundY = [Float](repeating: untouched, count: rows * ldy)
        var foundP = spread(p, rows: rows, columns: width, ld: ldp)
        var foundX = spread(dxBefore, rows: tableRows, columns: width, ld: lddx)
        var foundZ = [Float](repeating: .nan, count: rows * 12 * Nz), scratch = [Float](repeating: .nan, count: 8 * H)
        var (foundWhz, foundWxz, foundWbz, foundB0) = before
        let table = spread(x, rows: tableRows, columns: width, ld: ld)
        let spreadDy = spread(dy, rows: rows, columns: width, ld: ldy)
        whz.withUnsafeBufferPointer { whz in
            wxz.withUnsafeBufferPointer { wxz in
                wbz.withUnsafeBufferPointer { wbz in
                    b0.withUnsafeBufferPointer { b0 in
                        table.withUnsafeBufferPointer { table in
                            index.withUnsafeBufferPointer { index in
                                scale.withUnsafeBufferPointer { scale in
                                    var kernel = ScalingKernel(
                                        units: Int64(H), embedding: Int64(Nz), whz: whz.baseAddress!,
                                        wxz: wxz.baseAddress!, wbz: wbz.baseAddress!, b0: b0.baseAddress!)
                                    var input = RowGather(
                                        base: table.baseAddress!, ld: Int64(ld),
                                        index: test.gathered ? index.baseAddress : nil,
                                        scale: test.gathered ? scale.baseAddress : nil)
                                    kernels.scaling_forward(
                                        &kernel, Int64(rows), foundP, Int64(ldp), &input, z, &foundY, Int64(ldy))
                                    kernels.scaling_backward(
                                        &kernel, Int64(rows), &foundP, Int64(ldp), &input, z, spreadDy, Int64(ldy),
                                        test.gathered ? 1 : 0, &foundX, Int64(lddx), &foundZ, &foundWhz, &foundWxz,
                                        &foundWbz, &foundB0, &scratch)
                                }
                            }
                        }
                    }
                }
            }
        }
        // Rows with what lies between them.
        #expect(foundY == spread(y, rows: rows, columns: width, ld: ldy), "y")
        #expect(foundP == spread(dp, rows: rows, columns: width, ld: ldp), "dL/dp")
        #expect(foundX == spread(dx, rows: tableRows, columns: width, ld: lddx), "dL/dx")
        #expect(foundZ == dz, "dL/dz")
        #expect(foundWhz == dwhz && foundWxz == dwxz && foundWbz == dwbz, "dL/dW")
        #expect(foundB0 == db0, "dL/db_0")
    }
}
