/// Whether the hyper cell is layer-normalized (deviation `hyperLayerNorm`).
public enum HyperLayerNorm: String, Sendable, Codable, CaseIterable {
    /// Exactly where the main cell is: as the author's code.
    case matchMain = "match-main"
    /// Always: as Eq. 10 is printed.
    case always
}
