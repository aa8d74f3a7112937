/// Whether Eq. 11 reads the hyper cell's output after its step or before it.
public enum HyperStateForEmbeddings: String, Sendable, Codable, CaseIterable {
    /// ĥ_t: as the text of §3.2 and the author's code.
    case current
    /// ĥ_{t-1}: as Eq. 6 and 11 can be read.
    case previous
}

/// Whether the hyper cell is layer-normalised.
public enum HyperLayerNorm: String, Sendable, Codable, CaseIterable {
    /// Exactly where the main cell is: as the author's code.
    case matchMain = "match-main"
    /// Always: as Eq. 10 is printed.
    case always
}
