import Foundation

/// A message of a run to the person who watches it.
public enum ProgressEvent: Equatable, Sendable {
    /// A line that stays: where a run starts, what a warning says, where a checkpoint lies.
    case note(String)
    /// One training step done.
    case step(StepProgress)
    /// A long evaluation on its way: predictions made of all.
    case evaluating(split: String, done: Int, total: Int, secondsLeft: Double)
    /// A split was read.
    case evaluated(split: String, step: Int, result: SplitEvaluation, isBest: Bool)
}

/// Where a run stands after a training step.
public struct StepProgress: Equatable, Sendable {
    /// Counted from 1.
    public let step: Int
    /// All that the run takes.
    public let steps: Int
    /// Mean loss of the step's batch.
    public let lossNats: Double
    /// Predictions learned from in a second, over the last steps.
    public let unitsPerSecond: Double
    /// Estimated time to the last step, evaluations included as far as they have been seen.
    public let secondsLeft: Double
}

/// The receiver of a library's messages to people; libraries never print.
public protocol ProgressReporter: AnyObject {
    func report(_ event: ProgressEvent)
}

/// Progress of an experiment's work as text: one line redrawn on a terminal, a plain line every few seconds elsewhere.
public final class TextProgress<Work: Experiment>: ProgressReporter {
    private let label: String
    private let isTerminal: Bool
    private let now: () -> Double
    private let width: () -> Int?
    private let write: (String) -> Void
    private var lastLine = -Double.infinity

    /// - Parameters:
    ///   - label: What each line starts with: the configuration and the seed.
    ///   - isTerminal: Whether a line can be redrawn.
    ///   - now: A clock in seconds.
    ///   - width: The terminal's columns, which a line that is redrawn has to fit; nil where unknown.
    ///   - write: Takes the text, line ends included; a line that the next text is to replace has none.
    public init(
        label: String, isTerminal: Bool, now: @escaping () -> Double = { ProcessInfo.processInfo.systemUptime },
        width: @escaping () -> Int? = { nil }, write: @escaping (String) -> Void
    ) {
        self.label = label
        self.isTerminal = isTerminal
        self.now = now
        self.width = width
        self.write = write
    }

    public func report(_ event: ProgressEvent) {
        switch event {
        case .note(let text):
            standing(text)
        case .step(let progress):
            let isLast = progress.step == progress.steps
            passing(
                "\(label)  step \(grouped(progress.step))/\(grouped(progress.steps))"
                    + "  \(Work.metric.text(ofLoss: progress.lossNats))"
                    + "  \(grouped(Int(progress.unitsPerSecond.rounded()))) \(Work.unit)/s"
                    + "  \(durationText(seconds: progress.secondsLeft)) left", always: isLast)
        case .evaluating(let split, let done, let total, let secondsLeft):
            passing(
                "\(label)  reading the \(split) split: \(grouped(done)) of \(grouped(total)) \(Work.unit)"
                    + "  \(durationText(seconds: secondsLeft)) left", always: false)
        case .evaluated(let split, let step, let result, let isBest):
            standing(
                "\(label)  step \(grouped(step)): \(split) \(Work.metric.textWithLoss(result))"
                    + " (\(Work.reading(result)), \(durationText(seconds: result.seconds)))\(isBest ? ", the best so far" : "")"
            )
        }
    }

    private func passing(_ line: String, always: Bool) {
        let time = now()
        // In seconds; a line that is redrawn may come more often.
        guard always || time - lastLine >= (isTerminal ? 1 : 10) else { return }
        lastLine = time
        if isTerminal {
            // A line that wraps would not be replaced whole.
            write(fitted(line, width: width()))
        } else {
            write(line + "\n")
        }
    }

    private func standing(_ text: String) { write(text + "\n") }
}

/// Tells nobody: in processes that follow, and in tests.
public final class SilentProgress: ProgressReporter {
    public init() {}
    public func report(_ event: ProgressEvent) {}
}
