/// h and c of an LSTM, [B, H] each.
public struct LSTMState: CellState {
    public var h: Variable
    public var c: Variable

    public init(h: Variable, c: Variable) {
        self.h = h
        self.c = c
    }

    /// Zeros.
    public init(batch: Int, units: Int) {
        h = Variable(Tensor(zeros: [batch, units]))
        c = Variable(Tensor(zeros: [batch, units]))
    }

    public func map(_ transform: (_ name: String, _ part: Variable) -> Variable) -> LSTMState {
        LSTMState(h: transform("h", h), c: transform("c", c))
    }
}
