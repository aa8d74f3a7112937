/// The architecture of a character model: a row of Table 3 or 4.
public struct CharacterModelConfiguration: Sendable, Codable, Equatable {
    public enum Cell: String, Sendable, Codable, CaseIterable {
        case lstm
        case hyperLSTM = "hyper-lstm"
    }

    public var cell: Cell
    /// Recurrent layers, one on top of the other.
    public var layers: Int
    /// H of each layer.
    public var units: Int
    /// Layer normalisation in the main cell.
    public var layerNorm: Bool
    /// h of each hyper cell; 0 for an LSTM.
    public var hyperUnits: Int
    /// N_z; 0 for an LSTM.
    public var embeddingSize: Int
    /// Keep probability of the one-hot input.
    public var keepInput: Float
    /// Keep probability of the last layer's h.
    public var keepOutput: Float
    /// Keep probability of φ(g) in every main cell (Eq. 13).
    public var keepRecurrent: Float
    /// The same in every hyper cell.
    public var keepHyperRecurrent: Float
    /// Deviation 7.
    public var forgetBias: Float
    /// Deviation 12.
    public var layerNormEpsilon: Float
    /// Deviation 6.
    public var hyperStateForEmbeddings: HyperStateForEmbeddings
    /// Deviation 8.
    public var hyperLayerNorm: HyperLayerNorm

    public init(
        cell: Cell, layers: Int = 1, units: Int, layerNorm: Bool, hyperUnits: Int = 0, embeddingSize: Int = 0,
        keepInput: Float = 1, keepOutput: Float = 1, keepRecurrent: Float = 1, keepHyperRecurrent: Float = 1,
        forgetBias: Float = 1, layerNormEpsilon: Float = 1e-3,
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

    /// Whether the hyper cells are layer-normalised.
    public var normalisesHyperCell: Bool { layerNorm || hyperLayerNorm == .always }

    /// Numbers to learn, without making any of them.
    ///
    /// - Parameter vocabularySize: V, of the one-hot input and the softmax.
    public func parameterCount(vocabularySize V: Int) -> Int {
        let H = units, h = hyperUnits, Nz = embeddingSize
        func lstm(inputs: Int, units: Int, normalised: Bool) -> Int {
            4 * units * (inputs + units + 1) + (normalised ? 10 * units : 0)
        }
        return (0..<layers).reduce(H * V + V) { total, layer in
            let I = layer == 0 ? V : H
            var count = lstm(inputs: I, units: H, normalised: layerNorm)
            if cell == .hyperLSTM {
                count += lstm(inputs: H + I, units: h, normalised: normalisesHyperCell)
                count += 4 * (2 * (h * Nz + Nz) + h * Nz) + 12 * Nz * H
            }
            return total + count
        }
    }
}
