import Compute

/// The state file of a checkpoint.
struct CheckpointState<Position: Codable & Sendable>: Codable {
    let training: TrainingState
    let optimizerStepCount: Int
    let position: Position
    /// The file with the sums of the checkpoint's files; nil from before there was one.
    let checksums: String?

    /// Checks that every number is one that a run of `steps` steps can have written, for checkpoints without checksums.
    /// The bounds leave room for all that is added to the numbers later.
    ///
    /// - Throws: `RecordError.unreadable` naming the key.
    func checkNumbers(steps: Int, path: String) throws(RecordError) {
        let check = NumberCheck(path: path)
        try check.count("training.step", training.step, upTo: steps)
        try check.count("training.best.step", training.best?.step, upTo: steps)
        try check.count("training.evaluationsSinceBest", training.evaluationsSinceBest, upTo: steps)
        try check.count("optimizerStepCount", optimizerStepCount, upTo: steps)
        try check.split("training.best.validation", training.best?.validation)
        try check.seconds("training.trainingSeconds", training.trainingSeconds)
        try check.seconds("training.wallSeconds", training.wallSeconds)
        for (key, number) in Self.counts(in: position, key: "position") { try check.count(key, number, upTo: 1 << 60) }
    }

    /// The whole numbers in a value and in what it consists of, by key; of a stream of random numbers its position
    /// alone: its other numbers may be any.
    private static func counts(in value: Any, key: String) -> [(key: String, number: Int)] {
        if let number = value as? Int { return [(key, number)] }
        if let random = value as? RandomStream { return [("\(key).position", Int(clamping: random.position))] }
        return Mirror(reflecting: value).children.flatMap { counts(in: $0.value, key: "\(key).\($0.label ?? "")") }
    }
}
