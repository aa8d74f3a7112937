/// The source of a network's kernels (or weight matrix).
public enum KernelSource: String, Sendable, Codable, CaseIterable {
    /// Parameters of the network: the ordinary network.
    case owned
    /// Made by a hypernetwork at every step.
    case generated
}
