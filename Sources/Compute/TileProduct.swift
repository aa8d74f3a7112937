import CKernels

/// C [m, n] = op(A) op(B), or with `accumulate` C + op(A) op(B), on AMX's tiles, split over the pool.
///
/// The inner extent is taken in blocks; while one is multiplied, threads without work pack the next one of A. A thread
/// packs its columns of B itself. How the work is split does not change a bit of the result.
///
/// - Parameters:
///   - a: [m, k], or [k, m] with `transposeA`; `lda` elements between rows.
///   - b: [k, n], or [n, k] with `transposeB`; `ldb` elements between rows.
package func tileProduct(
    _ amx: ck_amx, transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Float>, lda: Int,
    b: UnsafePointer<Float>, ldb: Int, accumulate: Bool, c: FloatPointer, ldc: Int
) {
    guard m > 0, n > 0 else { return }
    let rows = amx.blocks(m), columns = amx.blocks(n), steps = amx.blocks(k), block = Int(amx.block)
    let parts = max(1, (k + Int(amx.depth) - 1) / Int(amx.depth))
    /// Of the inner extent.
    func range(_ part: Int) -> Range<Int> {
        min(k, steps * part / parts * block)..<min(k, steps * (part + 1) / parts * block)
    }
    let floats = amx.floats((steps + parts - 1) / parts * block)
    let left = Tensor(uninitialized: [2, rows * floats])
    // Few enough columns that every thread gets some.
    let group = max(1, min(Int(amx.group), columns / (2 * Parallel.parts)))
    let groups = (columns + group - 1) / group, packings = (rows + packedTogether - 1) / packedTogether
    let right = Tensor(uninitialized: [Parallel.workers, group * floats])

    func pack(_ part: Int, _ packing: Int) {
        let range = range(part), first = packing * packedTogether
        amx.pack_left(
            transposeA ? 1 : 0, Int64(m), Int64(range.count), a + range.lowerBound * (transposeA ? lda : 1), Int64(lda),
            Int64(first), Int64(min(first + packedTogether, rows)), left.pointer + part % 2 * left.shape[1])
    }
    Profile.measure(
        "matrix product [\(m), \(k)] · [\(k), \(n)], AMX", flops: 2 * m * n * k,
        floats: m * k + k * n + (accumulate ? 2 : 1) * m * n
    ) {
        multiplyWhilePacking(blocks: parts, packings: packings, pieces: groups, pack: pack) { part, piece, worker in
            let range = range(part), b = b + range.lowerBound * (transposeB ? 1 : ldb)
            let first = piece * group, count = min(group, columns - first), column = first * block
            let own = right.pointer + worker * right.shape[1]
            amx.pack_right(
                transposeB ? 1 : 0, Int64(n - column), Int64(range.count), b + column * (transposeB ? ldb : 1),
                Int64(ldb), 0, Int64(count), own)
            amx.multiply(
                Int64(m), Int64(n - column), Int64(range.count), left.pointer + part % 2 * left.shape[1], 0,
                Int64(rows), own, 0, Int64(count), 0, Int64(amx.blocks(range.count)),
                accumulate || part > 0 ? 1 : 0, c + column, Int64(ldc))
        }
    }
}

/// Blocks of rows that one task packs: 128 adjacent elements of each row of a transposed A.
private let packedTogether = 4

extension ck_amx {
    /// Blocks of an extent.
    func blocks(_ extent: Int) -> Int { (extent + Int(block) - 1) / Int(block) }
    /// Floats of a packed block of rows or columns whose inner extent is k.
    func floats(_ k: Int) -> Int { blocks(k) * Int(block * block) }
}
