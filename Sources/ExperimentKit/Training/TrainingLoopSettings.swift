import NeuralNetwork

/// The part of a configuration that the loop itself reads.
public struct TrainingLoopSettings: Equatable, Sendable {
    public let steps: Int
    public let learningRate: LearningRateSchedule
    /// Greatest global norm of the gradient; nil leaves it as it is.
    public let clipNorm: Double?
    public let validate: EvaluationSchedule
    /// Evaluations without a better one after which training stops; nil never stops early.
    public let patience: Int?
    public let logEvery: Int
    public let checkpointEvery: Int
    /// Equal parts that a batch is computed in (`TrainingStep`): a power of two.
    public let shards: Int
    /// Most shards: a process alone has a thread for each.
    static let mostShards = 1024

    public init(
        steps: Int, learningRate: LearningRateSchedule, clipNorm: Double?, validate: EvaluationSchedule,
        patience: Int?, logEvery: Int, checkpointEvery: Int, shards: Int = 1
    ) {
        self.steps = steps
        self.learningRate = learningRate
        self.clipNorm = clipNorm
        self.validate = validate
        self.patience = patience
        self.logEvery = logEvery
        self.checkpointEvery = checkpointEvery
        self.shards = shards
    }

    /// Reads the keys `ConfigurationKeys.trainingLoop` except `seeds`, and `ConfigurationKeys.validation`.
    ///
    /// - Parameters:
    ///   - training: The section `training`.
    ///   - evaluation: The section `evaluation`.
    ///   - batch: The batch of a step, which the shards divide.
    /// - Throws: `ConfigurationError`.
    public init(
        training: ConfigurationReader, evaluation: ConfigurationReader, batch: Int
    ) throws(ConfigurationError) {
        self.init(
            steps: try training.integer("steps", atLeast: 1),
            learningRate: try training.learningRate("learningRate"),
            clipNorm: try training.optionalNumber("clipNorm", in: 1e-9...1e9),
            validate: try evaluation.evaluationSchedule("validateAt"),
            patience: try training.optionalInteger("patience", atLeast: 1),
            logEvery: try training.integer("logEvery", atLeast: 1),
            checkpointEvery: try training.integer("checkpointEvery", atLeast: 1),
            shards: try training.shards("shards", ofBatch: batch))
    }

    /// The keys of the section `training` that files of earlier versions lack, each with the value that it had then.
    public static let addedLater: [String: ConfigurationNode.Content] = [
        "shards": .scalar(text: "1", type: .integer)
    ]
}

extension ConfigurationKeys {
    /// The sections of every experiment's configuration.
    public static let experiment: ConfigurationKeys = [
        "budget": "`paper` for a row's own settings, else the name of the smaller budget",
        "reproduces": "the row of the paper that the run is compared with; null for none",
        "data": "what is read", "model": "what is trained", "training": "how it is trained",
        "evaluation": "how splits are read",
        "deviations": "where the paper is silent, see [deviations.md](deviations.md)",
    ]

    /// The keys of the section `training` that the loop reads, whatever it trains.
    public static let trainingLoop: ConfigurationKeys = [
        "steps": "training steps in all",
        "learningRate":
            "the rate: a number; stages, `[{untilStep, rate}, …]`; or a rise and a fall, `{peak, final, warmUpSteps, totalSteps}`,"
            + " with `holdUntilStep` too",
        "clipNorm": "greatest global norm of the gradient, which is scaled down to it; null leaves it as it is",
        "patience": "validations in a row without an improvement after which training stops; null never stops early",
        "seeds": "seeds of the initial values, the order of the data and dropout: one run for each",
        "logEvery": "training steps between two lines of `steps.jsonl`",
        "checkpointEvery": "training steps between two checkpoints; every validation writes one too",
        "shards":
            "equal parts that each batch is computed in, a power of two: one run on many processes, see"
            + " [cluster.md](cluster.md); the same bits on any number of threads and processes, but not those of another"
            + " number of shards",
    ]

    /// The key of the section `evaluation` that the loop reads.
    public static let validation: ConfigurationKeys = [
        "validateAt":
            "training steps between two validations, or a list of the steps after which to validate; the last step always has one"
    ]
}

extension ConfigurationReader {
    /// Parts of a batch: a power of two that divides it, up to `TrainingLoopSettings.mostShards`.
    ///
    /// - Throws: `ConfigurationError`.
    fileprivate func shards(_ key: String, ofBatch batch: Int) throws(ConfigurationError) -> Int {
        let shards = try integer(key, atLeast: 1, atMost: TrainingLoopSettings.mostShards)
        guard shards & (shards - 1) == 0, batch % shards == 0 else {
            throw invalid(key, expected: "a power of two that divides the batch of \(batch)", found: "\(shards)")
        }
        return shards
    }
}
