import CKernels
import Compute
import Testing

/// Sums over rows: whole numbers, so that every result is exact and any difference is an error.
@Suite struct RowKernelTests {
    @Test(arguments: Kernels.available)
    func axpyAddsAMultipleForEveryLength(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        var samples = Samples(seed: 2)
        for n in 0...70 {
            let x = samples.integers(n), y = samples.integers(n)
            var result = y + [untouched]
            kernels.axpy(Int64(n), -3, x, &result)
            #expect(result == zip(x, y).map { $1 - 3 * $0 } + [untouched], "length \(n)")
        }
    }

    @Test(arguments: Kernels.available)
    func dotSumsProductsForEveryLength(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        var samples = Samples(seed: 3)
        for n in Array(0...70) + [1000, 4097] {
            let x = samples.integers(n), y = samples.integers(n)
            // What follows the end must not count.
            let sum = kernels.dot(Int64(n), x + [.nan], y + [.nan])
            #expect(sum == zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }, "length \(n)")
        }
    }

    @Test(arguments: Kernels.available, [false, true])
    func addRowsGathersScalesAndAddsTheBias(simd: String, accumulate: Bool) throws {
        let kernels = try #require(Kernels.named(simd))
        var samples = Samples(seed: 4)
        let rows = 6, table = 9
        for n in [1, 3, 4, 7, 8, 16, 17, 33, 50] {
            let ld = n + 2, ldy = n + 3
            let base = samples.integers(table * n), bias = samples.integers(n), before = samples.integers(rows * n)
            let index = samples.indices(rows, below: table), scale = samples.integers(rows)
            let source = spread(base, rows: table, columns: n, ld: ld)
            for (gathered, scaled, biased) in [
                (false, false, false), (true, true, true), (true, false, true), (false, true, false),
            ] {
                var y = spread(before, rows: rows, columns: n, ld: ldy)
                source.withUnsafeBufferPointer { source in
                    index.withUnsafeBufferPointer { index in
                        scale.withUnsafeBufferPointer { scale in
                            bias.withUnsafeBufferPointer { bias in
                                var x = RowGather(
                                    base: source.baseAddress!, ld: Int64(ld), index: gathered ? index.baseAddress : nil,
                                    scale: scaled ? scale.baseAddress : nil)
                                kernels.add_rows(
                                    Int64(rows), Int64(n), &x, biased ? bias.baseAddress : nil, accumulate ? 1 : 0, &y,
                                    Int64(ldy))
                            }
                        }
                    }
                }
                var expected = [Float](repeating: 0, count: rows * n)
                for r in 0..<rows {
                    for j in 0..<n {
                        let row = gathered ? Int(index[r]) : r
                        expected[r * n + j] =
                            (scaled ? scale[r] : 1) * base[row * n + j] + (biased ? bias[j] : 0)
                            + (accumulate ? before[r * n + j] : 0)
                    }
                }
                #expect(
                    y == spread(expected, rows: rows, columns: n, ld: ldy),
                    "rows of \(n), gathered \(gathered), scaled \(scaled), biased \(biased)")
            }
        }
    }

    @Test(arguments: Kernels.available)
    func scatterAddRowsAddsToTheNamedRowsAlsoTwice(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        var samples = Samples(seed: 5)
        let rows = 8, table = 3  // fewer rows than sources: some take several
        for n in [1, 3, 4, 7, 8, 16, 17, 33, 50] {
            let ldx = n + 1, ldt = n + 3
            let x = samples.integers(rows * n), before = samples.integers(table * n)
            let index = samples.indices(rows, below: table), scale = samples.integers(rows)
            let source = spread(x, rows: rows, columns: n, ld: ldx)
            for (indexed, scaled) in [(true, true), (true, false), (false, true), (false, false)] {
                var result = spread(before, rows: table, columns: n, ld: ldt)
                index.withUnsafeBufferPointer { index in
                    scale.withUnsafeBufferPointer { scale in
                        kernels.scatter_add_rows(
                            Int64(rows), Int64(n), source, Int64(ldx), indexed ? index.baseAddress : nil,
                            scaled ? scale.baseAddress : nil, &result, Int64(ldt))
                    }
                }
                var expected = before
                for r in 0..<rows {
                    for j in 0..<n {
                        expected[(indexed ? Int(index[r]) : 0) * n + j] += (scaled ? scale[r] : 1) * x[r * n + j]
                    }
                }
                #expect(
                    result == spread(expected, rows: table, columns: n, ld: ldt),
                    "rows of \(n), indexed \(indexed), scaled \(scaled)")
            }
        }
    }
}
