import CKernels
import Compute
import Testing

/// A product to compute: sizes, and how far rows lie apart beyond their length.
struct ProductCase {
    let m: Int, n: Int, k: Int
    let a: [Float], b: [Float], c: [Float]
    /// a · b, exact: the factors are small whole numbers, k · 16 < 2^24.
    let exact: [Float]

    init(m: Int, n: Int, k: Int, seed: UInt64 = 6) {
        var samples = Samples(seed: seed)
        (self.m, self.n, self.k) = (m, n, k)
        a = samples.integers(m * k)
        b = samples.integers(k * n)
        c = samples.integers(m * n)
        exact = naiveProduct(a, b, m: m, n: n, k: k).map { Float($0) }
    }
}

/// The largest error of `found` in what rounding allows, and where.
///
/// A sum of k products in any order, fused or not, is at most γ Σ|a b| away from the exact one, γ = k u / (1 − k u),
/// u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, 3.1); γ ≤ 1.01 k u for the sizes here.
///
/// - Parameter bound: In place of γ.
func worstProductError(
    _ found: [Float], _ a: [Float], _ b: [Float], m: Int, n: Int, k: Int, bound: Double? = nil
) -> Double {
    let exact = naiveProduct(a, b, m: m, n: n, k: k)
    let magnitude = naiveProduct(a.map(abs), b.map(abs), m: m, n: n, k: k)
    return (0..<m * n).map { index in
        let allowed = (bound ?? 1.01 * Double(k) * rounding) * magnitude[index]
        let error = abs(Double(found[index]) - exact[index]) / allowed
        return error.isNaN ? .infinity : error
    }.max() ?? 0
}

@Suite struct PackedMatrixProductTests {
    /// One product by the kernels themselves: C [m, n] with rows n + 5 apart, A with rows k + 3 apart.
    private func run(
        _ kernels: ck_kernels, _ product: ProductCase, transposedB: Bool, accumulate: Bool, panels: Range<Int>? = nil
    ) -> [Float] {
        let (m, n, k) = (product.m, product.n, product.k), lda = k + 3, ldc = n + 5
        let ldb = transposedB ? k + 1 : n + 2
        let a = spread(product.a, rows: m, columns: k, ld: lda)
        let b =
            transposedB
            ? spread(transposed(product.b, rows: k, columns: n), rows: n, columns: k, ld: ldb)
            : spread(product.b, rows: k, columns: n, ld: ldb)
        var c = spread(product.c, rows: m, columns: n, ld: ldc)
        let width = Int(kernels.panel_width), count = (n + width - 1) / width
        var packed = [Float](repeating: .nan, count: Int(kernels.packed_count(Int64(k), Int64(n))))
        kernels.pack(Int64(k), Int64(n), b, Int64(ldb), transposedB ? 1 : 0, 0, Int64(count), &packed)
        let panels = panels ?? 0..<count
        kernels.gemm_packed(
            Int64(m), Int64(n), Int64(k), a, Int64(lda), packed, accumulate ? 1 : 0, Int64(panels.lowerBound),
            Int64(panels.upperBound), &c, Int64(ldc))
        return c
    }

    private func expected(_ product: ProductCase, accumulate: Bool) -> [Float] {
        let values = accumulate ? zip(product.exact, product.c).map { $0 + $1 } : product.exact
        return spread(values, rows: product.m, columns: product.n, ld: product.n + 5)
    }

    private func check(_ kernels: ck_kernels, _ product: ProductCase) {
        for (transposedB, accumulate) in [(false, false), (true, false), (false, true), (true, true)] {
            // What lies between the rows of C is compared as well.
            let found = run(kernels, product, transposedB: transposedB, accumulate: accumulate)
            #expect(
                found == expected(product, accumulate: accumulate),
                "[\(product.m), \(product.k)] · [\(product.k), \(product.n)], B transposed \(transposedB), +=\(accumulate)"
            )
        }
    }

    @Test(arguments: Kernels.available)
    func everyNumberOfRowsAndColumnsIsExactAndLeavesTheNeighborsAlone(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        for m in 1...17 {
            for n in [1, 4, 7, 8, 9, 15, 16, 23, 24, 25, 47, 48, 49, 97] {
                check(kernels, ProductCase(m: m, n: n, k: [1, 2, 5, 17, 33][(m + n) % 5]))
            }
        }
    }

    /// The kernel works through k in blocks of 1024 and adds the later ones to C.
    @Test(arguments: Kernels.available, [1023, 1024, 1025, 2048, 2049])
    func blocksOfTheInnerExtentAreJoinedWithoutGapOrOverlap(simd: String, k: Int) throws {
        let kernels = try #require(Kernels.named(simd))
        for m in [1, 8, 11] { check(kernels, ProductCase(m: m, n: 51, k: k)) }
    }

    @Test(arguments: Kernels.available)
    func aRangeOfPanelsWritesItsColumnsOnly(simd: String) throws {
        let kernels = try #require(Kernels.named(simd)), width = Int(kernels.panel_width)
        let product = ProductCase(m: 5, n: 3 * width + 1, k: 19), ldc = product.n + 5
        let found = run(kernels, product, transposedB: false, accumulate: false, panels: 1..<3)
        var expected = spread(product.c, rows: product.m, columns: product.n, ld: ldc)
        for r in 0..<product.m {
            for column in width..<3 * width { expected[r * ldc + column] = product.exact[r * product.n + column] }
        }
        #expect(found == expected)
    }

    @Test(arguments: Kernels.available)
    func realNumbersStayWithinTheRoundingBound(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        for (m, n, k) in [(3, 50, 100), (13, 97, 1000), (8, 48, 2500)] {
            var samples = Samples(seed: 7)
            let a = samples.normal(m * k), b = samples.normal(k * n), c = Tensor(repeating: .nan, shape: [m, n])
            PackedMatrix(k: k, n: n, source: b, ld: n, kernels: kernels).multiply(
                m: m, a: a, lda: k, c: c.pointer, ldc: n)
            #expect(worstProductError(c.floats, a, b, m: m, n: n, k: k) <= 1, "[\(m), \(k)] · [\(k), \(n)]")
        }
    }

    @Test(arguments: Kernels.available)
    func oneThreadGivesTheBitsOfAll(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        var samples = Samples(seed: 8)
        let (m, n, k) = (9, 333, 210), a = samples.normal(m * k), b = samples.normal(k * n), c = samples.normal(m * n)
        let matrix = PackedMatrix(k: k, n: n, source: b, ld: n, kernels: kernels)
        let parallel = Tensor(c, shape: [m, n]), serial = Tensor(c, shape: [m, n])
        matrix.multiply(m: m, a: a, lda: k, c: parallel.pointer, ldc: n)
        matrix.multiplySerially(m: m, a: a, lda: k, c: serial.pointer, ldc: n)
        #expect(parallel.floats == serial.floats)
    }
}

/// The fast algorithm against the definition. Sums and differences of small whole numbers are exact, so are its
/// products.
@Suite struct StrassenProductTests {
    /// The largest error of `found` in what one level of the algorithm allows (Higham 23.2.2, n₀ = n / 2):
    /// (12 (n₀² + 5 n₀) − 5 n) u max|a| max|b|, with k for n.
    private func worstError(_ found: [Float], _ a: [Float], _ b: [Float], m: Int, n: Int, k: Int) -> Double {
        let exact = naiveProduct(a, b, m: m, n: n, k: k), half = Double((k + 1) / 2)
        let bound =
            (12 * (half * half + 5 * half) - 5 * Double(k)) * rounding * Double(a.map(abs).max()! * b.map(abs).max()!)
        return zip(found, exact).map { abs(Double($0) - $1) / bound }.reduce(0) { $1.isNaN ? .infinity : max($0, $1) }
    }

    /// A B by the kernels themselves: C with rows n + 5 apart, A with rows k + 3 apart.
    private func product(_ kernels: ck_kernels, _ product: ProductCase) -> [Float] {
        let (m, n, k) = (product.m, product.n, product.k), width = Int(kernels.panel_width)
        let halfWidth = (n + 1) / 2, depth = (k + 1) / 2, height = Int(kernels.tile_rows)
        let tiles = ((m + 1) / 2 + height - 1) / height, panels = (halfWidth + width - 1) / width
        let a = spread(product.a, rows: m, columns: k, ld: k + 3), b = spread(product.b, rows: k, columns: n, ld: n + 2)
        var c = spread(product.c, rows: m, columns: n, ld: n + 5)
        var sums = [Float](repeating: .nan, count: 7 * tiles * height * depth)
        var packed = [Float](repeating: .nan, count: panels * 7 * depth * width)
        kernels.strassen_sum_rows(Int64(m), Int64(k), a, Int64(k + 3), 0, Int64((m + 1) / 2), &sums)
        for panel in 0..<panels {
            packed.withUnsafeMutableBufferPointer { packed in
                b.withUnsafeBufferPointer { b in
                    let left = b.baseAddress! + panel * width
                    kernels.strassen_pack_panel(
                        Int64(k), left, Int64(halfWidth - panel * width), left + halfWidth,
                        Int64(n - halfWidth - panel * width), Int64(n + 2),
                        packed.baseAddress! + panel * 7 * depth * width)
                }
            }
        }
        for first in stride(from: 0, to: panels, by: 2) {
            for tile in 0..<tiles {
                kernels.strassen_multiply(
                    Int64(m), Int64(n), Int64(k), sums, packed, Int64(first), Int64(min(first + 2, panels)),
                    Int64(tile), Int64(tile + 1), &c, Int64(n + 5))
            }
        }
        return c
    }

    @Test(arguments: Kernels.available)
    func everyNumberOfRowsAndColumnsIsExactAndLeavesTheNeighborsAlone(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        for m in [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33] {
            for n in [1, 2, 7, 16, 17, 33, 47, 49, 63, 64, 65, 95, 96, 97, 130, 193] {
                let test = ProductCase(m: m, n: n, k: [1, 2, 5, 17, 34][(m + n) % 5])
                #expect(
                    product(kernels, test) == spread(test.exact, rows: m, columns: n, ld: n + 5),
                    "[\(m), \(test.k)] · [\(test.k), \(n)]")
            }
        }
    }

    /// Half of k is worked through in blocks of 1024, of which the first overwrites C.
    @Test(arguments: Kernels.available, [2047, 2048, 2049, 2050, 4100])
    func blocksOfTheInnerExtentAreJoinedWithoutGapOrOverlap(simd: String, k: Int) throws {
        let test = ProductCase(m: 11, n: 51, k: k)
        #expect(product(try #require(Kernels.named(simd)), test) == spread(test.exact, rows: 11, columns: 51, ld: 56))
    }

    @Test(arguments: Kernels.available, [false, true])
    func aPackedMatrixForManyRowsIsExact(simd: String, transposed isTransposed: Bool) throws {
        let kernels = try #require(Kernels.named(simd)), least = PackedMatrix.leastExtent
        let (m, n, k) = (PackedMatrix.leastRows + 3, least + 7, least + 1), test = ProductCase(m: m, n: n, k: k)
        let b = isTransposed ? transposed(test.b, rows: k, columns: n) : test.b,
            c = Tensor(repeating: .nan, shape: [m, n])
        PackedMatrix(
            k: k, n: n, source: b, ld: isTransposed ? k : n, transposed: isTransposed, rows: m, kernels: kernels
        )
        .multiply(m: m, a: test.a, lda: k, c: c.pointer, ldc: n)
        #expect(c.floats == test.exact)
    }

    @Test(arguments: Kernels.available)
    func realNumbersStayWithinTheRoundingBound(simd: String) throws {
        let kernels = try #require(Kernels.named(simd)), (m, n, k) = (64, 520, 1000)
        var samples = Samples(seed: 11)
        let a = samples.normal(m * k), b = samples.normal(k * n), c = Tensor(repeating: .nan, shape: [m, n])
        PackedMatrix(k: k, n: n, source: b, ld: n, rows: m, kernels: kernels)
            .multiply(m: m, a: a, lda: k, c: c.pointer, ldc: n)
        #expect(worstError(c.floats, a, b, m: m, n: n, k: k) <= 1)
        let sum = Tensor(zeros: [m, n])
        addTransposedProduct(
            m: m, n: n, k: k, a: transposed(a, rows: m, columns: k), lda: m, b: b, ldb: n, c: sum.pointer, ldc: n,
            kernels: kernels)
        #expect(worstError(sum.floats, a, b, m: m, n: n, k: k) <= 1)
    }

    private func transposedProduct(_ kernels: ck_kernels, _ test: ProductCase) -> [Float] {
        let (m, n, k) = (test.m, test.n, test.k)
        let a = spread(transposed(test.a, rows: m, columns: k), rows: k, columns: m, ld: m + 3)
        let b = spread(test.b, rows: k, columns: n, ld: n + 2)
        var c = spread(test.c, rows: m, columns: n, ld: n + 5)
        c.withUnsafeMutableBufferPointer {
            addTransposedProduct(
                m: m, n: n, k: k, a: a, lda: m + 3, b: b, ldb: n + 2, c: $0.baseAddress!, ldc: n + 5, kernels: kernels)
        }
        return c
    }

    @Test(arguments: Kernels.available)
    func aTransposedProductIsAddedExactlyAndLeavesTheNeighborsAlone(simd: String) throws {
        let kernels = try #require(Kernels.named(simd)), depth = Int(kernels.strassen_depth)
        let inner = [0, 1, 2, 5, 33, 2 * depth - 1, 2 * depth, 2 * depth + 1, 4 * depth + 3]
        for m in [1, 2, 7, 9, 16, 17, 33] {
            for n in [1, 2, 16, 47, 65, 96, 97, 193] {
                let test = ProductCase(m: m, n: n, k: inner[(m + n) % inner.count])
                let expected = zip(test.exact, test.c).map { $0 + $1 }
                #expect(
                    transposedProduct(kernels, test) == spread(expected, rows: m, columns: n, ld: n + 5),
                    "[\(m), \(test.k)] · [\(test.k), \(n)]")
            }
        }
    }

    @Test(arguments: Kernels.available)
    func theNumberOfThreadsDoesNotChangeABit(simd: String) throws {
        let kernels = try #require(Kernels.named(simd)), (m, n, k) = (70, 530, 521)
        var samples = Samples(seed: 12)
        let a = samples.normal(m * k), b = samples.normal(k * n)
        let results = [1, 2, 5].map { parts in
            Parallel.$partsOverride.withValue(parts) {
                let c = Tensor(zeros: [m, n])
                PackedMatrix(k: k, n: n, source: b, ld: n, rows: m, kernels: kernels)
                    .multiply(m: m, a: a, lda: k, c: c.pointer, ldc: n)
                addTransposedProduct(
                    m: m, n: n, k: m, a: a, lda: k, b: b, ldb: n, c: c.pointer, ldc: n, kernels: kernels)
                return c.floats
            }
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }
}

@Suite struct BlasTests {
    /// All four transpositions, with rows further apart than they are long and C full of NaN where beta is 0.
    static func check(_ product: ProductCase, _ note: String) {
        let (m, n, k) = (product.m, product.n, product.k), ldc = n + 5
        for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
            let (a, lda) = operand(product.a, rows: m, columns: k, transposed: transposeA, gap: 3)
            let (b, ldb) = operand(product.b, rows: k, columns: n, transposed: transposeB, gap: 1)
            for beta in [Float(0), 1, 2] {
                let before = beta == 0 ? [Float](repeating: .nan, count: m * n) : product.c
                var c = spread(before, rows: m, columns: n, ld: ldc)
                Blas.gemm(
                    transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb,
                    beta: beta, c: &c, ldc: ldc)
                let values = zip(product.exact, product.c).map { $0 + beta * $1 }
                #expect(
                    c == spread(values, rows: m, columns: n, ld: ldc),
                    "[\(m), \(k)] · [\(k), \(n)], transposed \(transposeA), \(transposeB), β \(beta) \(note)")
            }
        }
    }

    /// Small, and beyond 2^20 multiplications, where the product is cut by columns or by rows.
    static let sizes = [
        (1, 1, 1), (1, 50, 70), (1, 301, 403), (3, 5, 7), (17, 1, 40), (101, 103, 107), (3, 2801, 131), (2801, 3, 131),
        (16, 1040, 64),
    ]

    @Test func everyTranspositionIsExactOnBothSidesOfTheSplit() {
        for (m, n, k) in Self.sizes { Self.check(ProductCase(m: m, n: n, k: k), "") }
    }

    @Test func realNumbersStayWithinTheRoundingBound() {
        for (m, n, k) in [(20, 30, 400), (64, 200, 300)] {
            var samples = Samples(seed: 9)
            let a = samples.normal(m * k), b = samples.normal(k * n), c = Tensor(repeating: .nan, shape: [m, n])
            Blas.gemm(m: m, n: n, k: k, a: a, lda: k, b: b, ldb: n, beta: 0, c: c.pointer, ldc: n)
            #expect(worstProductError(c.floats, a, b, m: m, n: n, k: k) <= 1, "[\(m), \(k)] · [\(k), \(n)]")
        }
    }

    @Test func aMatrixTimesAVectorIsExactInBothDirections() {
        let (m, n) = (23, 41), lda = n + 2
        var samples = Samples(seed: 10)
        let values = samples.integers(m * n), a = spread(values, rows: m, columns: n, ld: lda)
        let right = samples.integers(n), left = samples.integers(m)
        var y = samples.integers(m), z = samples.integers(n)
        let (y0, z0) = (y, z)
        Blas.gemv(transpose: false, m: m, n: n, alpha: 2, a: a, lda: lda, x: right, beta: -1, y: &y)
        Blas.gemv(transpose: true, m: m, n: n, alpha: 2, a: a, lda: lda, x: left, beta: -1, y: &z)
        #expect(
            y.map(Double.init) == zip(naiveProduct(values, right, m: m, n: 1, k: n), y0).map { 2 * $0 - Double($1) })
        #expect(z.map(Double.init) == zip(naiveProduct(left, values, m: 1, n: n, k: m), z0).map { 2 * $0 - Double($1) })

        // With β = 0 the result does not depend on what was there.
        (y, z) = ([Float](repeating: .nan, count: m), [Float](repeating: .nan, count: n))
        Blas.gemv(transpose: false, m: m, n: n, alpha: 2, a: a, lda: lda, x: right, beta: 0, y: &y)
        Blas.gemv(transpose: true, m: m, n: n, alpha: 2, a: a, lda: lda, x: left, beta: 0, y: &z)
        #expect(y.map(Double.init) == naiveProduct(values, right, m: m, n: 1, k: n).map { 2 * $0 })
        #expect(z.map(Double.init) == naiveProduct(left, values, m: 1, n: n, k: m).map { 2 * $0 })
    }
}
