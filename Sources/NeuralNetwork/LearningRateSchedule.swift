import Foundation

/// The learning rate as a function of the step, counted from 1.
public enum LearningRateSchedule: Sendable, Equatable {
    /// A rate and the last step that it holds for.
    public struct Stage: Sendable, Equatable {
        public let untilStep: Int
        public let rate: Double

        public init(untilStep: Int, rate: Double) {
            self.untilStep = untilStep
            self.rate = rate
        }
    }

    /// The first stage that reaches to the step holds; the last one from there on.
    case piecewiseConstant([Stage])
    /// From 0 to `peak` in `warmUpSteps` steps, linearly, then down to `final` at `totalSteps` along half a cosine.
    case cosine(peak: Double, final: Double, warmUpSteps: Int, totalSteps: Int)

    /// From 0 to `peak` in `warmUpSteps` steps, linearly; `peak` until step `holdUntilStep`; then linearly down to
    /// `final` at `totalSteps`.
    case hold(peak: Double, final: Double, warmUpSteps: Int, holdUntilStep: Int, totalSteps: Int)

    /// - Parameter step: Counted from 1.
    /// - Returns: The rate of that step; after the last step of the schedule its last rate.
    public func rate(atStep step: Int) -> Double {
        switch self {
        case .piecewiseConstant(let stages):
            return stages.first { step <= $0.untilStep }?.rate ?? stages.last?.rate ?? 0
        case .cosine(let peak, let final, let warmUpSteps, let totalSteps):
            if step < warmUpSteps { return peak * Double(step) / Double(warmUpSteps) }
            let progress = Double(step - warmUpSteps) / Double(max(1, totalSteps - warmUpSteps))
            return final + (peak - final) * (1 + cos(.pi * min(1, progress))) / 2
        case .hold(let peak, let final, let warmUpSteps, let holdUntilStep, let totalSteps):
            if step < warmUpSteps { return peak * Double(step) / Double(warmUpSteps) }
            if step <= holdUntilStep { return peak }
            let progress = Double(step - holdUntilStep) / Double(max(1, totalSteps - holdUntilStep))
            return peak + (final - peak) * min(1, progress)
        }
    }
}
