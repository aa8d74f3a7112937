/// The initial values of the generator and the embeddings of a static hypernetwork (deviation
/// `staticInitialValues`).
public enum GeneratorInitialValues: String, Sendable, Codable, CaseIterable {
    /// Generated kernels start with the standard deviation of He et al. for their layer's fan-in: exactly where N_z is
    /// at most f·f·N_out, else in expectation.
    case he
    /// W, W_out and z normal with standard deviation 0.01: kernels that start near zero.
    case smallNormal = "small-normal"
}
