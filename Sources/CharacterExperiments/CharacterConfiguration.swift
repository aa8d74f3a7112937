import Datasets
import ExperimentKit
import Foundation
import HyperNetworks
import NeuralNetwork

/// One configuration file of `char-hyperlstm`, decoded.
public struct CharacterConfiguration: RunConfiguration {
    // The meaning of a value stands beside its key, below.

    public struct Training: Equatable, Sendable {
        public let batch: Int
        public let sequenceLength: Int
        public let carryState: Bool
        public let adam: AdamSettings
    }

    public struct Evaluation: Equatable, Sendable {
        public let validationStreams: Int
        public let validationCharacters: Int?
        public var reportedStreams: Int
    }

    public let budget: String
    public let reproduces: ReproducedRow?
    public let corpus: CorpusName
    public let model: CharacterModelConfiguration
    public let initialValues: RecurrentInitialValues
    public let training: Training
    public var evaluation: Evaluation
    public let loop: TrainingLoopSettings
    public let seeds: [Int]

    public var dataName: String { corpus.rawValue }
    public var unitsPerStep: Int { training.batch * training.sequenceLength }

    /// - Throws: `ConfigurationError` naming file, key path, what was expected and what was found.
    public init(_ root: ConfigurationNode) throws(ConfigurationError) {
        let reader = try ConfigurationReader(root, keys: .experiment)
        budget = try reader.text("budget")
        reproduces = try reader.reproducedRow(
            tables: CharacterExperiment.tables, metric: CharacterExperiment.metric, range: 0...8, hasValidation: true)
        let data = try reader.section("data", keys: ["corpus": "the text"])
        corpus = try data.choice("corpus", of: CorpusName.self)
        data.finish()
        let deviations = try reader.section(
            "deviations",
            keys: [
                "hyperStateForEmbeddings":
                    "whether embeddings are made from ĥ_t, the current, or ĥ_{t-1}, the previous",
                "forgetBias": "what is added to f after its normalization",
                "hyperLayerNorm": "whether the hyper cell has layer normalization where the main cell has, or always",
                "layerNormEpsilon": "ε under the square root of layer normalization",
                "inputInitialValues": "how W_x starts",
                "scalingInitialValues": "how W_hz and W_xz start, which make the scales from the embeddings",
            ],
            addedLater: [
                "inputInitialValues": .scalar(text: InputInitialValues.orthogonal.rawValue, type: .text),
                "scalingInitialValues": .scalar(text: ScalingInitialValues.constant.rawValue, type: .text),
            ])
        model = try Self.model(reader, deviations)
        initialValues = RecurrentInitialValues(
            input: try deviations.choice("inputInitialValues", of: InputInitialValues.self),
            scaling: try deviations.choice("scalingInitialValues", of: ScalingInitialValues.self))
        guard initialValues.scaling == .constant || model.cell.features.contains(.scaledRows) else {
            throw deviations.invalid(
                "scalingInitialValues",
                expected: "'constant' for the cell '\(model.cell.rawValue)', which has no rows scaled by embeddings",
                found: "'\(initialValues.scaling.rawValue)'")
        }
        deviations.finish()
        let trainingReader = try reader.section(
            "training",
            keys: .trainingLoop.adding([
                "batch": "parallel streams that the text is cut into",
                "sequenceLength": "characters of each stream in a training step",
                "carryState":
                    "whether the state is carried from one training sequence to the next, or is zero at the start of each",
                "adam": "Adam's constants",
            ]), addedLater: TrainingLoopSettings.addedLater)
        training = Training(
            batch: try trainingReader.integer("batch", atLeast: 1),
            sequenceLength: try trainingReader.integer("sequenceLength", atLeast: 1),
            carryState: try trainingReader.boolean("carryState"),
            adam: try AdamSettings(try trainingReader.section("adam", keys: AdamSettings.keys)))
        let evaluationReader = try reader.section(
            "evaluation",
            keys: .validation.adding([
                "validationStreams": "parallel streams that validation during training is read as",
                "validationCharacters":
                    "leading characters of the validation split, or all if it has fewer, that are read during training;"
                    + " null reads it whole",
                "reportedStreams":
                    "parallel streams of the reported figures; 1 is the paper's way, the whole split as one sequence",
            ]))
        evaluation = Evaluation(
            validationStreams: try evaluationReader.integer("validationStreams", atLeast: 1),
            validationCharacters: try evaluationReader.optionalInteger("validationCharacters", atLeast: 2),
            reportedStreams: try evaluationReader.integer("reportedStreams", atLeast: 1))
        loop = try TrainingLoopSettings(
            training: trainingReader, evaluation: evaluationReader, batch: training.batch)
        seeds = try trainingReader.seeds("seeds")
        trainingReader.finish()
        evaluationReader.finish()
        reader.finish()
    }

    private static func model(
        _ root: ConfigurationReader, _ deviations: ConfigurationReader
    ) throws(ConfigurationError) -> CharacterModelConfiguration {
        let reader = try root.section(
            "model",
            keys: [
                "cell": "the kind of the recurrent layers",
                "layers": "recurrent layers, one on top of the other",
                "units": "H, units of each layer",
                "layerNorm": "whether the main cells have layer normalization",
                "hyperUnits": "units of each hyper cell; 0 where there is none",
                "embeddingSize": "N_z, numbers in an embedding z; 0 where there is none",
                "keepInput": "probability that an element of the one-hot input is kept (dropout)",
                "keepOutput": "the same for the last layer's h",
                "keepRecurrent": "the same for φ(g) in each main cell (Eq. 13)",
                "keepHyperRecurrent": "the same in each hyper cell",
            ])
        let cell = try reader.choice("cell", of: CellKind.self)
        let keeps = CharacterModelConfiguration.leastKeep...1
        let model = CharacterModelConfiguration(
            cell: cell,
            layers: try reader.integer("layers", atLeast: 1, atMost: CharacterModelConfiguration.mostLayers),
            units: try reader.integer("units", atLeast: 1, atMost: CharacterModelConfiguration.mostUnits),
            layerNorm: try reader.boolean("layerNorm"),
            hyperUnits: try reader.integer("hyperUnits", atLeast: 0, atMost: CharacterModelConfiguration.mostUnits),
            embeddingSize: try reader.integer(
                "embeddingSize", atLeast: 0, atMost: CharacterModelConfiguration.mostUnits),
            keepInput: Float(try reader.number("keepInput", in: keeps)),
            keepOutput: Float(try reader.number("keepOutput", in: keeps)),
            keepRecurrent: Float(try reader.number("keepRecurrent", in: keeps)),
            keepHyperRecurrent: Float(try reader.number("keepHyperRecurrent", in: keeps)),
            forgetBias: Float(try deviations.number("forgetBias", in: -10...10)),
            layerNormEpsilon: Float(try deviations.number("layerNormEpsilon", in: 1e-12...1)),
            hyperStateForEmbeddings: try deviations.choice(
                "hyperStateForEmbeddings", of: HyperStateForEmbeddings.self),
            hyperLayerNorm: try deviations.choice(
                "hyperLayerNorm", of: HyperLayerNorm.self))
        do {
            try model.validate()
        } catch {
            let section = deviations.has(error.key) ? deviations : reader
            throw section.invalid(error.key, expected: error.expected, found: error.found)
        }
        reader.finish()
        return model
    }
}
