// The LSTM over a whole sequence as one operation: `LSTMCell.step` T times, without the thousands of small operations.
//
// A step is one matrix product, h_{t-1} W_h, split over the threads by columns, and one pass over the rows of the
// batch, split over the threads by rows. The gates' pre-activations of all steps stay in one buffer [T, B, 4H]. The
// backward pass goes through the steps in reverse and overwrites y_t with dL/dy_t; after that the gradient of each
// weight matrix is one product over T·B rows.

extension LSTMCell {
    /// `unrolled` as one operation; for a joined input `unrolled` itself.
    public func sequence(
        _ x: CellInput, _ state: LSTMState, masks: [DropoutMask?], packed: PackedLSTM?
    ) -> (h: Variable, last: LSTMState) {
        if case .joined = x { return unrolled(x, state, masks: masks) }
        let forward = LSTMForward(self, x, state, mask: masks.first ?? nil)
        forward.run(packed ?? PackedLSTM(self, batch: state.h.shape[0]))
        let operands = [state.h, state.c] + parameters.map(\.variable) + (x.variable.map { [$0] } ?? [])
        let lastStates = LastStates(), shape = state.h.shape
        let output = Variable(forward.h.states, operands: operands) { dH in
            let backward = LSTMBackward(forward, dH: dH, dc: lastStates.gradient(0, shape))
            backward.run()
            backward.addGradients(state: state)
        }
        let h = reshape(rows(output, forward.steps - 1..<forward.steps), shape)
        return (output, LSTMState(h: h, c: lastStates.variable(0, of: forward.c, output: output)))
    }
}

/// The forward pass of an LSTM, and what the backward pass needs of it.
private final class LSTMForward {
    let cell: LSTMCell
    let input: CellInput
    let mask: DropoutMask?
    let kernel: LSTMKernel
    /// T.
    let steps: Int
    /// B.
    let batch: Int
    /// x W_x of all steps.
    let projection: CellInput.Projection
    let h: StateHistory
    let c: StateHistory
    /// y of all steps, [T, B, 4H]; the backward pass overwrites it with dL/dy.
    let y: Tensor
    /// Mean and 1 / √(variance + ε) of each normalization, [T, B, lstmStatistics].
    let statistics: Tensor

    init(_ cell: LSTMCell, _ x: CellInput, _ state: LSTMState, mask: DropoutMask?) {
        let B = state.h.shape[0], H = cell.units
        precondition(
            state.h.shape == [B, H] && state.c.shape == [B, H], "an LSTM state is [B, \(H)]: \(state.h.shape)")
        precondition(x.size == cell.inputs, "an input of size \(x.size) does not fit weights \(cell.W_x.shape)")
        projection = x.projection(cell.W_x.value)
        let T = projection.count / B
        precondition(T > 0 && projection.count == T * B, "\(projection.count) rows are no steps of \(B)")
        (self.cell, self.mask, input, steps, batch) = (cell, mask, x, T, B)
        kernel = cell.update.kernel(units: H)
        h = StateHistory(initial: state.h.value, steps: T)
        c = StateHistory(initial: state.c.value, steps: T)
        y = Tensor(uninitialized: [T, B, 4 * H])
        statistics = Tensor(uninitialized: [T, B, lstmStatistics])
    }

    func run(_ packed: PackedLSTM) {
        let mask = StepMask(mask, batch: batch, units: cell.units)
        for t in 0..<steps {
            packed.recurrent.multiply(h.before(t), into: y.matrix.rows(t * batch..<(t + 1) * batch))
            Profile.measure("LSTM cell, rows, forward", floats: 11 * batch * cell.units) {
                Parallel.chunks(of: batch) { rows, _ in update(t, rows, mask: mask?.write(t, rows)) }
            }
        }
    }

    /// From h_{t-1} W_h to h_t and c_t for some rows of the batch.
    private func update(_ t: Int, _ rows: Range<Int>, mask: FloatPointer?) {
        let count = Int64(rows.count), at = t * batch + rows.lowerBound
        let y = y.matrix.rows(at..<at + rows.count)
        withUnsafePointer(to: projection.rows(from: at)) { input in
            Kernels.current.add_rows(
                count, Int64(y.columnCount), input, cell.b.value.pointer, 1, y.pointer, Int64(y.stride))
        }
        withUnsafePointer(to: kernel) { kernel in
            Kernels.current.lstm_forward(
                kernel, count, y.pointer, Int64(y.stride), c.before(t).rows(rows).pointer, mask,
                c.after(t).rows(rows).pointer, h.after(t).rows(rows).pointer,
                statistics.pointer + at * lstmStatistics)
        }
    }
}

/// A backward pass of an LSTM. Its buffers follow its own split of the batch, whatever that of the forward pass was.
private final class LSTMBackward {
    private enum Slot: Int, CaseIterable { case b, gamma, beta, gammaC, betaC, W_x }

    private let forward: LSTMForward
    private let dH: Tensor
    /// dL/dh_t and dL/dc_t, [B, H], overwritten step by step; in the end those of the initial state.
    private let dh: Tensor
    private let dc: Tensor
    private let chunks: [Range<Int>]
    private let sums: ChunkSums<Slot>
    /// Scratch of the kernel, [chunks, 5H].
    private let scratch: Tensor
    private let mask: StepMask?
    /// W_hᵀ.
    private let recurrent: PackedMatrix

    /// - Parameters:
    ///   - dH: Of h of all steps.
    ///   - dc: Of the last c; overwritten.
    init(_ forward: LSTMForward, dH: Tensor, dc: Tensor) {
        let cell = forward.cell, H = cell.units, chunks = Parallel.split(forward.batch)
        (self.forward, self.dH, self.dc, self.chunks) = (forward, dH, dc, chunks)
        dh = Tensor(zeros: [forward.batch, H])
        let normalized = cell.update.layerNorm != nil, gathered = forward.projection.isGathered
        sums = ChunkSums(chunks: chunks.count) { slot in
            switch slot {
            case .b: 4 * H
            case .gamma, .beta: normalized ? 4 * H : 0
            case .gammaC, .betaC: normalized ? H : 0
            case .W_x: gathered ? cell.W_x.value.count : 0
            }
        }
        scratch = Tensor(uninitialized: [chunks.count, 5 * H])
        mask = StepMask(forward.mask, batch: forward.batch, units: H)
        recurrent = PackedMatrix(cell.W_h.value.matrix, transposed: true, rows: forward.batch)
    }

    func run() {
        let B = forward.batch
        for t in (0..<forward.steps).reversed() {
            Profile.measure("LSTM cell, rows, backward", floats: 16 * dh.count) {
                Parallel.loop(chunks.count) { update(t, chunks[$0], chunk: $0) }
            }
            recurrent.multiply(forward.y.matrix.rows(t * B..<(t + 1) * B), into: dh.matrix)
        }
    }

    /// From dL/dh_t and dL/dc_t to dL/dy_t and dL/dc_{t-1} for some rows of the batch.
    private func update(_ t: Int, _ rows: Range<Int>, chunk: Int) {
        let kernels = Kernels.current, H = dh.shape[1], count = Int64(rows.count)
        let at = t * forward.batch + rows.lowerBound
        let y = forward.y.matrix.rows(at..<at + rows.count), dh = dh.matrix.rows(rows).pointer
        kernels.axpy(Int64(rows.count * H), 1, dH.pointer + at * H, dh)
        withUnsafePointer(to: forward.kernel) { kernel in
            kernels.lstm_backward(
                kernel, count, y.pointer, Int64(y.stride), forward.c.before(t).rows(rows).pointer,
                forward.c.after(t).rows(rows).pointer, mask?.write(t, rows),
                forward.statistics.pointer + at * lstmStatistics, dh, dc.matrix.rows(rows).pointer,
                sums[chunk, .gamma], sums[chunk, .beta], sums[chunk, .gammaC], sums[chunk, .betaC],
                scratch.matrix.rows(chunk..<chunk + 1).pointer)
        }
        let width = Int64(y.columnCount)
        kernels.scatter_add_rows(count, width, y.pointer, Int64(y.stride), nil, nil, sums[chunk, .b], width)
        if forward.projection.isGathered {
            let input = forward.projection.rows(from: at)
            kernels.scatter_add_rows(
                count, width, y.pointer, Int64(y.stride), input.index, input.scale, sums[chunk, .W_x], width)
        }
    }

    /// Adds to the gradients of the initial state, the parameters and the input, once all steps are through.
    func addGradients(state: LSTMState) {
        let cell = forward.cell, dY = forward.y.matrix
        state.h.addGradient(dh)
        state.c.addGradient(dc)
        sums.add(.b, to: cell.b)
        sums.add([.gamma, .beta, .gammaC, .betaC], to: cell.update.layerNorm)
        cell.W_h.addGradient { forward.h.weightGradient(dY, to: $0.matrix, accumulate: $1) }
        if forward.projection.isGathered { sums.add(.W_x, to: cell.W_x) }
        guard let x = forward.input.variable else { return }
        let rows = x.value.reshaped([dY.rowCount, cell.inputs]).matrix
        cell.W_x.addGradient { Blas.multiply(rows, transposeA: true, dY, into: $0.matrix, accumulate: $1) }
        x.addGradient { dx, accumulate in
            Blas.multiply(
                dY, cell.W_x.value.matrix, transposeB: true,
                into: dx.reshaped([dY.rowCount, cell.inputs]).matrix, accumulate: accumulate)
        }
    }
}
