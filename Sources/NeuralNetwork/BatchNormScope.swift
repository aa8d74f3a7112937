/// The images that batch normalization takes its statistics from in training, where a batch is computed in shards
/// (deviation `shardNormalization`).
public enum BatchNormScope: String, Sendable, CaseIterable {
    /// All of the batch, which is synchronized batch normalization: every shard tells the others its sums, twice for
    /// each normalization.
    case batch
    /// Each shard's own, which is ghost batch normalization (Hoffer, Hubara, Soudry 2017). The running statistics are
    /// the first shard's.
    case shard
}
