import CKernels

/// A right-hand side [k, n] of matrix products, stored the way the kernel reads it.
///
/// A recurrent step multiplies few rows by a large matrix, and BLAS copies that matrix into its own order at every
/// call. A packed matrix is copied once a sequence. For left-hand sides of at least `leastRows` rows the seven sums of
/// its blocks that Strassen's algorithm needs are packed in place of the matrix; a product then takes seven
/// multiplications of blocks in place of eight. It is for one product at a time: the sums of the left-hand side's
/// blocks go into memory of its own. Kernels that have AMX's tiles take these in place of Strassen's algorithm.
package final class PackedMatrix {
    package let k: Int
    package let n: Int
    private let kernels: ck_kernels
    private let packed: Tensor
    private let algorithm: Algorithm

    private enum Algorithm {
        case definition
        /// For left-hand sides of so many rows, with memory for the sums of their blocks.
        case strassen(rows: Int, sums: Tensor)
        /// Likewise, with memory for their packed form.
        case tiles(rows: Int, left: Tensor, ck_amx)

        var name: String {
            switch self {
            case .definition: "packed"
            case .strassen: "packed, Strassen"
            case .tiles: "packed, AMX"
            }
        }
    }

    /// Packs op(source): [k, n], or with `transposed` the transpose of a [n, k] matrix; `ld` elements between rows.
    ///
    /// - Parameter rows: Of every left-hand side, where that is known.
    package init(
        k: Int, n: Int, source: UnsafePointer<Float>, ld: Int, transposed: Bool = false, rows: Int? = nil,
        kernels: ck_kernels = Kernels.current
    ) {
        self.k = k
        self.n = n
        self.kernels = kernels
        let width = Int(kernels.panel_width)
        guard let rows, Self.isLarge(m: rows, n: n, k: k) else {
            algorithm = .definition
            packed = Tensor(uninitialized: [Int(kernels.packed_count(Int64(k), Int64(n)))])
            let out = packed.pointer, panels = (n + width - 1) / width
            Profile.measure("packing [\(k), \(n)]", floats: 2 * k * n) {
                Parallel.chunks(of: panels) { range, _ in
                    kernels.pack(
                        Int64(k), Int64(n), source, Int64(ld), transposed ? 1 : 0, Int64(range.lowerBound),
                        Int64(range.upperBound), out)
                }
            }
            return
        }
        if let amx = kernels.amx?.pointee {
            let columns = amx.blocks(n), left = amx.blocks(rows)
            let right = Tensor(uninitialized: [columns, amx.floats(k)])
            packed = right
            algorithm = .tiles(rows: rows, left: Tensor(uninitialized: [left, amx.floats(k)]), amx)
            Profile.measure("packing [\(k), \(n)], AMX", floats: 2 * k * n) {
                Parallel.loop(columns) { column in
                    amx.pack_right(
                        transposed ? 1 : 0, Int64(n), Int64(k), source, Int64(ld), Int64(column), Int64(column + 1),
                        right.pointer)
                }
            }
            return
        }
        let products = Int(kernels.strassen_products), height = Int(kernels.tile_rows), depth = (k + 1) / 2
        let halfWidth = (n + 1) / 2, panels = (halfWidth + width - 1) / width
        let sums = Tensor(uninitialized: [panels, products * depth * width])
        algorithm = .strassen(
            rows: rows, sums: Tensor(uninitialized: [products, ((rows + 1) / 2 + height - 1) / height * height, depth]))
        packed = sums
        let halves = Tensor(uninitialized: [Parallel.workers, 2, k * width])
        Profile.measure("packing [\(k), \(n)], Strassen", floats: 11 * k * n / 4) {
            Parallel.loop(panels) { panel, worker in
                // A panel of either half, whichever way the source lies, and from both their sums.
                let half = (0..<2).map { half in
                    let first = half * halfWidth + panel * width, end = half == 0 ? halfWidth : n
                    let columns = max(0, min(width, end - first)),
                        out = halves.pointer + (2 * worker + half) * k * width
                    if columns > 0 {
                        kernels.pack(
                            Int64(k), Int64(columns), source + first * (transposed ? ld : 1), Int64(ld),
                            transposed ? 1 : 0, 0, 1, out)
                    }
                    return (pointer: out, columns: Int64(columns))
                }
                kernels.strassen_pack_panel(
                    Int64(k), half[0].pointer, half[0].columns, half[1].pointer, half[1].columns, Int64(width),
                    sums.pointer + panel * sums.shape[1])
            }
        }
    }

    /// Least rows of a left-hand side for Strassen's algorithm and AMX: fewer do not pay for reading 7/4 of the weights,
    /// nor for splitting them.
    package static let leastRows = 64
    /// Least extents of the matrix: less does not pay for additions to C, nor for the packing of A.
    package static let leastExtent = 512
    /// Whether a product [m, k] · [k, n] is worth more than the definition.
    static func isLarge(m: Int, n: Int, k: Int) -> Bool { m >= leastRows && min(n, k) >= leastExtent }
    private var panels: Int { (n + Int(kernels.panel_width) - 1) / Int(kernels.panel_width) }

    /// C [m, n] = A [m, k] · packed, split over the pool.
    ///
    /// - Precondition: `m` is the number of rows given to the initializer, if one was given.
    package func multiply(m: Int, a: UnsafePointer<Float>, lda: Int, c: FloatPointer, ldc: Int) {
        Profile.measure(
            "matrix product [\(m), \(k)] · [\(k), \(n)], \(algorithm.name)", flops: 2 * m * n * k,
            floats: m * k + k * n + m * n
        ) {
            switch algorithm {
            case .definition:
                let height = Int(kernels.tile_rows)
                pieces(panels, tiles: (m + height - 1) / height) { panels, tiles in
                    let row = tiles.lowerBound * height
                    kernels.gemm_packed(
                        Int64(min(tiles.upperBound * height, m) - row), Int64(n), Int64(k), a + row * lda, Int64(lda),
                        packed.pointer, 0, Int64(panels.lowerBound), Int64(panels.upperBound), c + row * ldc,
                        Int64(ldc))
                }
            case .strassen(let rows, let sums):
                check(m, rows)
                multiplyByStrassen(m: m, a: a, lda: lda, c: c, ldc: ldc, sums: sums)
            case .tiles(let rows, let left, let amx):
                check(m, rows)
                multiplyByTiles(m: m, a: a, lda: lda, c: c, ldc: ldc, left: left, amx)
            }
        }
    }

    private func check(_ m: Int, _ rows: Int) {
        precondition(m == rows, "packed for left-hand sides of \(rows) rows, found \(m)")
    }

    private func multiplyByTiles(
        m: Int, a: UnsafePointer<Float>, lda: Int, c: FloatPointer, ldc: Int, left: Tensor, _ amx: ck_amx
    ) {
        Parallel.loop(left.shape[0]) { row in
            amx.pack_left(0, Int64(m), Int64(k), a, Int64(lda), Int64(row), Int64(row + 1), left.pointer)
        }
        // As much of A's columns at a time as stays in the second-level cache while all of B goes by.
        let depth = 1024, steps = amx.blocks(k), parts = max(1, (k + depth - 1) / depth)
        for part in 0..<parts {
            Parallel.loop(packed.shape[0]) { column in
                amx.multiply(
                    Int64(m), Int64(n), Int64(k), left.pointer, 0, Int64(left.shape[0]), packed.pointer, Int64(column),
                    Int64(column + 1), Int64(steps * part / parts), Int64(steps * (part + 1) / parts),
                    part > 0 ? 1 : 0, c, Int64(ldc))
            }
        }
    }

    private func multiplyByStrassen(
        m: Int, a: UnsafePointer<Float>, lda: Int, c: FloatPointer, ldc: Int, sums: Tensor
    ) {
        Parallel.chunks(of: (m + 1) / 2) { range, _ in
            kernels.strassen_sum_rows(
                Int64(m), Int64(k), a, Int64(lda), Int64(range.lowerBound), Int64(range.upperBound), sums.pointer)
        }
        pieces(packed.shape[0], tiles: sums.shape[1] / Int(kernels.tile_rows)) { panels, tiles in
            kernels.strassen_multiply(
                Int64(m), Int64(n), Int64(k), sums.pointer, packed.pointer, Int64(panels.lowerBound),
                Int64(panels.upperBound), Int64(tiles.lowerBound), Int64(tiles.upperBound), c, Int64(ldc))
        }
    }

    /// Calls `body` for all groups of panels and ranges of tiles of C, about eight pieces a thread: small enough that
    /// none waits long for another's last one, and large enough to use a panel often while it is in the cache.
    private func pieces(_ panels: Int, tiles: Int, _ body: (_ panels: Range<Int>, _ tiles: Range<Int>) -> Void) {
        let group = Int(kernels.panel_group), groups = (panels + group - 1) / group
        let parts = min(tiles, (8 * Parallel.parts + groups - 1) / groups)
        Parallel.loop(groups * parts) { unit in
            let part = unit % parts, first = unit / parts * group
            body(first..<min(first + group, panels), tiles * part / parts..<tiles * (part + 1) / parts)
        }
    }

    /// C [m, n] (+)= A [m, k] · packed on the calling thread alone, for use inside a parallel loop.
    ///
    /// - Precondition: Packed without a number of rows.
    package func multiplySerially(
        m: Int, a: UnsafePointer<Float>, lda: Int, accumulate: Bool = false, c: FloatPointer, ldc: Int
    ) {
        guard case .definition = algorithm else { preconditionFailure("packed for parallel products") }
        kernels.gemm_packed(
            Int64(m), Int64(n), Int64(k), a, Int64(lda), packed.pointer, accumulate ? 1 : 0, 0, Int64(panels), c,
            Int64(ldc))
    }
}
