/// Whether batch normalization uses the batch's statistics and updates the running ones with them (training), or uses
/// the running ones (evaluation).
public enum NormalizationMode: Sendable {
    case training, evaluation
}
