/// A matrix inside the memory of a tensor: the elements of a row are adjacent, its rows lie `stride` elements apart.
///
/// A view does not keep the memory alive. It is valid while the tensor is, so the rule is: the tensors of an operation
/// are stored properties of the object that computes it, and a view of one is made, used and dropped inside one of the
/// object's methods. Pointers taken from a view follow the same rule.
package struct MatrixView {
    package let pointer: FloatPointer
    package let rowCount: Int
    package let columnCount: Int
    /// Elements between the beginnings of two rows.
    package let stride: Int

    package init(pointer: FloatPointer, rowCount: Int, columnCount: Int, stride: Int) {
        self.pointer = pointer
        self.rowCount = rowCount
        self.columnCount = columnCount
        self.stride = stride
    }

    /// Rows `range`.
    package func rows(_ range: Range<Int>) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= rowCount, "rows \(range) of \(rowCount)")
        return MatrixView(
            pointer: pointer + range.lowerBound * stride, rowCount: range.count, columnCount: columnCount,
            stride: stride)
    }

    /// Columns `range`.
    package func columns(_ range: Range<Int>) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= columnCount, "columns \(range) of \(columnCount)")
        return MatrixView(
            pointer: pointer + range.lowerBound, rowCount: rowCount, columnCount: range.count, stride: stride)
    }

    /// Overwrites `target`, a matrix of the same extents, or with `accumulate` adds to it.
    package func copy(to target: MatrixView, accumulate: Bool = false) {
        precondition(
            rowCount == target.rowCount && columnCount == target.columnCount,
            "a matrix [\(rowCount), \(columnCount)] for one of [\(target.rowCount), \(target.columnCount)]")
        Parallel.chunks(of: rowCount) { range, _ in
            let source = rows(range), result = target.rows(range)
            let gather = RowGather(base: source.pointer, ld: Int64(stride), index: nil, scale: nil)
            withUnsafePointer(to: gather) {
                Kernels.current.add_rows(
                    Int64(range.count), Int64(columnCount), $0, nil, accumulate ? 1 : 0, result.pointer,
                    Int64(result.stride))
            }
        }
    }
}

extension Tensor {
    /// The elements as a matrix whose rows are the last extent.
    package var matrix: MatrixView {
        let columns = shape.last ?? 1
        return MatrixView(
            pointer: pointer, rowCount: shape.dropLast().reduce(1, *), columnCount: columns, stride: columns)
    }
}

extension Blas {
    /// C = op(A) op(B), or with `accumulate` C + op(A) op(B); op transposes where asked to. Large products are made on
    /// AMX's tiles in place of BLAS where the vector kernels have these.
    package static func multiply(
        _ a: MatrixView, transposeA: Bool = false, _ b: MatrixView, transposeB: Bool = false, into c: MatrixView,
        accumulate: Bool = false
    ) {
        let (m, k) = transposeA ? (a.columnCount, a.rowCount) : (a.rowCount, a.columnCount)
        let (depth, n) = transposeB ? (b.columnCount, b.rowCount) : (b.rowCount, b.columnCount)
        precondition(
            k == depth && c.rowCount == m && c.columnCount == n,
            "a product [\(m), \(k)] · [\(depth), \(n)] into [\(c.rowCount), \(c.columnCount)]")
        if let amx = Kernels.current.amx?.pointee, PackedMatrix.isLarge(m: m, n: n, k: k) {
            return tileProduct(
                amx, transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a.pointer, lda: a.stride,
                b: b.pointer, ldb: b.stride, accumulate: accumulate, c: c.pointer, ldc: c.stride)
        }
        gemm(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a.pointer, lda: a.stride,
            b: b.pointer, ldb: b.stride, beta: accumulate ? 1 : 0, c: c.pointer, ldc: c.stride)
    }
}

/// C += Aᵀ B by Strassen's algorithm or on AMX's tiles: for weight gradients.
package func addTransposedProduct(_ a: MatrixView, _ b: MatrixView, to c: MatrixView) {
    precondition(
        a.rowCount == b.rowCount && c.rowCount == a.columnCount && c.columnCount == b.columnCount,
        "a product of \(a.rowCount) and \(b.rowCount) rows into [\(c.rowCount), \(c.columnCount)]")
    addTransposedProduct(
        m: a.columnCount, n: b.columnCount, k: a.rowCount, a: a.pointer, lda: a.stride, b: b.pointer, ldb: b.stride,
        c: c.pointer, ldc: c.stride)
}

extension PackedMatrix {
    /// Packs a matrix, or with `transposed` its transpose.
    ///
    /// - Parameter rows: Of every left-hand side, for products split over the pool; nil for products on one thread.
    package convenience init(_ matrix: MatrixView, transposed: Bool = false, rows: Int? = nil) {
        self.init(
            k: transposed ? matrix.columnCount : matrix.rowCount, n: transposed ? matrix.rowCount : matrix.columnCount,
            source: matrix.pointer, ld: matrix.stride, transposed: transposed, rows: rows)
    }

    /// C = A · packed, split over the pool.
    package func multiply(_ a: MatrixView, into c: MatrixView) {
        check(a, c)
        multiply(m: a.rowCount, a: a.pointer, lda: a.stride, c: c.pointer, ldc: c.stride)
    }

    /// C = A · packed, or with `accumulate` C + A · packed, on the calling thread: for use inside a parallel loop.
    package func multiplySerially(_ a: MatrixView, into c: MatrixView, accumulate: Bool = false) {
        check(a, c)
        multiplySerially(
            m: a.rowCount, a: a.pointer, lda: a.stride, accumulate: accumulate, c: c.pointer, ldc: c.stride)
    }

    private func check(_ a: MatrixView, _ c: MatrixView) {
        precondition(
            a.columnCount == k && c.columnCount == n && a.rowCount == c.rowCount,
            "a product [\(a.rowCount), \(a.columnCount)] · [\(k), \(n)] into [\(c.rowCount), \(c.columnCount)]")
    }
}
