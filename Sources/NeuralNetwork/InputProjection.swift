extension CellInput {
    /// The products x W of all steps. A one-hot input needs none: its rows are gathered from W.
    package struct Projection {
        private let table: Tensor
        private let firstRow: Int
        private let symbols: Symbols?
        private let scale: Tensor?
        /// T·B.
        package let count: Int

        /// - Parameter W: Its rows from `firstRow` on are the weights [I, O].
        init(_ input: CellInput, _ W: Tensor, firstRow: Int) {
            let columns = W.shape[1]
            switch input {
            case .oneHot(let symbols, let size, let scale):
                precondition(symbols.allSatisfy { $0 >= 0 && $0 < size }, "symbols lie in 0 ..< \(size)")
                if let scale { precondition(scale.count == symbols.count, "one factor a symbol") }
                (table, self.symbols) = (W, Symbols(symbols))
                self.scale = scale.map { Tensor($0, shape: [$0.count]) }
                (self.firstRow, count) = (firstRow, symbols.count)
            case .dense(let x):
                count = x.value.count / input.size
                table = Tensor(uninitialized: [count, columns])
                Blas.multiply(
                    x.value.reshaped([count, input.size]).matrix,
                    W.matrix.rows(firstRow..<firstRow + input.size), into: table.matrix)
                (symbols, scale, self.firstRow) = (nil, nil, 0)
            case .joined:
                preconditionFailure("a joined input has no one projection: a sequence of it is unrolled")
            }
        }

        /// The rows from `row` on, as the row kernels take them.
        package func rows(from row: Int) -> RowGather {
            let columns = table.shape[1]
            return RowGather(
                base: table.pointer + (isGathered ? firstRow : row) * columns, ld: Int64(columns),
                index: symbols.map { UnsafePointer($0.pointer + row) },
                scale: scale.map { UnsafePointer($0.pointer + row) })
        }

        /// Row numbers at an address that stays, for kernels.
        private final class Symbols {
            let pointer: UnsafeMutablePointer<Int32>

            init(_ symbols: [Int32]) {
                pointer = .allocate(capacity: symbols.count)
                pointer.initialize(from: symbols, count: symbols.count)
            }

            deinit { pointer.deallocate() }
        }

        /// True for a one-hot input.
        package var isGathered: Bool { symbols != nil }

        /// For a dense input: the projections, [T·B, O], where their gradient may take their place.
        package var matrix: MatrixView { table.matrix }
    }

    /// x W for all rows; the rows of `W` from `firstRow` on are the weights.
    package func projection(_ W: Tensor, firstRow: Int = 0) -> Projection {
        Projection(self, W, firstRow: firstRow)
    }

    /// The variable behind a dense input: a gradient goes back to it.
    package var variable: Variable? {
        if case .dense(let x) = self { x } else { nil }
    }
}
