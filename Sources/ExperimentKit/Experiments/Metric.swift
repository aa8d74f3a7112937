import Foundation

/// The measure of a split.
public struct Metric: Sendable {
    /// As configurations and tables name it: `bits per character`, `test error in percent`.
    public let name: String
    /// The word before a figure in a sentence, such as `error`; may be empty.
    public let label: String
    /// Behind a figure in a sentence, and behind one in a line that has little room.
    public let unit: String
    public let shortUnit: String
    /// Decimals of a figure wherever one is printed.
    public let decimals: Int
    /// Whether a greater figure is the better one, as an accuracy is.
    public let higherIsBetter: Bool
    private let figure: @Sendable (SplitEvaluation) -> Double?
    private let error: @Sendable (SplitEvaluation) -> Double?

    /// - Parameters:
    ///   - samplingError: The standard error of a figure that comes of the split being a sample; nil where unknown.
    ///   - figure: The figure of a split; nil where it was not measured.
    public init(
        name: String, label: String = "", unit: String, shortUnit: String? = nil, decimals: Int,
        higherIsBetter: Bool = false, samplingError: @escaping @Sendable (SplitEvaluation) -> Double? = { _ in nil },
        figure: @escaping @Sendable (SplitEvaluation) -> Double?
    ) {
        self.name = name
        self.label = label
        self.unit = unit
        self.shortUnit = shortUnit ?? unit
        self.decimals = decimals
        self.higherIsBetter = higherIsBetter
        self.figure = figure
        error = samplingError
    }

    /// The mean −log₂ p of what is predicted.
    public static func bits(per symbol: String, shortUnit: String) -> Metric {
        Metric(name: "bits per \(symbol)", unit: "bits per \(symbol)", shortUnit: shortUnit, decimals: 4) { $0.bits }
    }

    /// Wrong classes in percent of all, p; its standard error over N predictions is √(p (100 − p) / N).
    public static let errorPercent = Metric(
        name: "test error in percent", label: "error", unit: "%", decimals: 2,
        samplingError: { split in
            split.errorPercent.map { ($0 * (100 - $0) / Double(split.predictions)).squareRoot() }
        }, figure: { $0.errorPercent })

    /// As the axis of a chart of any split names it: `bits per character`, `error, %`.
    package var axis: String { label.isEmpty ? unit : "\(label), \(unit)" }

    /// The figure of a split; nil where it was not measured.
    public func value(_ split: SplitEvaluation) -> Double? { figure(split) }

    /// The figure of a loss in nats; nil where the loss does not determine it.
    func value(ofLoss nats: Double) -> Double? {
        value(SplitEvaluation(lossNats: nats, predictions: 1, streams: 1, seconds: 0))
    }

    /// The standard error of a split's figure that comes of its size; nil where it is not known.
    public func samplingError(_ split: SplitEvaluation) -> Double? { error(split) }

    /// A figure with its digits alone, a dash for none.
    public func digits(_ value: Double?) -> String { value.map { fixed($0, decimals) } ?? "-" }

    /// A figure in a sentence: `1.2503 bits per character`, `error 6.73 %`.
    public func text(_ split: SplitEvaluation) -> String { sentence(split, unit) }

    /// The same with the short unit, and the loss where the figure does not say it.
    func textWithLoss(_ split: SplitEvaluation) -> String {
        let lossSaysAll = value(ofLoss: split.lossNats) != nil
        return sentence(split, shortUnit) + (lossSaysAll ? "" : ", loss \(fixed(split.lossNats, 4)) nats")
    }

    /// The mean loss of a training batch: in this metric where the loss determines it, else in nats.
    func text(ofLoss nats: Double) -> String {
        value(ofLoss: nats).map { "\(fixed($0, 3)) \(shortUnit)" } ?? "loss \(fixed(nats, 3))"
    }

    private func sentence(_ split: SplitEvaluation, _ unit: String) -> String {
        [label, digits(value(split)), unit].filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// Whether a checkpoint with validation `split` is preferred to one with `other`: by the metric, and among equals
    /// by the loss. What is not finite is never preferred.
    public func isBetter(_ split: SplitEvaluation, than other: SplitEvaluation?) -> Bool {
        guard split.lossNats.isFinite, let ours = value(split), ours.isFinite else { return false }
        guard let other, let theirs = value(other) else { return true }
        if ours != theirs { return higherIsBetter ? ours > theirs : ours < theirs }
        return split.lossNats < other.lossNats
    }
}
