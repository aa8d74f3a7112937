/// A recurrent cell: parameters, a state, and one step.
///
/// A cell that has these trains: its gradients come from the operations in `step`. Over a sequence the step is applied
/// T times, unless the cell has a `sequence` of its own that computes the same faster.
public protocol RecurrentCell: Module {
    associatedtype State: CellState
    /// Weights in an order that `sequence` reads faster; `Void` where there is none.
    associatedtype Packed = Void

    /// I, the extent of a row of the input.
    var inputs: Int { get }
    /// H, the extent of a row of h.
    var units: Int { get }
    /// Extents of the values that recurrent dropout multiplies by a mask, the cell's own first, that of a hyper cell
    /// inside it second; empty for a cell without recurrent dropout.
    var maskWidths: [Int] { get }

    /// The state before the first character: zeros for `batch` sequences.
    func zeroState(batch: Int) -> State

    /// One step.
    ///
    /// - Parameters:
    ///   - x: x_t, B rows.
    ///   - state: The state after step t − 1.
    ///   - masks: A mask [B, n] for each of `maskWidths`, nil where nothing is dropped; empty drops nothing.
    /// - Returns: The state after step t.
    func step(_ x: CellInput, _ state: State, masks: [Variable?]) -> State

    /// T steps.
    ///
    /// - Parameters:
    ///   - x: T·B rows, time-major: step t of sequence b is row t·B + b.
    ///   - state: The state before the first step.
    ///   - masks: A mask over [T, B, n] for each of `maskWidths`, nil where nothing is dropped; empty drops nothing.
    ///   - packed: The weights from `packed(batch:)`, for many short sequences; nil packs them here if need be.
    /// - Returns: h of all steps, [T, B, H], and the last state. Gradients flow through both.
    func sequence(
        _ x: CellInput, _ state: State, masks: [DropoutMask?], packed: Packed?
    ) -> (h: Variable, last: State)

    /// Packs the weights for sequences in batches of `batch`. A copy: it does not follow the parameters.
    func packed(batch: Int) -> Packed
}

extension RecurrentCell {
    public var maskWidths: [Int] { [] }

    public func sequence(
        _ x: CellInput, _ state: State, masks: [DropoutMask?], packed: Packed?
    ) -> (h: Variable, last: State) {
        unrolled(x, state, masks: masks)
    }

    /// T steps with weights that are not packed; parameters as above.
    public func sequence(
        _ x: CellInput, _ state: State, masks: [DropoutMask?] = []
    ) -> (h: Variable, last: State) {
        sequence(x, state, masks: masks, packed: nil)
    }

    /// One step without dropout.
    public func step(_ x: CellInput, _ state: State) -> State { step(x, state, masks: []) }

    /// `step` T times: the definition of `sequence`, whose parameters it has.
    public func unrolled(
        _ x: CellInput, _ state: State, masks: [DropoutMask?] = []
    ) -> (h: Variable, last: State) {
        let batch = state.h.shape[0], steps = x.rows / batch
        precondition(steps > 0 && x.rows == steps * batch, "\(x.rows) rows are no steps of \(batch)")
        let wholes = zip(maskWidths, masks).map { width, mask in
            mask.map { Variable($0.tensor([steps, batch * width])) }
        }
        var state = state, outputs: [Variable] = []
        for t in 0..<steps {
            let masks = zip(maskWidths, wholes).map { width, whole in
                whole.map { reshape(rows($0, t..<t + 1), [batch, width]) }
            }
            state = step(x.step(t, batch: batch), state, masks: masks)
            outputs.append(state.h)
        }
        return (reshape(concatenateRows(outputs), [steps, batch, units]), state)
    }
}

extension RecurrentCell where Packed == Void {
    public func packed(batch: Int) {}
}
