// The HyperLSTM over a whole sequence as one operation: `HyperLSTMCell.step` T times.
//
// As in `lstmSequence`, a step is one matrix product and one pass over the rows of the batch. The product is h_{t-1}
// times W_h and the hyper cell's part of W_x̂ side by side. The hyper cell, Eq. 11 and Eq. 12 concern one row at a time,
// so a thread takes a few rows through all of them while they are in its cache. Of Eq. 12 only p = h_{t-1} W_h is kept;
// the backward pass makes y from it again.

/// Weights of a HyperLSTM in the order that its steps read them. A copy: it does not follow the parameters.
public final class PackedHyperLSTM {
    /// W_h and the part of the hyper cell's W_x̂ that meets h, side by side.
    fileprivate let joint: PackedMatrix
    fileprivate let hyper: PackedMatrix
    fileprivate let embedding: PackedMatrix
    fileprivate let embeddingBias: Tensor

    /// - Parameter batch: Sequences that go through the cell together.
    public init(_ cell: HyperLSTMCell, batch: Int) {
        func packed(_ matrix: Tensor, rows: Int? = nil) -> PackedMatrix {
            PackedMatrix(
                k: matrix.shape[0], n: matrix.shape[1], source: matrix.pointer, ld: matrix.shape[1], rows: rows)
        }
        joint = packed(cell.jointWeights, rows: batch)
        hyper = packed(cell.hyperCell.W_h.value)
        embedding = packed(cell.embeddingWeights)
        embeddingBias = Tensor(zeros: [embedding.n])
        let count = 4 * cell.embeddingSize
        embeddingBias.pointer.update(from: cell.b_hhat_h.value.pointer, count: count)
        (embeddingBias.pointer + count).update(from: cell.b_hhat_x.value.pointer, count: count)
    }
}

extension HyperLSTMCell {
    /// W_h and the part of the hyper cell's W_x̂ that meets h, side by side: [H, 4H + 4h].
    fileprivate var jointWeights: Tensor { sideBySide([W_h.value, hyperCell.W_x.value], rows: units) }
    /// W_ĥh, W_ĥx and W_ĥb side by side: [h, 12 Nz].
    fileprivate var embeddingWeights: Tensor {
        sideBySide([W_hhat_h.value, W_hhat_x.value, W_hhat_b.value], rows: hyperCell.units)
    }
}

/// Runs a HyperLSTM over a sequence.
///
/// - Parameters:
///   - cell: The cell; `cell.step` is the readable twin.
///   - packed: Its weights, if they are packed already for this many sequences: for many short sequences.
///   - x: T·B rows, step-major.
///   - state: The state before the first step.
///   - mask: Recurrent dropout on the main cell's φ(g) over [T, B, H], or nil.
///   - hyperMask: The same for the hyper cell over [T, B, h], or nil.
/// - Returns: The main cell's h of all steps, [T, B, H], and the last state.
func hyperLSTMSequence(
    _ cell: HyperLSTMCell, _ x: CellInput, _ state: HyperLSTMState, mask: DropoutMask? = nil,
    hyperMask: DropoutMask? = nil, packed: PackedHyperLSTM? = nil
) -> (h: Variable, last: HyperLSTMState) {
    let B = state.main.h.shape[0], H = cell.units, I = cell.inputs, hyper = cell.hyperCell
    let Ĥ = hyper.units, Nz = cell.embeddingSize, Z = 12 * Nz
    precondition(
        state.main.h.shape == [B, H] && state.main.c.shape == [B, H] && state.hyper.h.shape == [B, Ĥ]
            && state.hyper.c.shape == [B, Ĥ],
        "a HyperLSTM state is [B, \(H)] and [B, \(Ĥ)]: \(state.main.h.shape), \(state.hyper.h.shape)")
    precondition(x.size == I, "an input of size \(x.size) does not fit weights \(cell.W_x.shape)")
    let kernels = Kernels.current
    let kernel = cell.update.kernel(units: H), hyperKernel = hyper.update.kernel(units: Ĥ)
    let projection = x.projection(cell.W_x.value), hyperProjection = x.projection(hyper.W_x.value, firstRow: H)
    let T = projection.count / B
    precondition(T > 0, "a sequence has at least one step")
    let main4 = 4 * H, hyper4 = 4 * Ĥ, row = main4 + hyper4
    // A row of P: p = h_{t-1} W_h, then the hyper cell's pre-activations.
    let P = Tensor(uninitialized: [T, B, row]), z = Tensor(uninitialized: [T, B, Z])
    let h = Tensor(uninitialized: [T, B, H]), c = Tensor(uninitialized: [T, B, H])
    let ĥ = Tensor(uninitialized: [T, B, Ĥ]), ĉ = Tensor(uninitialized: [T, B, Ĥ])
    let stats = Tensor(uninitialized: [T, B, lstmStatistics]), hyperStats = Tensor(uninitialized: stats.shape)
    let (h0, c0, ĥ0, ĉ0) = (state.main.h.value, state.main.c.value, state.hyper.h.value, state.hyper.c.value)

    let packed = packed ?? PackedHyperLSTM(cell, batch: B)
    let scaling = ScalingKernel(
        units: Int64(H), embedding: Int64(Nz), whz: cell.W_hz.value.pointer, wxz: cell.W_xz.value.pointer,
        wbz: cell.W_bz.value.pointer, b0: cell.b_0.value.pointer)

    /// What a chunk of rows writes its masks and its y to.
    final class Scratch {
        let masks: Tensor?
        let hyperMasks: Tensor?
        let y: Tensor

        init(_ mask: DropoutMask?, _ hyperMask: DropoutMask?, chunks: Int, B: Int, H: Int, Ĥ: Int) {
            masks = mask.map { _ in Tensor(uninitialized: [B, H]) }
            hyperMasks = hyperMask.map { _ in Tensor(uninitialized: [B, Ĥ]) }
            y = Tensor(uninitialized: [chunks, fewRows, 4 * H])
        }
    }
    let scratch = Scratch(mask, hyperMask, chunks: Parallel.split(B).count, B: B, H: H, Ĥ: Ĥ)

    /// Calls `body` with pointers to a step's masks for `rows`, made anew.
    func withMasks(_ t: Int, _ rows: Range<Int>, _ body: (_ mask: FloatPointer?, _ hyperMask: FloatPointer?) -> Void) {
        let r = rows.lowerBound
        let main = scratch.masks.map { $0.pointer + r * H }, small = scratch.hyperMasks.map { $0.pointer + r * Ĥ }
        if let mask, let main { mask.write(first: (t * B + r) * H, count: rows.count * H, to: main) }
        if let hyperMask, let small { hyperMask.write(first: (t * B + r) * Ĥ, count: rows.count * Ĥ, to: small) }
        body(main, small)
    }

    /// The state before step t: where the rows of a step before it, or of the initial state, begin.
    func before(_ t: Int, _ states: Tensor, _ initial: Tensor) -> FloatPointer {
        t == 0 ? initial.pointer : states.pointer + (t - 1) * initial.count
    }

    for t in 0..<T {
        let p = P.pointer + t * B * row
        packed.joint.multiply(m: B, a: before(t, h, h0), lda: H, c: p, ldc: row)
        Profile.measure(
            "HyperLSTM cell, rows, forward", flops: 2 * B * Ĥ * (hyper4 + Z), floats: B * (7 * H + 11 * Ĥ + 2 * Z)
        ) {
            Parallel.chunks(of: B) { chunkRows, chunk in
                for r in stride(from: chunkRows.lowerBound, to: chunkRows.upperBound, by: fewRows) {
                    let rows = r..<min(r + fewRows, chunkRows.upperBound), count = Int64(rows.count), at = t * B + r
                    withMasks(t, rows) { mask, hyperMask in
                        // Eq. 10
                        let ŷ = p + r * row + main4
                        packed.hyper.multiplySerially(
                            m: rows.count, a: before(t, ĥ, ĥ0) + r * Ĥ, lda: Ĥ, accumulate: true, c: ŷ, ldc: row)
                        withUnsafePointer(to: hyperProjection.rows(from: at)) { input in
                            kernels.add_rows(count, Int64(hyper4), input, hyper.b.value.pointer, 1, ŷ, Int64(row))
                        }
                        withUnsafePointer(to: hyperKernel) { kernel in
                            kernels.lstm_forward(
                                kernel, count, ŷ, Int64(row), before(t, ĉ, ĉ0) + r * Ĥ, hyperMask, ĉ.pointer + at * Ĥ,
                                ĥ.pointer + at * Ĥ, hyperStats.pointer + at * lstmStatistics)
                        }
                        // Eq. 11
                        let source = cell.embeddingSource == .current ? ĥ.pointer + at * Ĥ : before(t, ĥ, ĥ0) + r * Ĥ
                        for n in 0..<rows.count {
                            (z.pointer + (at + n) * Z).update(from: packed.embeddingBias.pointer, count: Z)
                        }
                        packed.embedding.multiplySerially(
                            m: rows.count, a: source, lda: Ĥ, accumulate: true, c: z.pointer + at * Z, ldc: Z)
                        // Eq. 12 and 13
                        let y = scratch.y.pointer + chunk * fewRows * main4
                        withUnsafePointers(scaling, projection.rows(from: at), kernel) { scaling, input, kernel in
                            kernels.scaling_forward(
                                scaling, count, p + r * row, Int64(row), input, z.pointer + at * Z, y, Int64(main4))
                            kernels.lstm_forward(
                                kernel, count, y, Int64(main4), before(t, c, c0) + r * H, mask, c.pointer + at * H,
                                h.pointer + at * H, stats.pointer + at * lstmStatistics)
                        }
                    }
                }
            }
        }
    }

    let lastStates = LastStates()
    let operands = [state.main.h, state.main.c, state.hyper.h, state.hyper.c] + cell.parameters.map(\.variable)
    let output = Variable(h, operands: operands + (x.variable.map { [$0] } ?? [])) { dH in
        let norm = cell.update.layerNorm, hyperNorm = hyper.update.layerNorm
        let sums = ChunkSums(
            chunks: Parallel.split(B).count,
            counts: [main4, hyper4, Z, Nz * main4, Nz * main4, Nz * main4]  // b_0, b̂, (b_ĥh, b_ĥx, -), W_hz, W_xz, W_bz
                + (norm == nil ? [0, 0, 0, 0] : [main4, main4, H, H])
                + (hyperNorm == nil ? [0, 0, 0, 0] : [hyper4, hyper4, Ĥ, Ĥ])
                + (projection.isGathered ? [I * main4, I * hyper4] : [0, 0]) + [8 * H, 5 * Ĥ])
        let dz = Tensor(uninitialized: z.shape), dh = Tensor(zeros: [B, H])
        let dc = lastStates.gradient(0, [B, H]), dĥ = lastStates.gradient(1, [B, Ĥ])
        let dĉ = lastStates.gradient(2, [B, Ĥ])
        let joint = cell.jointWeights, embedding = cell.embeddingWeights
        let jointBack = PackedMatrix(k: row, n: H, source: joint.pointer, ld: row, transposed: true, rows: B)
        let hyperBack = PackedMatrix(k: hyper4, n: Ĥ, source: hyper.W_h.value.pointer, ld: hyper4, transposed: true)
        let embeddingBack = PackedMatrix(k: Z, n: Ĥ, source: embedding.pointer, ld: Z, transposed: true)
        for t in (0..<T).reversed() {
            let p = P.pointer + t * B * row
            Profile.measure(
                "HyperLSTM cell, rows, backward", flops: 2 * B * Ĥ * (hyper4 + Z), floats: B * (14 * H + 16 * Ĥ + 2 * Z)
            ) {
                Parallel.chunks(of: B) { chunkRows, chunk in
                    for r in stride(from: chunkRows.lowerBound, to: chunkRows.upperBound, by: fewRows) {
                        let rows = r..<min(r + fewRows, chunkRows.upperBound), count = Int64(rows.count), at = t * B + r
                        withMasks(t, rows) { mask, hyperMask in
                            // Eq. 13 and 12
                            let y = scratch.y.pointer + chunk * fewRows * main4
                            kernels.axpy(Int64(rows.count * H), 1, dH.pointer + at * H, dh.pointer + r * H)
                            withUnsafePointers(scaling, projection.rows(from: at), kernel) { scaling, input, kernel in
                                kernels.scaling_forward(
                                    scaling, count, p + r * row, Int64(row), input, z.pointer + at * Z, y, Int64(main4))
                                kernels.lstm_backward(
                                    kernel, count, y, Int64(main4), before(t, c, c0) + r * H, c.pointer + at * H, mask,
                                    stats.pointer + at * lstmStatistics, dh.pointer + r * H, dc.pointer + r * H,
                                    sums[chunk, 6], sums[chunk, 7], sums[chunk, 8], sums[chunk, 9], sums[chunk, 16])
                                let gathered = projection.isGathered
                                kernels.scaling_backward(
                                    scaling, count, p + r * row, Int64(row), input, z.pointer + at * Z, y, Int64(main4),
                                    gathered ? 1 : 0, gathered ? sums[chunk, 14] : projection.pointer(toRow: at),
                                    Int64(main4), dz.pointer + at * Z, sums[chunk, 3], sums[chunk, 4], sums[chunk, 5],
                                    sums[chunk, 0], sums[chunk, 16])
                            }
                            // Eq. 11
                            kernels.scatter_add_rows(
                                count, Int64(Z), dz.pointer + at * Z, Int64(Z), nil, nil, sums[chunk, 2], Int64(Z))
                            func backThroughEmbedding() {
                                embeddingBack.multiplySerially(
                                    m: rows.count, a: dz.pointer + at * Z, lda: Z, accumulate: true,
                                    c: dĥ.pointer + r * Ĥ, ldc: Ĥ)
                            }
                            if cell.embeddingSource == .current { backThroughEmbedding() }
                            // Eq. 10
                            let ŷ = p + r * row + main4
                            withUnsafePointer(to: hyperKernel) { kernel in
                                kernels.lstm_backward(
                                    kernel, count, ŷ, Int64(row), before(t, ĉ, ĉ0) + r * Ĥ, ĉ.pointer + at * Ĥ,
                                    hyperMask, hyperStats.pointer + at * lstmStatistics, dĥ.pointer + r * Ĥ,
                                    dĉ.pointer + r * Ĥ,
                                    sums[chunk, 10], sums[chunk, 11], sums[chunk, 12], sums[chunk, 13], sums[chunk, 17])
                            }
                            kernels.scatter_add_rows(
                                count, Int64(hyper4), ŷ, Int64(row), nil, nil, sums[chunk, 1], Int64(hyper4))
                            if hyperProjection.isGathered {
                                let input = hyperProjection.rows(from: at)
                                kernels.scatter_add_rows(
                                    count, Int64(hyper4), ŷ, Int64(row), input.index, input.scale, sums[chunk, 15],
                                    Int64(hyper4))
                            }
                            hyperBack.multiplySerially(
                                m: rows.count, a: ŷ, lda: row, c: dĥ.pointer + r * Ĥ, ldc: Ĥ)
                            if cell.embeddingSource == .previous { backThroughEmbedding() }
                        }
                    }
                }
            }
            jointBack.multiply(m: B, a: p, lda: row, c: dh.pointer, ldc: H)
        }
        for (variable, gradient) in zip(operands, [dh, dc, dĥ, dĉ]) { variable.addGradient(gradient) }

        // Parameters that were summed chunk by chunk …
        sums.add(0, to: cell.b_0)
        sums.add(1, to: hyper.b)
        for (n, parameter) in [cell.W_hz, cell.W_xz, cell.W_bz].enumerated() { sums.add(3 + n, to: parameter) }
        for (n, parameter) in (norm?.parameters ?? []).enumerated() { sums.add(6 + n, to: parameter.variable) }
        for (n, parameter) in (hyperNorm?.parameters ?? []).enumerated() { sums.add(10 + n, to: parameter.variable) }
        let dEmbeddingBias = Variable(Tensor(zeros: [Z]), requiresGradient: true)
        sums.add(2, to: dEmbeddingBias)
        for (n, bias) in [cell.b_hhat_h, cell.b_hhat_x].enumerated() {
            bias.addGradient(columns(Variable(dEmbeddingBias.gradientOrZeros), 4 * Nz * n..<4 * Nz * (n + 1)).value)
        }
        // … and those that are one matrix product over all steps.
        // `joint` is packed: the gradient of the two matrices in it takes its place.
        weightGradient(joint.pointer, false, columns: row, T: T, B: B, H: H, h0: h0, h: h, dY: P.pointer, ld: row)
        cell.W_h.addGradient { dW, accumulate in
            takeColumns(of: joint, from: 0, to: dW.pointer, rows: H, columns: main4, accumulate)
        }
        hyper.W_h.addGradient { dW, accumulate in
            weightGradient(
                dW.pointer, accumulate, columns: hyper4, T: T, B: B, H: Ĥ, h0: ĥ0, h: ĥ, dY: P.pointer + main4, ld: row)
        }
        hyper.W_x.addGradient { dW, accumulate in
            takeColumns(of: joint, from: main4, to: dW.pointer, rows: H, columns: hyper4, accumulate)
            let inputPart = dW.pointer + H * hyper4
            if let x = x.variable {
                Blas.gemm(
                    transposeA: true, m: I, n: hyper4, k: T * B, a: x.value.pointer, lda: I, b: P.pointer + main4,
                    ldb: row, beta: accumulate ? 1 : 0, c: inputPart, ldc: hyper4)
            } else {
                if !accumulate { inputPart.update(repeating: 0, count: I * hyper4) }
                for chunk in 0..<Parallel.split(B).count {
                    kernels.axpy(Int64(I * hyper4), 1, sums[chunk, 15], inputPart)
                }
            }
        }
        for (n, W) in [cell.W_hhat_h, cell.W_hhat_x, cell.W_hhat_b].enumerated() {
            W.addGradient { dW, accumulate in
                let dY = dz.pointer + 4 * Nz * n
                if cell.embeddingSource == .previous {
                    weightGradient(
                        dW.pointer, accumulate, columns: 4 * Nz, T: T, B: B, H: Ĥ, h0: ĥ0, h: ĥ, dY: dY, ld: Z)
                } else {
                    Blas.gemm(
                        transposeA: true, m: Ĥ, n: 4 * Nz, k: T * B, a: ĥ.pointer, lda: Ĥ, b: dY, ldb: Z,
                        beta: accumulate ? 1 : 0, c: dW.pointer, ldc: 4 * Nz)
                }
            }
        }
        if let x = x.variable {
            let dX = projection.pointer(toRow: 0)
            cell.W_x.addGradient { dW, accumulate in
                Blas.gemm(
                    transposeA: true, m: I, n: main4, k: T * B, a: x.value.pointer, lda: I, b: dX, ldb: main4,
                    beta: accumulate ? 1 : 0, c: dW.pointer, ldc: main4)
            }
            x.addGradient { dx, accumulate in
                Blas.gemm(
                    transposeB: true, m: T * B, n: I, k: main4, a: dX, lda: main4, b: cell.W_x.value.pointer,
                    ldb: main4, beta: accumulate ? 1 : 0, c: dx.pointer, ldc: I)
                Blas.gemm(
                    transposeB: true, m: T * B, n: I, k: hyper4, a: P.pointer + main4, lda: row,
                    b: hyper.W_x.value.pointer + H * hyper4, ldb: hyper4, beta: 1, c: dx.pointer, ldc: I)
            }
        } else {
            sums.add(14, to: cell.W_x)
        }
    }
    let last = HyperLSTMState(
        main: LSTMState(
            h: reshape(rows(output, T - 1..<T), [B, H]), c: lastStates.variable(0, of: c, output: output)),
        hyper: LSTMState(
            h: lastStates.variable(1, of: ĥ, output: output), c: lastStates.variable(2, of: ĉ, output: output)))
    return (output, last)
}

/// Rows that a thread takes through a step together: their y, 16 KB a row at 1000 units, stay in its cache.
private let fewRows = 8

/// The first `rows` rows of matrices, side by side.
private func sideBySide(_ matrices: [Tensor], rows: Int) -> Tensor {
    let width = matrices.reduce(0) { $0 + $1.shape[1] }, result = Tensor(uninitialized: [rows, width])
    var offset = 0
    for matrix in matrices {
        let columns = matrix.shape[1]
        for r in 0..<rows {
            (result.pointer + r * width + offset).update(from: matrix.pointer + r * columns, count: columns)
        }
        offset += columns
    }
    return result
}

/// result [rows, columns] (+)= columns `first` … of a matrix.
private func takeColumns(
    of matrix: Tensor, from first: Int, to result: FloatPointer, rows: Int, columns: Int, _ accumulate: Bool
) {
    let width = matrix.shape[1]
    Parallel.chunks(of: rows) { range, _ in
        let at = range.lowerBound
        let source = RowGather(base: matrix.pointer + at * width + first, ld: Int64(width), index: nil, scale: nil)
        withUnsafePointer(to: source) {
            Kernels.current.add_rows(
                Int64(range.count), Int64(columns), $0, nil, accumulate ? 1 : 0, result + at * columns, Int64(columns))
        }
    }
}

private func withUnsafePointers<A, B, C>(
    _ a: A, _ b: B, _ c: C, _ body: (UnsafePointer<A>, UnsafePointer<B>, UnsafePointer<C>) -> Void
) {
    withUnsafePointer(to: a) { a in withUnsafePointer(to: b) { b in withUnsafePointer(to: c) { body(a, b, $0) } } }
}
