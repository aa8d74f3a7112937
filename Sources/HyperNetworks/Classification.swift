/// The result of a forward pass.
public struct Classification {
    /// [B, classes].
    public let logits: Variable
    /// The kernels that the pass used, owned and generated; the L2 penalty is on these.
    public let kernels: [Variable]

    public init(logits: Variable, kernels: [Variable]) {
        self.logits = logits
        self.kernels = kernels
    }
}
