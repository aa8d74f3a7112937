// The HyperLSTM over a whole sequence as one operation: `HyperLSTMCell.step` T times.
//
// As for the LSTM, a step is one matrix product and one pass over the rows of the batch. The product is h_{t-1} times
// W_h and times the hyper cell's part of W_x̂, side by side. Everything else, the hyper cell, Eq. 11 and Eq. 12,
// concerns one row of the batch at a time, so a thread takes a few rows through all of it while they are in its cache.
// Of Eq. 12 only p = h_{t-1} W_h is kept; the backward pass computes y from it again.

extension HyperLSTMCell {
    /// `unrolled` as one operation; for a joined input `unrolled` itself.
    public func sequence(
        _ x: CellInput, _ state: HyperLSTMState, masks: [DropoutMask?], packed: PackedHyperLSTM?
    ) -> (h: Variable, last: HyperLSTMState) {
        if case .joined = x { return unrolled(x, state, masks: masks) }
        let forward = HyperLSTMForward(self, x, state, masks: masks)
        forward.run(packed ?? PackedHyperLSTM(self, batch: forward.batch))
        let operands = state.parts.map(\.part) + parameters.map(\.variable) + (x.variable.map { [$0] } ?? [])
        let lastStates = LastStates(), shape = state.main.h.shape, hyperShape = state.hyper.h.shape
        let output = Variable(forward.h.states, operands: operands) { dH in
            let backward = HyperLSTMBackward(
                forward, dH: dH, dc: lastStates.gradient(0, shape), hyper_dh: lastStates.gradient(1, hyperShape),
                hyper_dc: lastStates.gradient(2, hyperShape))
            backward.run()
            backward.addGradients(state: state)
        }
        let h = reshape(rows(output, forward.steps - 1..<forward.steps), shape)
        let main = LSTMState(h: h, c: lastStates.variable(0, of: forward.c, output: output))
        let hyper = LSTMState(
            h: lastStates.variable(1, of: forward.hyper_h, output: output),
            c: lastStates.variable(2, of: forward.hyper_c, output: output))
        return (output, HyperLSTMState(main: main, hyper: hyper))
    }
}

/// A few rows of the batch at one step, worked on by one thread.
private struct StepRows {
    /// Rows that a thread takes through a step together: their y, 16 KB a row at 1000 units, stay in its cache.
    static let most = 8

    let t: Int
    /// In the batch.
    let rows: Range<Int>
    /// In all steps, [T·B].
    let all: Range<Int>
    /// Of the loop over the batch.
    let chunk: Int

    var count: Int64 { Int64(rows.count) }
    var first: Int { all.lowerBound }
}

/// Scratch of the threads of one pass. Each pass has its own, for its own split of the batch: the number of threads may
/// change between a forward and a backward pass.
private struct HyperLSTMWorkspace {
    private let chunks: [Range<Int>]
    private let batch: Int
    /// y of the rows that a chunk works on, [chunks, rows, 4H].
    private let y: Tensor
    private let mask: StepMask?
    private let hyperMask: StepMask?

    init(_ forward: HyperLSTMForward) {
        let H = forward.cell.units
        (chunks, batch) = (Parallel.split(forward.batch), forward.batch)
        y = Tensor(uninitialized: [chunks.count, StepRows.most, 4 * H])
        mask = StepMask(forward.mask, batch: batch, units: H)
        hyperMask = StepMask(forward.hyperMask, batch: batch, units: forward.cell.hyperCell.units)
    }

    var chunkCount: Int { chunks.count }

    /// Calls `body` for all rows of the batch at step t, a few at a time, on all threads.
    func forEachRows(_ t: Int, _ body: (StepRows) -> Void) {
        Parallel.loop(chunks.count) { chunk in
            let range = chunks[chunk]
            for first in stride(from: range.lowerBound, to: range.upperBound, by: StepRows.most) {
                let rows = first..<min(first + StepRows.most, range.upperBound)
                let all = t * batch + rows.lowerBound..<t * batch + rows.upperBound
                body(StepRows(t: t, rows: rows, all: all, chunk: chunk))
            }
        }
    }

    /// The place of y of some rows, [rows, 4H].
    func y(_ rows: StepRows) -> MatrixView {
        let first = rows.chunk * StepRows.most
        return y.matrix.rows(first..<first + rows.rows.count)
    }

    /// The dropout mask of the main cell for some rows, made anew.
    func mask(_ rows: StepRows) -> FloatPointer? { mask?.write(rows.t, rows.rows) }
    func hyperMask(_ rows: StepRows) -> FloatPointer? { hyperMask?.write(rows.t, rows.rows) }
}

/// The forward pass of a HyperLSTM, and what the backward pass needs of it.
private final class HyperLSTMForward {
    let cell: HyperLSTMCell
    let input: CellInput
    let mask: DropoutMask?
    let hyperMask: DropoutMask?
    /// T.
    let steps: Int
    /// B.
    let batch: Int
    let kernel: LSTMKernel
    let hyperKernel: LSTMKernel
    let scaling: ScalingKernel
    /// x W_x of all steps, and the product of x with its part of the hyper cell's W_x̂.
    let projection: CellInput.Projection
    let hyperProjection: CellInput.Projection
    let h: StateHistory
    let c: StateHistory
    let hyper_h: StateHistory
    let hyper_c: StateHistory
    /// p = h_{t-1} W_h, then the hyper cell's pre-activations ŷ, [T, B, 4H + 4h]; the backward pass overwrites both
    /// with their gradients.
    let products: Tensor
    /// z_h, z_x and z_b of all gates, [T, B, 12 N_z].
    let z: Tensor
    /// Mean and 1 / √(variance + ε) of each normalization, [T, B, lstmStatistics].
    let statistics: Tensor
    let hyperStatistics: Tensor

    init(_ cell: HyperLSTMCell, _ x: CellInput, _ state: HyperLSTMState, masks: [DropoutMask?]) {
        let B = state.h.shape[0], H = cell.units, hyper = cell.hyperCell, h = hyper.units
        precondition(
            state.main.h.shape == [B, H] && state.main.c.shape == [B, H] && state.hyper.h.shape == [B, h]
                && state.hyper.c.shape == [B, h],
            "a HyperLSTM state is [B, \(H)] and [B, \(h)]: \(state.main.h.shape), \(state.hyper.h.shape)")
        precondition(x.size == cell.inputs, "an input of size \(x.size) does not fit weights \(cell.W_x.shape)")
        (self.cell, input, batch) = (cell, x, B)
        (mask, hyperMask) = (masks.first ?? nil, masks.dropFirst().first ?? nil)
        projection = x.projection(cell.W_x.value)
        hyperProjection = x.projection(hyper.W_x.value, firstRow: H)
        let T = projection.count / B
        precondition(T > 0 && projection.count == T * B, "\(projection.count) rows are no steps of \(B)")
        steps = T
        (kernel, hyperKernel) = (cell.update.kernel(units: H), hyper.update.kernel(units: h))
        scaling = ScalingKernel(
            units: Int64(H), embedding: Int64(cell.embeddingSize), whz: cell.W_hz.value.pointer,
            wxz: cell.W_xz.value.pointer, wbz: cell.W_bz.value.pointer, b0: cell.b_0.value.pointer)
        self.h = StateHistory(initial: state.main.h.value, steps: T)
        c = StateHistory(initial: state.main.c.value, steps: T)
        hyper_h = StateHistory(initial: state.hyper.h.value, steps: T)
        hyper_c = StateHistory(initial: state.hyper.c.value, steps: T)
        products = Tensor(uninitialized: [T, B, 4 * H + 4 * h])
        z = Tensor(uninitialized: [T, B, 12 * cell.embeddingSize])
        statistics = Tensor(uninitialized: [T, B, lstmStatistics])
        hyperStatistics = Tensor(uninitialized: [T, B, lstmStatistics])
    }

    /// p of all steps, [T·B, 4H].
    var p: MatrixView { products.matrix.columns(0..<4 * cell.units) }
    /// ŷ of all steps, [T·B, 4h].
    var hyper_y: MatrixView { products.matrix.columns(4 * cell.units..<products.shape[2]) }
    /// The ĥ that Eq. 11 reads at a step, [B, h].
    func embedded(_ t: Int) -> MatrixView {
        cell.hyperStateForEmbeddings == .current ? hyper_h.after(t) : hyper_h.before(t)
    }

    func run(_ packed: PackedHyperLSTM) {
        let workspace = HyperLSTMWorkspace(self)
        let H = cell.units, h = cell.hyperCell.units, Z = z.shape[2]
        for t in 0..<steps {
            packed.joint.multiply(self.h.before(t), into: products.matrix.rows(t * batch..<(t + 1) * batch))
            Profile.measure(
                "HyperLSTM cell, rows, forward", flops: 2 * batch * h * (4 * h + Z),
                floats: batch * (7 * H + 11 * h + 2 * Z)
            ) {
                workspace.forEachRows(t) { rows in
                    stepHyperCell(rows, packed, mask: workspace.hyperMask(rows))
                    embed(rows, packed)
                    stepMainCell(rows, y: workspace.y(rows), mask: workspace.mask(rows))
                }
            }
        }
    }

    /// Eq. 10: ĥ_t and ĉ_t.
    private func stepHyperCell(_ rows: StepRows, _ packed: PackedHyperLSTM, mask: FloatPointer?) {
        let y = hyper_y.rows(rows.all), t = rows.t
        packed.hyper.multiplySerially(hyper_h.before(t).rows(rows.rows), into: y, accumulate: true)
        withUnsafePointer(to: hyperProjection.rows(from: rows.first)) { input in
            Kernels.current.add_rows(
                rows.count, Int64(y.columnCount), input, cell.hyperCell.b.value.pointer, 1, y.pointer,
                Int64(y.stride))
        }
        withUnsafePointer(to: hyperKernel) { kernel in
            Kernels.current.lstm_forward(
                kernel, rows.count, y.pointer, Int64(y.stride), hyper_c.before(t).rows(rows.rows).pointer, mask,
                hyper_c.after(t).rows(rows.rows).pointer, hyper_h.after(t).rows(rows.rows).pointer,
                hyperStatistics.pointer + rows.first * lstmStatistics)
        }
    }

    /// Eq. 11: z.
    private func embed(_ rows: StepRows, _ packed: PackedHyperLSTM) {
        let z = z.matrix.rows(rows.all)
        for n in 0..<z.rowCount {
            (z.pointer + n * z.stride).update(from: packed.embeddingBias.pointer, count: z.columnCount)
        }
        packed.embedding.multiplySerially(embedded(rows.t).rows(rows.rows), into: z, accumulate: true)
    }

    /// Eq. 12 and 13: h_t and c_t.
    private func stepMainCell(_ rows: StepRows, y: MatrixView, mask: FloatPointer?) {
        let t = rows.t
        computeY(rows, y)
        withUnsafePointer(to: kernel) { kernel in
            Kernels.current.lstm_forward(
                kernel, rows.count, y.pointer, Int64(y.stride), c.before(t).rows(rows.rows).pointer, mask,
                c.after(t).rows(rows.rows).pointer, h.after(t).rows(rows.rows).pointer,
                statistics.pointer + rows.first * lstmStatistics)
        }
    }

    /// Eq. 12 without the normalization: y from p, x W_x and z.
    func computeY(_ rows: StepRows, _ y: MatrixView) {
        let p = p.rows(rows.all), z = z.matrix.rows(rows.all)
        withUnsafePointer(to: scaling) { scaling in
            withUnsafePointer(to: projection.rows(from: rows.first)) { input in
                Kernels.current.scaling_forward(
                    scaling, rows.count, p.pointer, Int64(p.stride), input, z.pointer, y.pointer, Int64(y.stride))
            }
        }
    }
}

/// A backward pass of a HyperLSTM.
private final class HyperLSTMBackward {
    private enum Slot: Int, CaseIterable {
        case b_0, hyper_b
        /// b_ĥh and b_ĥx; the third embedding has no bias.
        case embeddingBias
        case W_hz, W_xz, W_bz
        case gamma, beta, gammaC, betaC
        case hyperGamma, hyperBeta, hyperGammaC, hyperBetaC
        /// W_x, and the rows of the hyper cell's W_x̂ that multiply x, where the input is one-hot.
        case W_x, hyper_W_x
    }

    private let forward: HyperLSTMForward
    private let dH: Tensor
    /// dL/dh_t, dL/dc_t, [B, H], dL/dĥ_t and dL/dĉ_t, [B, h], overwritten step by step; in the end those of the initial
    /// state.
    private let dh: Tensor
    private let dc: Tensor
    private let hyper_dh: Tensor
    private let hyper_dc: Tensor
    /// dL/dz, [T, B, 12 N_z].
    private let dz: Tensor
    private let workspace: HyperLSTMWorkspace
    private let sums: ChunkSums<Slot>
    /// Scratch of the kernels of the main and of the hyper cell, [chunks, 8H] and [chunks, 5h].
    private let scratch: Tensor
    private let hyperScratch: Tensor
    /// The weights side by side as the forward pass multiplies by them; in the end their gradient.
    private let joint: Tensor
    /// The transposes of the weights that the forward pass multiplies by.
    private let packedJoint: PackedMatrix
    private let packedHyper: PackedMatrix
    private let packedEmbedding: PackedMatrix

    /// - Parameters:
    ///   - dH: Of h of all steps.
    ///   - dc, hyper_dh, hyper_dc: Of the last states; overwritten.
    init(_ forward: HyperLSTMForward, dH: Tensor, dc: Tensor, hyper_dh: Tensor, hyper_dc: Tensor) {
        let cell = forward.cell, hyper = cell.hyperCell, H = cell.units, h = hyper.units
        (self.forward, self.dH, self.dc, self.hyper_dh, self.hyper_dc) = (forward, dH, dc, hyper_dh, hyper_dc)
        dh = Tensor(zeros: [forward.batch, H])
        dz = Tensor(uninitialized: forward.z.shape)
        workspace = HyperLSTMWorkspace(forward)
        sums = ChunkSums(chunks: workspace.chunkCount) { Self.length($0, forward) }
        scratch = Tensor(uninitialized: [workspace.chunkCount, 8 * H])
        hyperScratch = Tensor(uninitialized: [workspace.chunkCount, 5 * h])
        joint = cell.jointWeights
        packedJoint = PackedMatrix(joint.matrix, transposed: true, rows: forward.batch)
        packedHyper = PackedMatrix(hyper.W_h.value.matrix, transposed: true)
        packedEmbedding = withExtendedLifetime(cell.embeddingWeights) { PackedMatrix($0.matrix, transposed: true) }
    }

    /// Elements of a slot's vector.
    private static func length(_ slot: Slot, _ forward: HyperLSTMForward) -> Int {
        let cell = forward.cell, H = cell.units, h = cell.hyperCell.units
        let normalized = cell.update.layerNorm != nil, hyperNormalized = cell.hyperCell.update.layerNorm != nil
        let gathered = forward.projection.isGathered
        return switch slot {
        case .b_0: 4 * H
        case .hyper_b: 4 * h
        case .embeddingBias: 12 * cell.embeddingSize
        case .W_hz, .W_xz, .W_bz: 4 * cell.embeddingSize * H
        case .gamma, .beta: normalized ? 4 * H : 0
        case .gammaC, .betaC: normalized ? H : 0
        case .hyperGamma, .hyperBeta: hyperNormalized ? 4 * h : 0
        case .hyperGammaC, .hyperBetaC: hyperNormalized ? h : 0
        case .W_x: gathered ? cell.inputs * 4 * H : 0
        case .hyper_W_x: gathered ? cell.inputs * 4 * h : 0
        }
    }

    func run() {
        let B = forward.batch, H = dh.shape[1], h = hyper_dh.shape[1], Z = dz.shape[2]
        for t in (0..<forward.steps).reversed() {
            Profile.measure(
                "HyperLSTM cell, rows, backward", flops: 2 * B * h * (4 * h + Z),
                floats: B * (14 * H + 16 * h + 2 * Z)
            ) {
                workspace.forEachRows(t) { rows in
                    let y = workspace.y(rows)
                    backThroughMainCell(rows, y)
                    backThroughScaling(rows, y)
                    // Eq. 11 read ĥ_t, or before the hyper cell's step ĥ_{t-1}.
                    if forward.cell.hyperStateForEmbeddings == .current { backThroughEmbedding(rows) }
                    backThroughHyperCell(rows)
                    if forward.cell.hyperStateForEmbeddings == .previous { backThroughEmbedding(rows) }
                }
            }
            packedJoint.multiply(forward.products.matrix.rows(t * B..<(t + 1) * B), into: dh.matrix)
        }
    }

    /// Eq. 13: from dL/dh_t and dL/dc_t to dL/dy_t, in `y`, and dL/dc_{t-1}.
    private func backThroughMainCell(_ rows: StepRows, _ y: MatrixView) {
        let kernels = Kernels.current, t = rows.t, chunk = rows.chunk, H = dh.shape[1]
        let dh = dh.matrix.rows(rows.rows).pointer
        kernels.axpy(Int64(rows.rows.count * H), 1, dH.pointer + rows.first * H, dh)
        forward.computeY(rows, y)
        withUnsafePointer(to: forward.kernel) { kernel in
            kernels.lstm_backward(
                kernel, rows.count, y.pointer, Int64(y.stride), forward.c.before(t).rows(rows.rows).pointer,
                forward.c.after(t).rows(rows.rows).pointer, workspace.mask(rows),
                forward.statistics.pointer + rows.first * lstmStatistics, dh, dc.matrix.rows(rows.rows).pointer,
                sums[chunk, .gamma], sums[chunk, .beta], sums[chunk, .gammaC], sums[chunk, .betaC],
                scratch.matrix.rows(chunk..<chunk + 1).pointer)
        }
    }

    /// Eq. 12: from dL/dy_t to dL/dp, in the place of p, dL/dz and the gradient of x W_x.
    private func backThroughScaling(_ rows: StepRows, _ dy: MatrixView) {
        let chunk = rows.chunk, p = forward.p.rows(rows.all), gathered = forward.projection.isGathered
        let z = forward.z.matrix.rows(rows.all)
        let dx = gathered ? sums[chunk, .W_x] : forward.projection.matrix.rows(rows.all).pointer
        withUnsafePointer(to: forward.scaling) { scaling in
            withUnsafePointer(to: forward.projection.rows(from: rows.first)) { input in
                Kernels.current.scaling_backward(
                    scaling, rows.count, p.pointer, Int64(p.stride), input, z.pointer, dy.pointer,
                    Int64(dy.stride), gathered ? 1 : 0, dx, Int64(dy.columnCount), dz.matrix.rows(rows.all).pointer,
                    sums[chunk, .W_hz], sums[chunk, .W_xz], sums[chunk, .W_bz], sums[chunk, .b_0],
                    scratch.matrix.rows(chunk..<chunk + 1).pointer)
            }
        }
    }

    /// Eq. 11: from dL/dz to the gradients of the ĥ that it read and of the biases.
    private func backThroughEmbedding(_ rows: StepRows) {
        let dz = dz.matrix.rows(rows.all), width = Int64(dz.columnCount)
        Kernels.current.scatter_add_rows(
            rows.count, width, dz.pointer, width, nil, nil, sums[rows.chunk, .embeddingBias], width)
        packedEmbedding.multiplySerially(dz, into: hyper_dh.matrix.rows(rows.rows), accumulate: true)
    }

    /// Eq. 10: from dL/dĥ_t and dL/dĉ_t to dL/dŷ_t, in the place of ŷ, and to the step before.
    private func backThroughHyperCell(_ rows: StepRows) {
        let kernels = Kernels.current, t = rows.t, chunk = rows.chunk
        let y = forward.hyper_y.rows(rows.all), dh = hyper_dh.matrix.rows(rows.rows)
        withUnsafePointer(to: forward.hyperKernel) { kernel in
            kernels.lstm_backward(
                kernel, rows.count, y.pointer, Int64(y.stride), forward.hyper_c.before(t).rows(rows.rows).pointer,
                forward.hyper_c.after(t).rows(rows.rows).pointer, workspace.hyperMask(rows),
                forward.hyperStatistics.pointer + rows.first * lstmStatistics, dh.pointer,
                hyper_dc.matrix.rows(rows.rows).pointer, sums[chunk, .hyperGamma], sums[chunk, .hyperBeta],
                sums[chunk, .hyperGammaC], sums[chunk, .hyperBetaC],
                hyperScratch.matrix.rows(chunk..<chunk + 1).pointer)
        }
        let width = Int64(y.columnCount)
        kernels.scatter_add_rows(
            rows.count, width, y.pointer, Int64(y.stride), nil, nil, sums[chunk, .hyper_b], width)
        if forward.hyperProjection.isGathered {
            let input = forward.hyperProjection.rows(from: rows.first)
            kernels.scatter_add_rows(
                rows.count, width, y.pointer, Int64(y.stride), input.index, input.scale, sums[chunk, .hyper_W_x],
                width)
        }
        packedHyper.multiplySerially(y, into: dh)
    }

    /// Adds to the gradients of the initial state, the parameters and the input, once all steps are through.
    func addGradients(state: HyperLSTMState) {
        for (variable, gradient) in zip(state.parts.map(\.part), [dh, dc, hyper_dh, hyper_dc]) {
            variable.addGradient(gradient)
        }
        addSums()
        addRecurrentWeights()
        addEmbeddingWeights()
        if let x = forward.input.variable {
            addInput(x)
        } else {
            sums.add(.W_x, to: forward.cell.W_x)
        }
    }

    /// Parameters whose gradients were summed chunk by chunk.
    private func addSums() {
        let cell = forward.cell, hyper = cell.hyperCell, bias = 4 * cell.embeddingSize
        for (slot, parameter) in [
            (Slot.b_0, cell.b_0), (.hyper_b, hyper.b), (.W_hz, cell.W_hz), (.W_xz, cell.W_xz), (.W_bz, cell.W_bz),
        ] { sums.add(slot, to: parameter) }
        sums.add([.gamma, .beta, .gammaC, .betaC], to: cell.update.layerNorm)
        sums.add([.hyperGamma, .hyperBeta, .hyperGammaC, .hyperBetaC], to: hyper.update.layerNorm)
        sums.add(.embeddingBias, to: cell.b_hhat_h)
        sums.add(.embeddingBias, from: bias, to: cell.b_hhat_x)
    }

    /// W_h and the hyper cell's weights.
    private func addRecurrentWeights() {
        let cell = forward.cell, hyper = cell.hyperCell, H = cell.units, hyper_y = forward.hyper_y
        // The weights themselves are packed: their gradient takes their place.
        let joint = joint.matrix
        forward.h.weightGradient(forward.products.matrix, to: joint, accumulate: false)
        cell.W_h.addGradient { joint.columns(0..<4 * H).copy(to: $0.matrix, accumulate: $1) }
        hyper.W_h.addGradient { forward.hyper_h.weightGradient(hyper_y, to: $0.matrix, accumulate: $1) }
        hyper.W_x.addGradient { dW, accumulate in
            joint.columns(4 * H..<joint.columnCount).copy(to: dW.matrix.rows(0..<H), accumulate: accumulate)
            let inputPart = dW.matrix.rows(H..<H + cell.inputs)
            if let x = forward.input.variable {
                Blas.multiply(inputRows(x), transposeA: true, hyper_y, into: inputPart, accumulate: accumulate)
            } else {
                let count = inputPart.rowCount * inputPart.columnCount
                if !accumulate { inputPart.pointer.update(repeating: 0, count: count) }
                sums.add(.hyper_W_x, to: inputPart.pointer, count: count)
            }
        }
    }

    /// W_ĥh, W_ĥx and W_ĥb.
    private func addEmbeddingWeights() {
        let cell = forward.cell, width = 4 * cell.embeddingSize
        for (n, W) in [cell.W_hhat_h, cell.W_hhat_x, cell.W_hhat_b].enumerated() {
            let dz = dz.matrix.columns(n * width..<(n + 1) * width)
            W.addGradient { dW, accumulate in
                if cell.hyperStateForEmbeddings == .previous {
                    forward.hyper_h.weightGradient(dz, to: dW.matrix, accumulate: accumulate)
                } else {
                    Blas.multiply(
                        forward.hyper_h.states.matrix, transposeA: true, dz, into: dW.matrix, accumulate: accumulate)
                }
            }
        }
    }

    /// A dense input and W_x.
    private func addInput(_ x: Variable) {
        let cell = forward.cell, hyper = cell.hyperCell, dy = forward.projection.matrix
        cell.W_x.addGradient { Blas.multiply(inputRows(x), transposeA: true, dy, into: $0.matrix, accumulate: $1) }
        x.addGradient { dx, accumulate in
            let dx = dx.reshaped([dy.rowCount, cell.inputs]).matrix
            let hyperWeights = hyper.W_x.value.matrix.rows(cell.units..<cell.units + cell.inputs)
            Blas.multiply(dy, cell.W_x.value.matrix, transposeB: true, into: dx, accumulate: accumulate)
            Blas.multiply(forward.hyper_y, hyperWeights, transposeB: true, into: dx, accumulate: true)
        }
    }

    /// x as a matrix [T·B, I].
    private func inputRows(_ x: Variable) -> MatrixView {
        x.value.reshaped([x.value.count / forward.cell.inputs, forward.cell.inputs]).matrix
    }
}
