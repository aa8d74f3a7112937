/// When the validation split is read during training.
public enum EvaluationSchedule: Equatable, Sendable {
    case every(Int)
    case at([Int])

    /// Whether validation follows training step `step` (counted from 1) of `total`. The last step always has one.
    public func contains(step: Int, of total: Int) -> Bool {
        if step == total { return true }
        switch self {
        case .every(let interval): return step % interval == 0
        case .at(let steps): return steps.contains(step)
        }
    }
}

extension ConfigurationReader {
    /// `validateAt: 392`, every so many steps, or `validateAt: [100, 250]`, after those.
    ///
    /// - Throws: `ConfigurationError`.
    public func evaluationSchedule(_ key: String) throws(ConfigurationError) -> EvaluationSchedule {
        for spelling in [Self.wholeNumber(1), Self.wholeNumbers(1)] { note(key, spelling) }
        if case .sequence = try value(key).content {
            let steps = try integers(key, atLeast: 1)
            guard zip(steps, steps.dropFirst()).allSatisfy({ $0 < $1 }) else {
                throw invalid(key, expected: "steps in ascending order, each once", found: "\(steps)")
            }
            return .at(steps)
        }
        return .every(try integer(key, atLeast: 1))
    }
}
