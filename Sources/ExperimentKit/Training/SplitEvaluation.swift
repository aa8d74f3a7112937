import Foundation

/// What reading a split gave: the mean loss, over how many predictions, read how.
public struct SplitEvaluation: Codable, Equatable, Sendable {
    /// Mean −log p of the next symbol, in nats.
    public let lossNats: Double
    /// The same in bits: bits per character.
    public let bits: Double
    /// Symbols predicted.
    public let predictions: Int
    /// Parallel streams that the split was read as; 1 is the whole split as one sequence.
    public let streams: Int
    public let seconds: Double

    public init(lossNats: Double, predictions: Int, streams: Int, seconds: Double) {
        self.lossNats = lossNats
        bits = lossNats / log(2)
        self.predictions = predictions
        self.streams = streams
        self.seconds = seconds
    }
}
