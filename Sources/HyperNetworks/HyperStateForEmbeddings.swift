/// Whether Eq. 11 reads the hyper cell's output after its step or before it (deviation `hyperStateForEmbeddings`).
public enum HyperStateForEmbeddings: String, Sendable, Codable, CaseIterable {
    /// ĥ_t: as the text of §3.2 and the author's code.
    case current
    /// ĥ_{t-1}: as Eq. 6 and 11 are printed.
    case previous
}
