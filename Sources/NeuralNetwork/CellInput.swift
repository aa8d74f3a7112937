/// The input of a recurrent cell: R rows, one for each sequence at a step, or for each (step, sequence), time-major.
public indirect enum CellInput {
    /// x, [R, I].
    case dense(Variable)
    /// Row r is `scale[r]` times the one-hot vector of `symbols[r]`, of length `size`; a scale nil is 1. The scale is
    /// input dropout: of a one-hot vector, dropout leaves nothing or 1/keep.
    case oneHot([Int32], size: Int, scale: [Float]? = nil)
    /// (h; x), the two side by side: the input x̂ of a hyper cell (Eq. 6 and 10).
    case joined(Variable, CellInput)

    /// I, the extent of a row.
    public var size: Int {
        switch self {
        case .dense(let x): x.shape.last ?? 1
        case .oneHot(_, let size, _): size
        case .joined(let h, let x): (h.shape.last ?? 1) + x.size
        }
    }

    /// R.
    public var rows: Int {
        switch self {
        case .dense(let x): x.value.count / size
        case .oneHot(let symbols, _, _): symbols.count
        case .joined(_, let x): x.rows
        }
    }

    /// x W, [R, O]: for a one-hot input a gather of rows.
    ///
    /// - Parameter W: [I, O].
    public func times(_ W: Variable) -> Variable {
        precondition(W.shape[0] == size, "an input of size \(size) does not fit weights \(W.shape)")
        switch self {
        case .dense(let x): return matmul(x, W)
        case .oneHot(let symbols, _, let scale): return gatherRows(W, symbols, scale: scale)
        case .joined(let h, let x):
            let split = h.shape.last ?? 1
            return matmul(h, Compute.rows(W, 0..<split, shared: true))
                + x.times(Compute.rows(W, split..<size, shared: true))
        }
    }

    /// Step `step` of a sequence of rows: its `batch` rows.
    public func step(_ step: Int, batch: Int) -> CellInput {
        let range = step * batch..<(step + 1) * batch
        switch self {
        case .dense(let x): return .dense(Compute.rows(reshape(x, [rows, size]), range))
        case .oneHot(let symbols, let size, let scale):
            return .oneHot(Array(symbols[range]), size: size, scale: scale.map { Array($0[range]) })
        case .joined(let h, let x):
            return .joined(Compute.rows(reshape(h, [rows, size - x.size]), range), x.step(step, batch: batch))
        }
    }
}
