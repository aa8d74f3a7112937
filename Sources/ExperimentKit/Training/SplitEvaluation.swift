import Foundation

/// A split as read with a model: the mean loss, the number of predictions, the streams, and other figures.
public struct SplitEvaluation: Codable, Equatable, Sendable {
    /// Mean −log p of what is predicted, in nats.
    public let lossNats: Double
    /// The same in bits.
    public let bits: Double
    /// The number of symbols, classes or other things that were predicted.
    public let predictions: Int
    /// Predictions whose most probable class is not the true one; nil where that is not counted.
    public let wrong: Int?
    /// Parallel streams that the split was read as; 1 is the whole split as one sequence, or a set without an order.
    public let streams: Int
    public let seconds: Double
    /// Other figures by name, for metrics that neither the loss nor a count of errors gives.
    public let figures: [String: Double]?

    public init(
        lossNats: Double, predictions: Int, wrong: Int? = nil, streams: Int, seconds: Double,
        figures: [String: Double]? = nil
    ) {
        self.lossNats = lossNats
        bits = lossNats / log(2)
        self.predictions = predictions
        self.wrong = wrong
        self.streams = streams
        self.seconds = seconds
        self.figures = figures
    }

    /// The name of a number that is NaN or infinite; nil where all are finite.
    package var notFinite: String? {
        let others = (figures ?? [:]).sorted { $0.key < $1.key }.map { ("figure '\($0.key)'", $0.value) }
        let numbers = [("loss", lossNats), ("loss in bits", bits), ("seconds", seconds)] + others
        return numbers.first { !$0.1.isFinite }?.0
    }

    /// Wrong classes in percent of all; nil where they are not counted.
    public var errorPercent: Double? { wrong.map { 100 * Double($0) / Double(predictions) } }
}
