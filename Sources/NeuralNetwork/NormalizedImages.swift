/// The images that batch normalization takes its statistics from in training, where a batch is computed in shards
/// (deviation `shardNormalization`).
public enum NormalizedImages: String, Sendable, CaseIterable {
    /// All of the batch: every shard tells the others its sums, twice for each normalization.
    case batch
    /// Those of the shard. The running statistics are the first shard's.
    case shard
}
