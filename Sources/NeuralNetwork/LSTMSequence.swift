// The LSTM over a whole sequence as one operation: `LSTMCell.step` T times, without its thousands of small ones.
//
// Each step is one matrix product, split over the threads by columns, and one pass over the rows of the batch, split
// over the threads by rows. Pre-activations of all steps stay in one [T, B, 4H] buffer. The backward pass turns it,
// step by step, into dL/dy, and then every weight gradient is one product over T·B rows.

/// Sums that every chunk of a parallel loop accumulates for itself: several vectors a chunk, zero at the start.
package final class ChunkSums {
    private let sums: Tensor
    private let offsets: [Int]
    private let width: Int

    /// - Parameter counts: Lengths of the vectors.
    package init(chunks: Int, counts: [Int]) {
        offsets = counts.reduce(into: [0]) { $0.append($0.last! + ($1 + 15) / 16 * 16) }
        width = offsets.last!
        sums = Tensor(zeros: [chunks, width])
    }

    /// Vector `vector` of chunk `chunk`.
    package subscript(chunk: Int, vector: Int) -> FloatPointer { sums.pointer + chunk * width + offsets[vector] }

    /// Adds vector `vector` of all chunks, in order, to the gradient of a parameter.
    package func add(_ vector: Int, to parameter: Variable) {
        parameter.addGradient { gradient, accumulate in
            if !accumulate { gradient.fill(0) }
            for chunk in 0..<sums.shape[0] {
                Kernels.current.axpy(Int64(gradient.count), 1, self[chunk, vector], gradient.pointer)
            }
        }
    }
}

extension CellInput {
    /// The projections x W of all steps, as the row kernels take them. A one-hot input needs no product: its rows are
    /// gathered from W.
    package struct Projection {
        private let table: Tensor
        private let firstRow: Int
        private let symbols: Tensor?  // the bits of Int32
        private let scale: Tensor?
        /// T·B.
        package let count: Int

        /// - Parameter W: Its rows from `firstRow` on are the weights [I, O].
        init(_ input: CellInput, _ W: Tensor, firstRow: Int) {
            let columns = W.shape[1]
            switch input {
            case .oneHot(let symbols, let size, let scale):
                precondition(symbols.allSatisfy { $0 >= 0 && $0 < size }, "symbols lie in 0 ..< \(size)")
                precondition(scale == nil || scale!.count == symbols.count, "one factor a symbol")
                let bits = Tensor(uninitialized: [symbols.count])
                UnsafeMutableRawPointer(bits.pointer).assumingMemoryBound(to: Int32.self)
                    .update(from: symbols, count: symbols.count)
                (table, self.symbols, self.scale) = (W, bits, scale.map { Tensor($0, shape: [$0.count]) })
                (self.firstRow, count) = (firstRow, symbols.count)
            case .dense(let x):
                count = x.value.count / input.size
                table = Tensor(uninitialized: [count, columns])
                Blas.gemm(
                    m: count, n: columns, k: input.size, a: x.value.pointer, lda: input.size,
                    b: W.pointer + firstRow * columns, ldb: columns, beta: 0, c: table.pointer, ldc: columns)
                (symbols, scale, self.firstRow) = (nil, nil, 0)
            case .joined:
                preconditionFailure("a fused operation takes the parts of a joined input apart itself")
            }
        }

        /// Rows `row` ….
        package func rows(from row: Int) -> RowGather {
            let columns = table.shape[1]
            return RowGather(
                base: table.pointer + (isGathered ? firstRow : row) * columns, ld: Int64(columns),
                index: symbols.map { UnsafeRawPointer($0.pointer + row).assumingMemoryBound(to: Int32.self) },
                scale: scale.map { UnsafePointer($0.pointer + row) })
        }

        /// True for a one-hot input.
        package var isGathered: Bool { symbols != nil }

        /// For a dense input: row `row` of the projections, where their gradient may take their place.
        package func pointer(toRow row: Int) -> FloatPointer { table.pointer + row * table.shape[1] }
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

/// The recurrent weights of an LSTM in the order that its steps read them. A copy: it does not follow the parameters.
public final class PackedLSTM {
    fileprivate let recurrent: PackedMatrix

    /// - Parameter batch: Sequences that go through the cell together.
    public init(_ cell: LSTMCell, batch: Int) {
        let row = 4 * cell.units
        recurrent = PackedMatrix(k: cell.units, n: row, source: cell.W_h.value.pointer, ld: row, rows: batch)
    }
}

/// Runs an LSTM over a sequence.
///
/// - Parameters:
///   - cell: The cell; `cell.step` is the readable twin.
///   - packed: Its weights, if they are packed already for this many sequences: for many short sequences.
///   - x: T·B rows, step-major.
///   - state: h_0 and c_0, [B, H].
///   - mask: Recurrent dropout on φ(g) over [T, B, H], or nil.
/// - Returns: h of all steps, [T, B, H], and the last state. A gradient flows through h and through the last c.
func lstmSequence(
    _ cell: LSTMCell, _ x: CellInput, _ state: LSTMState, mask: DropoutMask? = nil, packed: PackedLSTM? = nil
) -> (h: Variable, last: LSTMState) {
    let B = state.h.shape[0], H = cell.units, I = cell.inputs
    precondition(state.h.shape == [B, H] && state.c.shape == [B, H], "an LSTM state is [B, \(H)]: \(state.h.shape)")
    precondition(x.size == I, "an input of size \(x.size) does not fit weights \(cell.W_x.shape)")
    let kernels = Kernels.current, kernel = cell.update.kernel(units: H)
    let projection = x.projection(cell.W_x.value)
    let T = projection.count / B
    precondition(T > 0, "a sequence has at least one step")
    let BH = B * H, row4 = 4 * H
    // Rows of Y hold y_t, (y_t's own part of) Eq. 9.
    let Y = Tensor(uninitialized: [T, B, row4]), h = Tensor(uninitialized: [T, B, H])
    let c = Tensor(uninitialized: [T, B, H]), stats = Tensor(uninitialized: [T, B, lstmStatistics])
    let maskStep = mask.map { _ in Tensor(uninitialized: [B, H]) }
    let h0 = state.h.value, c0 = state.c.value

    let recurrent = (packed ?? PackedLSTM(cell, batch: B)).recurrent
    for t in 0..<T {
        let y = Y.pointer + t * B * row4
        recurrent.multiply(m: B, a: t == 0 ? h0.pointer : h.pointer + (t - 1) * BH, lda: H, c: y, ldc: row4)
        let previous = t == 0 ? c0.pointer : c.pointer + (t - 1) * BH
        Profile.measure("LSTM cell, rows, forward", floats: 11 * BH) {
            Parallel.chunks(of: B) { range, _ in
                let r = range.lowerBound, count = Int64(range.count), at = t * BH + r * H
                let input = projection.rows(from: t * B + r)
                withUnsafePointer(to: input) { input in
                    kernels.add_rows(count, Int64(row4), input, cell.b.value.pointer, 1, y + r * row4, Int64(row4))
                }
                if let mask, let maskStep {
                    mask.write(first: at, count: range.count * H, to: maskStep.pointer + r * H)
                }
                withUnsafePointer(to: kernel) { kernel in
                    kernels.lstm_forward(
                        kernel, count, y + r * row4, Int64(row4), previous + r * H, maskStep.map { $0.pointer + r * H },
                        c.pointer + at, h.pointer + at, stats.pointer + (t * B + r) * lstmStatistics)
                }
            }
        }
    }

    let lastStates = LastStates()
    let output = Variable(
        h,
        operands: [state.h, state.c, cell.W_x, cell.W_h, cell.b] + (x.variable.map { [$0] } ?? [])
            + (cell.update.layerNorm?.parameters.map(\.variable) ?? [])
    ) { dH in
        let chunks = Parallel.split(B).count
        let norm = cell.update.layerNorm
        let sums = ChunkSums(
            chunks: chunks,
            counts: [row4] + (norm == nil ? [0, 0, 0, 0] : [row4, row4, H, H])
                + [5 * H, projection.isGathered ? I * row4 : 0])
        let dc = lastStates.gradient(0, [B, H]), dh = Tensor(zeros: [B, H])
        let maskStep = mask.map { _ in Tensor(uninitialized: [B, H]) }
        let back = PackedMatrix(
            k: row4, n: H, source: cell.W_h.value.pointer, ld: row4, transposed: true, rows: B)
        for t in (0..<T).reversed() {
            let y = Y.pointer + t * B * row4, previous = t == 0 ? c0.pointer : c.pointer + (t - 1) * BH
            Profile.measure("LSTM cell, rows, backward", floats: 16 * BH) {
                Parallel.chunks(of: B) { range, chunk in
                    let r = range.lowerBound, count = Int64(range.count), at = t * BH + r * H
                    kernels.axpy(Int64(range.count * H), 1, dH.pointer + at, dh.pointer + r * H)
                    if let mask, let maskStep {
                        mask.write(first: at, count: range.count * H, to: maskStep.pointer + r * H)
                    }
                    withUnsafePointer(to: kernel) { kernel in
                        kernels.lstm_backward(
                            kernel, count, y + r * row4, Int64(row4), previous + r * H, c.pointer + at,
                            maskStep.map { $0.pointer + r * H }, stats.pointer + (t * B + r) * lstmStatistics,
                            dh.pointer + r * H, dc.pointer + r * H, sums[chunk, 1], sums[chunk, 2], sums[chunk, 3],
                            sums[chunk, 4], sums[chunk, 5])
                    }
                    kernels.scatter_add_rows(
                        count, Int64(row4), y + r * row4, Int64(row4), nil, nil, sums[chunk, 0], Int64(row4))
                    if projection.isGathered {
                        let input = projection.rows(from: t * B + r)
                        kernels.scatter_add_rows(
                            count, Int64(row4), y + r * row4, Int64(row4), input.index, input.scale, sums[chunk, 6],
                            Int64(row4))
                    }
                }
            }
            back.multiply(m: B, a: y, lda: row4, c: dh.pointer, ldc: H)
        }
        state.h.addGradient(dh)
        state.c.addGradient(dc)
        sums.add(0, to: cell.b)
        if let norm {
            for (n, parameter) in norm.parameters.enumerated() { sums.add(n + 1, to: parameter.variable) }
        }
        cell.W_h.addGradient { dW, accumulate in
            weightGradient(
                dW.pointer, accumulate, columns: row4, T: T, B: B, H: H, h0: h0, h: h, dY: Y.pointer, ld: row4)
        }
        if projection.isGathered {
            sums.add(6, to: cell.W_x)
        } else if let x = x.variable {
            cell.W_x.addGradient { dW, accumulate in
                Blas.gemm(
                    transposeA: true, m: I, n: row4, k: T * B, a: x.value.pointer, lda: I, b: Y.pointer, ldb: row4,
                    beta: accumulate ? 1 : 0, c: dW.pointer, ldc: row4)
            }
            x.addGradient { dx, accumulate in
                Blas.gemm(
                    transposeB: true, m: T * B, n: I, k: row4, a: Y.pointer, lda: row4, b: cell.W_x.value.pointer,
                    ldb: row4, beta: accumulate ? 1 : 0, c: dx.pointer, ldc: I)
            }
        }
    }
    let last = LSTMState(
        h: reshape(rows(output, T - 1..<T), [B, H]), c: lastStates.variable(0, of: c, output: output))
    return (output, last)
}

/// The last rows of what a sequence operation computed, as variables of their own: a gradient that reaches one of them
/// waits here for the operation's backward pass.
package final class LastStates {
    private var gradients: [Int: Tensor] = [:]

    package init() {}

    /// The last step of `states` [T, B, N], as [B, N].
    ///
    /// - Parameters:
    ///   - slot: Under what its gradient is kept.
    ///   - output: The operation's result, whose backward pass takes the gradient.
    package func variable(_ slot: Int, of states: Tensor, output: Variable) -> Variable {
        let (T, B, N) = (states.shape[0], states.shape[1], states.shape[2]), last = Tensor(uninitialized: [B, N])
        last.pointer.update(from: states.pointer + (T - 1) * B * N, count: B * N)
        return Variable(last, operands: [output]) { gradient in
            self.gradients[slot] = gradient.copied()
            _ = output.gradientOrZeros  // so that its backward pass runs
        }
    }

    /// The gradient of a slot, to be overwritten; zeros if none came.
    package func gradient(_ slot: Int, _ shape: [Int]) -> Tensor { gradients[slot] ?? Tensor(zeros: shape) }
}

/// dW (+)= Σ_t h_{t-1}ᵀ dY_t: one product over the T·B rows, but for the first step, whose h_0 lies elsewhere.
package func weightGradient(
    _ dW: FloatPointer, _ accumulate: Bool, columns: Int, T: Int, B: Int, H: Int, h0: Tensor, h: Tensor,
    dY: FloatPointer, ld: Int
) {
    Blas.gemm(
        transposeA: true, m: H, n: columns, k: B, a: h0.pointer, lda: H, b: dY, ldb: ld, beta: accumulate ? 1 : 0,
        c: dW,
        ldc: columns)
    guard T > 1 else { return }
    addTransposedProduct(
        m: H, n: columns, k: (T - 1) * B, a: h.pointer, lda: H, b: dY + B * ld, ldb: ld, c: dW, ldc: columns)
}
