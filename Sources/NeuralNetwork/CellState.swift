/// The state that a recurrent cell carries from one step to the next: one or more parts, each [B, n].
public protocol CellState {
    /// h_t, [B, H]: the output of the step that led to this state.
    var h: Variable { get }

    /// The state with each part replaced, always in the same order.
    ///
    /// - Parameter transform: Given a part's name, such as `h` or `hyper.c`, and the part; returns one of the same
    ///   shape. Checkpoints store the parts under these names.
    func map(_ transform: (_ name: String, _ part: Variable) -> Variable) -> Self
}

extension CellState {
    /// All parts by name, in the order of `map`.
    public var parts: [(name: String, part: Variable)] {
        var parts: [(name: String, part: Variable)] = []
        _ = map { name, part in
            parts.append((name, part))
            return part
        }
        return parts
    }
}
