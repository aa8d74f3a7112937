import CKernels
import Compute
import Testing

/// Products on AMX's tiles against the definition. Small whole numbers have no low part, so their products are exact;
/// real numbers show whether the low parts are where they belong.
@Suite(.enabled(if: Kernels.named("amx") != nil, "this CPU has no AMX"))
struct TileProductTests {
    private let amx = Kernels.named("amx")!.amx!.pointee

    private func product(
        _ test: ProductCase, transposeA: Bool, transposeB: Bool, accumulate: Bool
    ) -> [Float] {
        let (m, n, k) = (test.m, test.n, test.k)
        let (a, lda) = operand(test.a, rows: m, columns: k, transposed: transposeA, gap: 3)
        let (b, ldb) = operand(test.b, rows: k, columns: n, transposed: transposeB, gap: 1)
        let before = accumulate ? test.c : [Float](repeating: .nan, count: m * n)
        var c = spread(before, rows: m, columns: n, ld: n + 5)
        c.withUnsafeMutableBufferPointer {
            tileProduct(
                amx, transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb,
                accumulate: accumulate, c: $0.baseAddress!, ldc: n + 5)
        }
        return c
    }

    /// Also beyond the inner extent that is packed at a time, 512, and with nothing to add.
    @Test(arguments: [0, 1, 31, 32, 33, 511, 512, 513, 1100])
    func everyTranspositionIsExactAndLeavesTheNeighborsAlone(k: Int) {
        for (m, n) in [(1, 1), (15, 70), (16, 32), (17, 33), (32, 16), (65, 31), (140, 600)] {
            let test = ProductCase(m: m, n: n, k: k)
            for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
                for accumulate in [false, true] {
                    let expected = accumulate ? zip(test.exact, test.c).map { $0 + $1 } : test.exact
                    #expect(
                        product(test, transposeA: transposeA, transposeB: transposeB, accumulate: accumulate)
                            == spread(expected, rows: m, columns: n, ld: n + 5),
                        "[\(m), \(k)] · [\(k), \(n)], transposed \(transposeA), \(transposeB), += \(accumulate)")
                }
            }
        }
    }

    /// x = high + low + δ with |low| ≤ 2^-8 |x| and |δ| ≤ 2^-16 |x|, so δ of either factor and the product of the low
    /// parts that is left out are each at most 2^-16 |a b|, a little more with all three together. The sum of 3 k products
    /// is rounded as in `worstProductError`.
    @Test func realNumbersKeepSixteenBits() {
        for (m, n, k) in [(1, 1, 1), (40, 50, 1), (40, 50, 60), (33, 47, 1000)] {
            var samples = Samples(seed: 21)
            let a = samples.normal(m * k), b = samples.normal(k * n), c = Tensor(repeating: .nan, shape: [m, n])
            tileProduct(
                amx, transposeA: false, transposeB: false, m: m, n: n, k: k, a: a, lda: k, b: b, ldb: n,
                accumulate: false, c: c.pointer, ldc: n)
            let bound = 3.01 * 0x1p-16 + 1.01 * 3 * Double(k) * rounding
            let worst = worstProductError(c.floats, a, b, m: m, n: n, k: k, bound: bound)
            #expect(worst <= 1, "[\(m), \(k)] · [\(k), \(n)]: \(worst) of the bound")
        }
    }

    /// A packed matrix takes the inner extent in parts of 1024.
    @Test(arguments: [1023, 1024, 1025, 2100])
    func aPackedMatrixIsExact(k: Int) throws {
        let kernels = try #require(Kernels.named("amx")), (m, n) = (PackedMatrix.leastRows + 3, 523)
        let test = ProductCase(m: m, n: n, k: k), c = Tensor(repeating: .nan, shape: [m, n])
        PackedMatrix(k: k, n: n, source: test.b, ld: n, rows: m, kernels: kernels)
            .multiply(m: m, a: test.a, lda: k, c: c.pointer, ldc: n)
        #expect(c.floats == test.exact)
    }

    @Test func whatIsNotFiniteStaysSo() {
        for value in [Float.infinity, -.infinity, .nan] {
            let c = Tensor(zeros: [1, 1])
            tileProduct(
                amx, transposeA: false, transposeB: false, m: 1, n: 1, k: 2, a: [1, value], lda: 2, b: [1, 1], ldb: 1,
                accumulate: true, c: c.pointer, ldc: 1)
            #expect(!c.floats[0].isFinite)
        }
    }
}
