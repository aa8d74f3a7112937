import CKernels

/// C [m, n] += Aᵀ B by one level of Strassen's algorithm, or on AMX's tiles, split over the pool: for weight gradients.
///
/// Their inner extent k is all rows of all steps, thousands: enough for either to pay, whatever m and n are.
///
/// The algorithm multiplies seven pairs of blocks in place of eight. The error of an element is a small multiple of the
/// rounding error of the largest products in its row and column, where the definition's is one of its own products
/// (Higham, Accuracy and Stability of Numerical Algorithms, 23.2.2). The rows k are taken in blocks; while one block is
/// multiplied, threads without work pack A's rows of the next.
///
/// - Parameters:
///   - a: [k, m], `lda` elements between rows.
///   - b: [k, n], `ldb` elements between rows.
package func addTransposedProduct(
    m: Int, n: Int, k: Int, a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int, c: FloatPointer,
    ldc: Int, kernels: ck_kernels = Kernels.current
) {
    if let amx = kernels.amx?.pointee {
        return tileProduct(
            amx, transposeA: true, transposeB: false, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb,
            accumulate: true, c: c, ldc: ldc)
    }
    let products = Int(kernels.strassen_products), height = Int(kernels.tile_rows), width = Int(kernels.panel_width)
    let tiles = ((m + 1) / 2 + height - 1) / height, panels = ((n + 1) / 2 + width - 1) / width
    let blocks = (k + 2 * Int(kernels.strassen_depth) - 1) / (2 * Int(kernels.strassen_depth))
    guard m > 0, n > 0, blocks > 0 else { return }
    func rows(_ block: Int) -> Range<Int> { k * block / blocks..<k * (block + 1) / blocks }
    let depth = ((k + blocks - 1) / blocks + 1) / 2  // rows of half a block, at most
    let packed = Tensor(uninitialized: [2, tiles * products * depth * height])
    let group = Int(kernels.panel_group), pieces = (panels + group - 1) / group
    let scratch = Tensor(uninitialized: [Parallel.workers, min(group, panels) * products * depth * width])

    func pack(_ block: Int, _ group: Int) {
        let range = rows(block), first = group * packedTogether
        kernels.strassen_pack(
            Int64(m), Int64(range.count), a + range.lowerBound * lda, Int64(lda), Int64(first),
            Int64(min(first + packedTogether, tiles)), packed.pointer + block % 2 * packed.shape[1])
    }
    let groups = (tiles + packedTogether - 1) / packedTogether
    Profile.measure(
        "matrix product [\(m), \(k)] · [\(k), \(n)], Strassen", flops: 2 * m * n * k, floats: m * k + k * n + 2 * m * n
    ) {
        multiplyWhilePacking(blocks: blocks, packings: groups, pieces: pieces, pack: pack) { block, piece, worker in
            let range = rows(block)
            kernels.strassen_add_transposed(
                Int64(m), Int64(n), Int64(range.count), packed.pointer + block % 2 * packed.shape[1],
                b + range.lowerBound * ldb, Int64(ldb), Int64(piece * group),
                Int64(min((piece + 1) * group, panels)), c, Int64(ldc), scratch.pointer + worker * scratch.shape[1])
        }
    }
}

/// Goes through the blocks of an inner extent: while one is multiplied, piece by piece, threads without work pack A's
/// rows of the next. So there is memory for two packed blocks, taken in turn.
func multiplyWhilePacking(
    blocks: Int, packings: Int, pieces: Int, pack: (_ block: Int, _ packing: Int) -> Void,
    multiply: (_ block: Int, _ piece: Int, _ worker: Int) -> Void
) {
    Parallel.loop(packings) { pack(0, $0) }
    for block in 0..<blocks {
        Parallel.loop(pieces + (block + 1 < blocks ? packings : 0)) { unit, worker in
            if unit < pieces { multiply(block, unit, worker) } else { pack(block + 1, unit - pieces) }
        }
    }
}

/// Tiles that one task packs: 64 to 128 adjacent bytes of either half of each row of A.
private let packedTogether = 4
