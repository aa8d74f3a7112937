import Foundation

/// What reading a split gave: the mean loss, over how many predictions, read how.
public struct SplitEvaluation: Codable, Equatable, Sendable {
    /// Mean −log p of the next symbol, or of an image's class, in nats.
    public let lossNats: Double
    /// The same in bits: bits per character, where symbols are predicted.
    public let bits: Double
    /// Symbols or classes predicted.
    public let predictions: Int
    /// Images whose most probable class is not theirs; nil where symbols are predicted.
    public let wrong: Int?
    /// Parallel streams that the split was read as; 1 is the whole split as one sequence, or a set of images.
    public let streams: Int
    public let seconds: Double

    public init(lossNats: Double, predictions: Int, wrong: Int? = nil, streams: Int, seconds: Double) {
        self.lossNats = lossNats
        bits = lossNats / log(2)
        self.predictions = predictions
        self.wrong = wrong
        self.streams = streams
        self.seconds = seconds
    }

    /// Wrong classes in percent of all, the figure of Tables 2 and 7; nil where symbols are predicted.
    public var errorPercent: Double? { wrong.map { 100 * Double($0) / Double(predictions) } }

    /// Whether a checkpoint with this validation is preferred to one with `other`: by the figure that the paper reports,
    /// errors or bits, and among equal errors by the loss. What is not finite is preferred to nothing.
    func isBetter(than other: SplitEvaluation?) -> Bool {
        guard lossNats.isFinite else { return false }
        guard let other else { return true }
        if let wrong, let otherWrong = other.wrong, wrong != otherWrong { return wrong < otherWrong }
        return lossNats < other.lossNats
    }
}
