/// The state that a character model carries from one sequence to the next: the parts of every cell's state,
/// constants for the gradient.
public struct RecurrentState: @unchecked Sendable {
    /// By name, such as `layer0.h` and `layer0.hyper.c`; [B, H] or [B, h].
    public var tensors: [(name: String, tensor: Tensor)]

    public init(tensors: [(name: String, tensor: Tensor)]) { self.tensors = tensors }
}
