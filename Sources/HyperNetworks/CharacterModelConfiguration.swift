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

    /// Without more than the architecture: one layer, no dropout, and the suite's choices where the paper leaves one open.
    public init(
        cell: CellKind, layers: Int = 1, units: Int, layerNorm: Bool = false, hyperUnits: Int = 0,
        embeddingSize: Int = 0, keepInput: Float = 1, keepOutput: Float = 1, keepRecurrent: Float = 1,
        keepHyperRecurrent: Float = 1, forgetBias: Float = 1, layerNormEpsilon: Float = usualEpsilon,
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

    /// Numbers to learn, without making any of them.
    ///
    /// - Parameter vocabularySize: V, of the one-hot input and the softmax.
    public func parameterCount(vocabularySize V: Int) -> Int {
        (0..<layers).reduce(units * V + V) { total, layer in
            total + cell.parameterCount(self, layer == 0 ? V : units)
        }
    }

    /// Numbers that a training step holds of each step of each sequence, at the least: what the backward pass needs of all
    /// layers, the gradient of the last one's h, and the logits, their softmax and their gradient.
    public func activationCount(vocabularySize V: Int) -> Int {
        (0..<layers).reduce(units + 3 * V) { total, layer in
            total + cell.activationCount(self, layer == 0 ? V : units)
        }
    }

    /// The same of reading without learning, which holds a layer at a time.
    public func readingCount(vocabularySize V: Int) -> Int { cell.activationCount(self, V) + 2 * V }

    /// Deviation `layerNormEpsilon`.
    public static let usualEpsilon: Float = 1e-3
    /// The most layers that a model has.
    public static let mostLayers = 1 << 10
    /// The most units, hyper units and numbers of an embedding.
    public static let mostUnits = 1 << 16

    /// Checks that a model can be built with these settings, wherever they come from.
    ///
    /// - Throws: `InvalidModelSetting`, the first that cannot be.
    public func validate() throws(InvalidModelSetting) {
        let dimensions = 1...Self.mostUnits
        try Self.check("layers", layers, in: 1...Self.mostLayers)
        try Self.check("units", units, in: dimensions)
        for (key, value) in [("hyperUnits", hyperUnits), ("embeddingSize", embeddingSize)] {
            if cell.features.contains(.hyperCell) {
                try Self.check(key, value, in: dimensions)
            } else if value != 0 {
                throw InvalidModelSetting(
                    key: key, expected: "0 for the cell '\(cell.rawValue)', which has no hyper cell", found: "\(value)")
            }
        }
        if layerNorm, !cell.features.contains(.layerNorm) {
            throw InvalidModelSetting(
                key: "layerNorm", expected: "false for the cell '\(cell.rawValue)', which has no layer normalization",
                found: "true")
        }
        for (key, keep) in [
            ("keepInput", keepInput), ("keepOutput", keepOutput), ("keepRecurrent", keepRecurrent),
            ("keepHyperRecurrent", keepHyperRecurrent),
        ] {
            guard keep > 0, keep <= 1 else {
                throw InvalidModelSetting(key: key, expected: "a keep probability above 0, up to 1", found: "\(keep)")
            }
            if keep < 1, key.hasSuffix("Recurrent"), !cell.features.contains(.recurrentDropout) {
                throw InvalidModelSetting(
                    key: key, expected: "1 for the cell '\(cell.rawValue)', which has no recurrent dropout",
                    found: "\(keep)")
            }
        }
        guard forgetBias.isFinite else {
            throw InvalidModelSetting(key: "forgetBias", expected: "a finite number", found: "\(forgetBias)")
        }
        // A value that the cell does not read would be a lie in every record.
        if keepHyperRecurrent < 1, !cell.features.contains(.hyperCell) {
            throw InvalidModelSetting(
                key: "keepHyperRecurrent", expected: "1 for the cell '\(cell.rawValue)', which has no hyper cell",
                found: "\(keepHyperRecurrent)")
        }
        if forgetBias != 1, !cell.features.contains(.forgetGate) {
            throw InvalidModelSetting(
                key: "forgetBias", expected: "1 for the cell '\(cell.rawValue)', which has no forget gate",
                found: "\(forgetBias)")
        }
        if hyperStateForEmbeddings != .current, !cell.features.contains(.hyperCell) {
            throw InvalidModelSetting(
                key: "hyperStateForEmbeddings",
                expected: "'current' for the cell '\(cell.rawValue)', which has no hyper cell",
                found: "'\(hyperStateForEmbeddings.rawValue)'")
        }
        if hyperLayerNorm != .matchMain, !cell.features.isSuperset(of: [.layerNorm, .hyperCell]) {
            throw InvalidModelSetting(
                key: "hyperLayerNorm",
                expected: "'match-main' for the cell '\(cell.rawValue)', which has no layer-normalized hyper cell",
                found: "'\(hyperLayerNorm.rawValue)'")
        }
        guard layerNormEpsilon > 0, layerNormEpsilon.isFinite else {
            throw InvalidModelSetting(
                key: "layerNormEpsilon", expected: "a number above 0", found: "\(layerNormEpsilon)")
        }
        if layerNormEpsilon != Self.usualEpsilon, !layerNorm, !normalizesHyperCell {
            throw InvalidModelSetting(
                key: "layerNormEpsilon", expected: "\(Self.usualEpsilon) for a model that normalizes nothing",
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
