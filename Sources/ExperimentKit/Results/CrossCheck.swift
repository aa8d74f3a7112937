import Foundation

/// A run of another program with one of an experiment's configurations: `cross-check/NAME.json` of the experiment's
/// folder.
///
/// It stands beside the experiment's own runs. None of its figures is a result.
struct CrossCheck: Sendable {
    /// The file that the program wrote.
    struct Run: Decodable, Sendable {
        let configuration: String
        /// Changes of the configuration, as `KEY.PATH=VALUE`.
        let set: [String]
        let device: String
        let versions: [String: String?]
        /// The kind of number that is multiplied: `float32`, `TF32`.
        let products: String
        let stepsDone: Int
        /// Those of the configuration; nil in files that do not say. A run can be stopped before.
        let stepsPlanned: Int?
        /// The step that it went on from, with the changes of `set`; nil for a run that began with the initial values.
        let resumedAt: Int?
        /// Of all models side by side.
        let millisecondsPerStep: Double
        let seconds: Double
        let models: [Model]
        let weights: Weights?
    }

    /// What tells one of several models that were trained side by side from the others.
    struct Variant: Decodable, Equatable, Sendable {
        /// The greatest learning rate.
        let peak: Double
        let seed: Int
        /// Changes of this model's configuration alone, as `KEY.PATH=VALUE`; nil without.
        let set: [String]?
    }

    /// One of several models that were trained side by side.
    struct Model: Decodable, Sendable {
        let variant: Variant
        /// The training batches since the row before, and the validation split.
        let curve: [Row]
        /// Of the first steps: the loss in nats, and the norm of the gradient.
        let steps: [Row]
        let valid: Reading?
        let test: Reading?

        private enum Key: String, CodingKey { case curve, steps, valid, test }

        init(from decoder: any Decoder) throws {
            variant = try Variant(from: decoder)
            let container = try decoder.container(keyedBy: Key.self)
            curve = try container.decode([Row].self, forKey: .curve)
            steps = try container.decode([Row].self, forKey: .steps)
            valid = try container.decodeIfPresent(Reading.self, forKey: .valid)
            test = try container.decodeIfPresent(Reading.self, forKey: .test)
        }

        func validation(atStep step: Int) -> Double? { curve.first { $0.step == step }?.second }
    }

    /// A step with two numbers of it, `[step, first, second]`; nil where one is not finite.
    struct Row: Decodable, Sendable {
        let step: Int
        let first: Double?
        let second: Double?

        init(from decoder: any Decoder) throws {
            var numbers = try decoder.unkeyedContainer()
            step = try numbers.decode(Int.self)
            first = try numbers.decodeIfPresent(Double.self)
            second = try numbers.decodeIfPresent(Double.self)
        }
    }

    /// A whole split, read at the end.
    struct Reading: Decodable, Sendable {
        /// In the experiment's metric; nil where it is not finite.
        let figure: Double?
        let streams: Int

        private enum Key: String, CodingKey {
            case figure, streams
            /// The figure in the files of earlier versions.
            case bits
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            figure = try container.decodeIfPresent(
                Double.self, forKey: container.contains(.figure) ? .figure : .bits)
            streams = try container.decode(Int.self, forKey: .streams)
        }
    }

    /// The weights that were kept.
    struct Weights: Decodable, Sendable {
        let file: String
        /// The model that they are of.
        let variant: Variant

        private enum Key: String, CodingKey { case file }

        init(from decoder: any Decoder) throws {
            variant = try Variant(from: decoder)
            file = try decoder.container(keyedBy: Key.self).decode(String.self, forKey: .file)
        }
    }

    /// The output of `evaluate --json` with these weights.
    struct Evaluation: Decodable, Sendable {
        let split: String
        let result: SplitEvaluation
    }

    /// Whether a change, `KEY.PATH=VALUE`, is one of the learning rate.
    static func isLearningRate(_ change: String) -> Bool { change.hasPrefix("training.learningRate=") }

    /// `NAME`.
    let name: String
    /// Relative to the experiment's folder.
    let path: String
    let run: Run
    /// `cross-check/NAME/*.json`.
    let evaluations: [Evaluation]

    /// The runs in an experiment's folder, in the order of their names; none where it has no folder `cross-check`.
    ///
    /// - Throws: `RecordError.unreadable`.
    static func all(in experiment: URL) throws -> [CrossCheck] {
        let folder = experiment.appendingPathComponent("cross-check", isDirectory: true)
        return try jsonFiles(in: folder).map { file in
            let name = file.deletingPathExtension().lastPathComponent
            let run = try StableJSON.decode(Run.self, at: file), check = NumberCheck(path: file.path)
            try check.count("stepsDone", run.stepsDone)
            try check.count("stepsPlanned", run.stepsPlanned)
            try check.count("resumedAt", run.resumedAt)
            for row in run.models.flatMap({ $0.curve + $0.steps }) { try check.count("models: step", row.step) }
            try check.seconds("millisecondsPerStep", run.millisecondsPerStep)
            try check.seconds("seconds", run.seconds)
            return CrossCheck(
                name: name, path: "cross-check/\(file.lastPathComponent)", run: run,
                evaluations: try jsonFiles(in: folder.appendingPathComponent(name)).map {
                    let evaluation = try StableJSON.decode(Evaluation.self, at: $0)
                    try NumberCheck(path: $0.path).split("result", evaluation.result)
                    return evaluation
                })
        }
    }

    private static func jsonFiles(in folder: URL) throws -> [URL] {
        try Files.names(in: folder).filter { $0.hasSuffix(".json") }.sorted().map(folder.appendingPathComponent)
    }
}
