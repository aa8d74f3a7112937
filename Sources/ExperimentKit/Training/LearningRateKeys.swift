import NeuralNetwork

extension ConfigurationReader {
    /// The ways to write a learning rate.
    static let learningRateSpellings = [
        "0.001",
        "[{untilStep: 28000, rate: 0.1}, {untilStep: 56000, rate: 0.02}]",
        "{peak: 0.001, final: 0.0001, warmUpSteps: 100, totalSteps: 4000}",
        "{peak: 0.001, final: 0, warmUpSteps: 200, holdUntilStep: 3750, totalSteps: 5000}",
    ]

    /// A learning rate in one of the spellings above.
    ///
    /// With `holdUntilStep` the rate falls linearly after that step, without it along half a cosine after the warm-up.
    ///
    /// - Throws: `ConfigurationError`.
    public func learningRate(_ key: String) throws(ConfigurationError) -> LearningRateSchedule {
        let node = try value(key)
        for spelling in ["a list of stages", "a section"] { note(key, spelling) }
        switch node.content {
        case .scalar:
            let rate = try number(key, in: 1e-12...100)
            return .piecewiseConstant([LearningRateSchedule.Stage(untilStep: Int.max, rate: rate)])
        case .sequence(let stages):
            var schedule: [LearningRateSchedule.Stage] = []
            for (index, stage) in stages.enumerated() {
                let reader = try ConfigurationReader(
                    stage, keyPath: "\(keyPath(key))[\(index)]",
                    keys: [
                        "untilStep": "last training step of the stage; the last stage's rate holds from there on",
                        "rate": "the stage's rate",
                    ])
                let untilStep = try reader.integer("untilStep", atLeast: 1, here: (schedule.last?.untilStep ?? 0) + 1)
                schedule.append(.init(untilStep: untilStep, rate: try reader.number("rate", in: 1e-12...100)))
                reader.finish()
            }
            guard !schedule.isEmpty else { throw mismatch(node, key, "at least one stage {untilStep, rate}") }
            return .piecewiseConstant(schedule)
        case .mapping:
            let isStated = node["holdUntilStep"] != nil
            let keys: ConfigurationKeys = [
                "peak": "the greatest rate",
                "final": "the rate at `totalSteps` and after",
                "warmUpSteps": "training steps in which the rate rises from 0 to the peak, linearly",
                "totalSteps": "training step at which the fall ends",
            ]
            let hold =
                "last training step with the peak, from where the rate falls linearly; null, or without this key, it falls"
                + " along half a cosine, from the warm-up on"
            let reader = try section(key, keys: keys.adding(isStated ? ["holdUntilStep": hold] : [:]))
            let peak = try reader.number("peak", in: 1e-12...100), final = try reader.number("final", in: 0...100)
            guard final <= peak else {
                throw reader.invalid("final", expected: "at most the peak, \(peak)", found: "\(final)")
            }
            let warmUpSteps = try reader.integer("warmUpSteps", atLeast: 0)
            let isNull = isStated ? try reader.isNull("holdUntilStep") : true
            let holdUntilStep = isNull ? nil : try reader.integer("holdUntilStep", atLeast: 0, here: warmUpSteps)
            let totalSteps = try reader.integer("totalSteps", atLeast: 1, here: holdUntilStep ?? warmUpSteps)
            reader.finish()
            return holdUntilStep.map {
                .hold(
                    peak: peak, final: final, warmUpSteps: warmUpSteps, holdUntilStep: $0, totalSteps: totalSteps)
            } ?? .cosine(peak: peak, final: final, warmUpSteps: warmUpSteps, totalSteps: totalSteps)
        }
    }
}
