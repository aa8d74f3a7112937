/// The recurrent weights of an LSTM in the order that its steps read them. A copy: it does not follow the parameters.
public final class PackedLSTM {
    let recurrent: PackedMatrix

    /// - Parameter batch: Sequences that go through the cell together.
    public init(_ cell: LSTMCell, batch: Int) {
        recurrent = PackedMatrix(cell.W_h.value.matrix, rows: batch)
    }
}
