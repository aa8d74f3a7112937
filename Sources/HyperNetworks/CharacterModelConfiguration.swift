/// The architecture of a character model: a row of Table 3 or 4.
public struct CharacterModelConfiguration: Sendable, Codable, Equatable {
    /// The kind of the recurrent layers.
    public var cell: CellKind
    /// Recurrent layers, one on top of the other.
    public var layers: Int
    /// H of each layer.
    public var units: Int
    /// Layer normalization in the main cell.
    public var layerNorm: Bool
    /// h of each hyper cell; 0 where there is none.
    public var hyperUnits: Int
    /// N_z; 0 where there is none.
    public var embeddingSize: Int
    /// Keep probability of the one-hot input.
    public var keepInput: Float
    /// Keep probability of the last layer's h.
    public var keepOutput: Float
    /// Keep probability of φ(g) in every main cell (Eq. 13).
    public var keepRecurrent: Float
    /// The same in every hyper cell.
    public var keepHyperRecurrent: Float
    /// Deviation `forgetBias`.
    public var forgetBias: Float
    /// Deviation `layerNormEpsilon`.
    public var layerNormEpsilon: Float
    /// Deviation `hyperStateForEmbeddings`.
    public var hyperStateForEmbeddings: HyperStateForEmbeddings
    /// Deviation `hyperLayerNorm`.
    public var hyperLayerNorm: HyperLayerNorm

    /// What is left out stands for one layer without layer normalization, no dropout, and the suite's choices where the
    /// paper leaves one open.
    public init(
        cell: CellKind, layers: Int = 1, units: Int, layerNorm: Bool = false, hyperUnits: Int = 0,
        embeddingSize: Int = 0, keepInput: Float = 1, keepOutput: Float = 1, keepRecurrent: Float = 1,
        keepHyperRecurrent: Float = 1, forgetBias: Float = 1, layerNormEpsilon: Float = defaultLayerNormEpsilon,
        hyperStateForEmbeddings: HyperStateForEmbeddings = .current, hyperLayerNorm: HyperLayerNorm = .matchMain
    ) {
        self.cell = cell
        self.layers = layers
        self.units = units
        self.layerNorm = layerNorm
        self.hyperUnits = hyperUnits
        self.embeddingSize = embeddingSize
        self.keepInput = keepInput
        self.keepOutput = keepOutput
        self.keepRecurrent = keepRecurrent
        self.keepHyperRecurrent = keepHyperRecurrent
        self.forgetBias = forgetBias
        self.layerNormEpsilon = layerNormEpsilon
        self.hyperStateForEmbeddings = hyperStateForEmbeddings
        self.hyperLayerNorm = hyperLayerNorm
    }

    /// Whether the hyper cells are layer-normalized.
    public var normalizesHyperCell: Bool { layerNorm || hyperLayerNorm == .always }

    /// The number of learned parameters. Builds no model; for a cell kind without a closed form, one cell to count.
    ///
    /// - Parameter vocabularySize: V, of the one-hot input and the softmax.
    public func parameterCount(vocabularySize V: Int) -> Int {
        (0..<layers).reduce(units * V + V) { total, layer in
            total + cell.parameterCount(self, layer == 0 ? V : units)
        }
    }

    /// Floats that a training step must hold for each step of each sequence, a lower bound: what the backward pass of
    /// all layers reads, the gradient of the last layer's h, and the logits, their softmax and their gradient.
    public func activationCount(vocabularySize V: Int) -> Int {
        (0..<layers).reduce(units + 3 * V) { total, layer in
            total + cell.activationCount(self, layer == 0 ? V : units)
        }
    }

    /// Floats that evaluation must hold for each step of each sequence: one layer at a time. A lower bound.
    public func evaluationActivationCount(vocabularySize V: Int) -> Int { cell.activationCount(self, V) + 2 * V }

    /// The default of ε (deviation `layerNormEpsilon`).
    public static let defaultLayerNormEpsilon: Float = 1e-3
    /// The most layers that a model has.
    public static let mostLayers = 1 << 10
    /// The most units, hyper units and numbers of an embedding.
    public static let mostUnits = 1 << 16
    /// The least keep probability: elements kept with less are multiplied by more than a thousand.
    public static let leastKeep = 0.001

    /// Checks that a model can be built with these settings, wherever they come from.
    ///
    /// - Throws: `InvalidModelSetting`, the first that cannot be.
    public func validate() throws(InvalidModelSetting) {
        /// Refuses a value that the cell does not read: a record would state a setting that had no effect.
        func refuse(
            _ key: String, _ value: String, if isSet: Bool, expected: String, lacking part: String,
            _ features: CellKind.Feature...
        ) throws(InvalidModelSetting) {
            guard isSet, !cell.features.isSuperset(of: features) else { return }
            throw InvalidModelSetting(
                key: key, expected: "\(expected) for the cell '\(cell.rawValue)', which has no \(part)", found: value)
        }

        let dimensions = 1...Self.mostUnits
        try Self.check("layers", layers, in: 1...Self.mostLayers)
        try Self.check("units", units, in: dimensions)
        for (key, value) in [("hyperUnits", hyperUnits), ("embeddingSize", embeddingSize)] {
            try refuse(key, "\(value)", if: value != 0, expected: "0", lacking: "hyper cell", .hyperCell)
            if cell.features.contains(.hyperCell) { try Self.check(key, value, in: dimensions) }
        }
        try refuse("layerNorm", "true", if: layerNorm, expected: "false", lacking: "layer normalization", .layerNorm)
        for (key, keep) in [
            ("keepInput", keepInput), ("keepOutput", keepOutput), ("keepRecurrent", keepRecurrent),
            ("keepHyperRecurrent", keepHyperRecurrent),
        ] {
            guard Double(keep) >= Self.leastKeep, keep <= 1 else {
                throw InvalidModelSetting(
                    key: key, expected: "a keep probability from \(Self.leastKeep) to 1", found: "\(keep)")
            }
        }
        for (key, keep) in [("keepRecurrent", keepRecurrent), ("keepHyperRecurrent", keepHyperRecurrent)] {
            try refuse(key, "\(keep)", if: keep < 1, expected: "1", lacking: "recurrent dropout", .recurrentDropout)
        }
        try refuse(
            "keepHyperRecurrent", "\(keepHyperRecurrent)", if: keepHyperRecurrent < 1, expected: "1",
            lacking: "hyper cell", .hyperCell)
        guard forgetBias.isFinite else {
            throw InvalidModelSetting(key: "forgetBias", expected: "a finite number", found: "\(forgetBias)")
        }
        try refuse(
            "forgetBias", "\(forgetBias)", if: forgetBias != 1, expected: "1", lacking: "forget gate", .forgetGate)
        try refuse(
            "hyperStateForEmbeddings", "'\(hyperStateForEmbeddings.rawValue)'", if: hyperStateForEmbeddings != .current,
            expected: "'current'", lacking: "hyper cell", .hyperCell)
        try refuse(
            "hyperLayerNorm", "'\(hyperLayerNorm.rawValue)'", if: hyperLayerNorm != .matchMain,
            expected: "'match-main'", lacking: "layer-normalized hyper cell", .layerNorm, .hyperCell)
        guard layerNormEpsilon > 0, layerNormEpsilon.isFinite else {
            throw InvalidModelSetting(
                key: "layerNormEpsilon", expected: "a number above 0", found: "\(layerNormEpsilon)")
        }
        if layerNormEpsilon != Self.defaultLayerNormEpsilon, !normalizesHyperCell {
            throw InvalidModelSetting(
                key: "layerNormEpsilon",
                expected: "\(Self.defaultLayerNormEpsilon) for a model that normalizes nothing",
                found: "\(layerNormEpsilon)")
        }
    }

    private static func check(_ key: String, _ value: Int, in range: ClosedRange<Int>) throws(InvalidModelSetting) {
        guard range.contains(value) else {
            throw InvalidModelSetting(
                key: key, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)", found: "\(value)")
        }
    }
}
