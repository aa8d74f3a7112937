/// Whether a layer normalizes by the statistics of the batch, and learns from them, or by the running ones.
public enum NormalizationMode: Sendable {
    case training, evaluation
}
