/// One of several equal parts of a batch. The loss and the gradient of the batch are the means of its shards'.
///
/// The shards may be computed by several threads and processes: what each computes depends on the number of shards
/// alone.
public struct BatchShard: Equatable, Sendable {
    /// From 0.
    public let index: Int
    /// Shards of the batch.
    public let count: Int

    /// The batch undivided.
    public static let whole = BatchShard(index: 0, count: 1)

    /// - Precondition: 0 ≤ `index` < `count`.
    public init(index: Int, count: Int) {
        precondition((0..<count).contains(index), "shard \(index) of \(count)")
        (self.index, self.count) = (index, count)
    }

    /// The shard's rows of a batch.
    ///
    /// - Precondition: The shards divide the batch.
    public func rows(ofBatch batch: Int) -> Range<Int> {
        precondition(batch % count == 0, "\(count) shards of a batch of \(batch)")
        let rows = batch / count
        return index * rows..<(index + 1) * rows
    }
}

/// Exchanges numbers between the shards within a step: the statistics of batch normalization are those of the whole
/// batch.
public protocol ShardExchange: Sendable {
    /// Gives numbers to all shards and waits for theirs.
    ///
    /// - Parameter numbers: As many from every shard; all shards call in the same order.
    /// - Returns: Those of shard s in element s.
    func gather(_ numbers: [Double]) -> [[Double]]
}

extension ShardExchange {
    /// The sums over all shards, in their order.
    func sum(_ numbers: [Double]) -> [Double] {
        gather(numbers).reduce([Double](repeating: 0, count: numbers.count)) { zip($0, $1).map(+) }
    }
}

/// The shard that the calling thread computes.
public enum CurrentShard {
    /// Nil for a batch undivided.
    @TaskLocal public static var exchange: (any ShardExchange)?

    /// The images that batch normalization takes its statistics of, in the passes that begin now.
    @TaskLocal public static var batchNormScope = BatchNormScope.batch

    /// The shards to take the statistics of batch normalization from; nil for the images at hand alone.
    static var normalizationExchange: (any ShardExchange)? { batchNormScope == .batch ? exchange : nil }
}
