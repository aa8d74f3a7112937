import CKernels

/// A right-hand side [k, n] of matrix products, stored the way the kernel reads it.
///
/// A recurrent step multiplies few rows by a large matrix, and BLAS copies that matrix into its own order at every call.
/// Packed once a sequence, it is only read.
package final class PackedMatrix {
    package let k: Int
    package let n: Int
    private let kernels: ck_kernels
    private let packed: Tensor

    /// Packs op(source): [k, n], or with `transposed` the transpose of a [n, k] matrix; `ld` elements between rows.
    package init(
        k: Int, n: Int, source: UnsafePointer<Float>, ld: Int, transposed: Bool = false,
        kernels: ck_kernels = Kernels.current
    ) {
        self.k = k
        self.n = n
        self.kernels = kernels
        packed = Tensor(uninitialized: [Int(kernels.packed_count(Int64(k), Int64(n)))])
        let out = packed.pointer
        Profile.measure("packing [\(k), \(n)]", floats: 2 * k * n) {
            Parallel.chunks(of: panels) { range, _ in
                kernels.pack(
                    Int64(k), Int64(n), source, Int64(ld), transposed ? 1 : 0, Int64(range.lowerBound),
                    Int64(range.upperBound), out)
            }
        }
    }

    private var panels: Int { (n + Int(kernels.panel_width) - 1) / Int(kernels.panel_width) }

    /// C [m, n] = A [m, k] · packed, or C += with `accumulate`; split over the pool by columns.
    package func multiply(
        m: Int, a: UnsafePointer<Float>, lda: Int, accumulate: Bool = false, c: FloatPointer, ldc: Int
    ) {
        Profile.measure(
            "matrix product [\(m), \(k)] · [\(k), \(n)], packed", flops: 2 * m * n * k,
            floats: m * k + k * n + (accumulate ? 2 : 1) * m * n
        ) {
            Parallel.chunks(of: panels) { range, _ in
                kernels.gemm_packed(
                    Int64(m), Int64(n), Int64(k), a, Int64(lda), packed.pointer, accumulate ? 1 : 0,
                    Int64(range.lowerBound), Int64(range.upperBound), c, Int64(ldc))
            }
        }
    }

    /// The same on the calling thread alone, for use inside a parallel loop.
    package func multiplySerially(
        m: Int, a: UnsafePointer<Float>, lda: Int, accumulate: Bool = false, c: FloatPointer, ldc: Int
    ) {
        kernels.gemm_packed(
            Int64(m), Int64(n), Int64(k), a, Int64(lda), packed.pointer, accumulate ? 1 : 0, 0, Int64(panels), c,
            Int64(ldc))
    }
}
