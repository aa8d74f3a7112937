/// h of a plain recurrent cell, [B, H].
public struct RNNState: CellState {
    public var h: Variable

    public init(h: Variable) { self.h = h }

    /// Zeros.
    public init(batch: Int, units: Int) { h = Variable(Tensor(zeros: [batch, units])) }

    public func map(_ transform: (_ name: String, _ part: Variable) -> Variable) -> RNNState {
        RNNState(h: transform("h", h))
    }
}
