/// The result of a forward pass.
public struct Classification {
    /// [B, classes].
    public let logits: Variable
    /// The kernels it was computed with, owned and generated: what an L2 penalty is on.
    public let kernels: [Variable]

    public init(logits: Variable, kernels: [Variable]) {
        self.logits = logits
        self.kernels = kernels
    }
}
