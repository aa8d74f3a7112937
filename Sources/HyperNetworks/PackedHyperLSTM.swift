/// Weights of a HyperLSTM in the order that its steps read them. A copy: it does not follow the parameters.
public final class PackedHyperLSTM {
    /// W_h and the rows of the hyper cell's W_x̂ that multiply h, side by side.
    let joint: PackedMatrix
    let hyper: PackedMatrix
    let embedding: PackedMatrix
    /// b_ĥh, b_ĥx and zeros for the third embedding, [12 N_z].
    let embeddingBias: Tensor

    /// - Parameter batch: Sequences that go through the cell together.
    public init(_ cell: HyperLSTMCell, batch: Int) {
        joint = withExtendedLifetime(cell.jointWeights) { PackedMatrix($0.matrix, rows: batch) }
        hyper = PackedMatrix(cell.hyperCell.W_h.value.matrix)
        embedding = withExtendedLifetime(cell.embeddingWeights) { PackedMatrix($0.matrix) }
        let count = 4 * cell.embeddingSize
        embeddingBias = Tensor(zeros: [3 * count])
        embeddingBias.pointer.update(from: cell.b_hhat_h.value.pointer, count: count)
        (embeddingBias.pointer + count).update(from: cell.b_hhat_x.value.pointer, count: count)
    }
}

extension HyperLSTMCell {
    /// W_h and the rows of the hyper cell's W_x̂ that multiply h, side by side: [H, 4H + 4h].
    var jointWeights: Tensor { sideBySide([W_h.value, hyperCell.W_x.value], rows: units) }
    /// W_ĥh, W_ĥx and W_ĥb side by side: [h, 12 N_z].
    var embeddingWeights: Tensor {
        sideBySide([W_hhat_h.value, W_hhat_x.value, W_hhat_b.value], rows: hyperCell.units)
    }

    /// The first `rows` rows of matrices, side by side.
    private func sideBySide(_ matrices: [Tensor], rows: Int) -> Tensor {
        let result = Tensor(uninitialized: [rows, matrices.reduce(0) { $0 + $1.shape[1] }])
        var first = 0
        for matrix in matrices {
            let columns = first..<first + matrix.shape[1]
            matrix.matrix.rows(0..<rows).copy(to: result.matrix.columns(columns))
            first = columns.upperBound
        }
        return result
    }
}
