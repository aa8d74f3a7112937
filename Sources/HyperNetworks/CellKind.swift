import Synchronization

/// A kind of recurrent cell that a configuration of a character model can name: `cell: lstm`.
///
/// A new cell is added by one line that registers its kind:
///
///     CellKind.register(CellKind("my-cell", features: []) { settings, inputs, _, random in
///         MyCell(inputs: inputs, units: settings.units, random: &random)
///     })
///
/// Those of this module stand in `own`.
public struct CellKind: RawRepresentable, CaseIterable, Codable, Hashable, Sendable {
    /// An optional part of a cell. A configuration may ask a cell only for parts that it has.
    public enum Feature: Sendable {
        /// Layer normalization (`layerNorm`).
        case layerNorm
        /// Recurrent dropout (`keepRecurrent`, and with a hyper cell `keepHyperRecurrent`).
        case recurrentDropout
        /// A forget gate (`forgetBias`).
        case forgetGate
        /// A hyper cell (`hyperUnits`, `embeddingSize`, `hyperStateForEmbeddings`).
        case hyperCell
        /// Rows of main weights, scaled by vectors made from embeddings (`scalingInitialValues`).
        case scaledRows
    }

    /// A cell with initial values: from the configuration, the extent of its input, how weights start, and random
    /// numbers.
    public typealias Make =
        @Sendable (
            _ configuration: CharacterModelConfiguration, _ inputs: Int, _ initialValues: RecurrentInitialValues,
            _ random: inout RandomStream
        ) -> any RecurrentCell
    /// Counts something of a cell from the configuration and the extent of its input.
    public typealias Count = @Sendable (_ configuration: CharacterModelConfiguration, _ inputs: Int) -> Int

    /// The name in configurations and checkpoints.
    public let rawValue: String
    /// The optional parts that the cell has.
    public let features: Set<Feature>
    /// Makes a cell with initial values.
    public let make: Make
    /// Counts the parameters of a cell.
    public let parameterCount: Count
    /// Counts the floats that the backward pass reads for each step of each sequence. A lower bound.
    public let activationCount: Count

    /// - Parameters:
    ///   - name: The name in configurations, different from those of all other kinds.
    ///   - features: The optional parts that the cell has.
    ///   - parameterCount: The count in closed form; nil makes a cell and counts.
    ///   - activationCount: Floats that the backward pass reads for each step of each sequence, a lower bound; nil for
    ///     h alone.
    ///   - make: Makes a cell.
    public init(
        _ name: String, features: Set<Feature>, parameterCount: Count? = nil, activationCount: Count? = nil,
        make: @escaping Make
    ) {
        self.activationCount = activationCount ?? { configuration, _ in configuration.units }
        rawValue = name
        self.features = features
        self.make = make
        self.parameterCount =
            parameterCount
            ?? { configuration, inputs in
                var random = RandomStream(seed: 0, stream: 0)
                return make(configuration, inputs, RecurrentInitialValues(), &random).parameterCount
            }
    }

    /// The kind of this name, or nil.
    public init?(rawValue: String) {
        guard let kind = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = kind
    }

    public static func == (a: CellKind, b: CellKind) -> Bool { a.rawValue == b.rawValue }
    public func hash(into hasher: inout Hasher) { hasher.combine(rawValue) }

    /// All kinds: those of this module, then those registered.
    public static var allCases: [CellKind] { own + registered.withLock { $0 } }

    private static let registered = Mutex<[CellKind]>([])

    /// Registers a kind of cell, so that configurations and checkpoints can name it. Registering another of the same
    /// name replaces it.
    ///
    /// - Precondition: None of this module's own kinds has that name.
    public static func register(_ kind: CellKind) {
        precondition(!own.contains(kind), "the module has a cell '\(kind.rawValue)' of its own")
        registered.withLock { kinds in
            kinds.removeAll { $0 == kind }
            kinds.append(kind)
        }
    }
}

extension CellKind {
    private static let own = [lstm, hyperLSTM, rnn, hyperRNN, hyperRNNFull]

    /// Eq. 9, or with layer normalization Eq. 10.
    public static let lstm = CellKind(
        "lstm", features: [.layerNorm, .recurrentDropout, .forgetGate],
        parameterCount: { settings, inputs in
            LSTMCell.parameterCount(inputs: inputs, units: settings.units, layerNorm: settings.layerNorm)
        },
        // y of four gates, c and h.
        activationCount: { settings, _ in 6 * settings.units },
        make: { settings, inputs, initialValues, random in
            LSTMCell(
                inputs: inputs, units: settings.units,
                layerNormEpsilon: settings.layerNorm ? settings.layerNormEpsilon : nil,
                forgetBias: settings.forgetBias, inputInitialValues: initialValues.input, random: &random)
        })

    /// Eq. 10–13.
    public static let hyperLSTM = CellKind(
        "hyper-lstm", features: [.layerNorm, .recurrentDropout, .forgetGate, .hyperCell, .scaledRows],
        parameterCount: { settings, inputs in
            HyperLSTMCell.parameterCount(
                inputs: inputs, units: settings.units, hyperUnits: settings.hyperUnits,
                embeddingSize: settings.embeddingSize, layerNorm: settings.layerNorm,
                hyperLayerNorm: settings.normalizesHyperCell)
        },
        // p and ŷ of four gates, c and h of both cells, and three embeddings for each gate.
        activationCount: { settings, _ in 6 * (settings.units + settings.hyperUnits) + 12 * settings.embeddingSize },
        make: { settings, inputs, initialValues, random in
            HyperLSTMCell(
                inputs: inputs, units: settings.units, hyperUnits: settings.hyperUnits,
                embeddingSize: settings.embeddingSize,
                layerNormEpsilon: settings.layerNorm ? settings.layerNormEpsilon : nil,
                hyperLayerNormEpsilon: settings.normalizesHyperCell ? settings.layerNormEpsilon : nil,
                forgetBias: settings.forgetBias, hyperStateForEmbeddings: settings.hyperStateForEmbeddings,
                initialValues: initialValues, random: &random)
        })

    /// Eq. 4.
    public static let rnn = CellKind(
        "rnn", features: [],
        parameterCount: { settings, inputs in RNNCell.parameterCount(inputs: inputs, units: settings.units) },
        make: { settings, inputs, initialValues, random in
            RNNCell(
                inputs: inputs, units: settings.units, inputInitialValues: initialValues.input, random: &random)
        })

    /// Eq. 8, the efficient form.
    public static let hyperRNN = hyperRNN("hyper-rnn", full: false)

    /// Eq. 5, the full form.
    public static let hyperRNNFull = hyperRNN("hyper-rnn-full", full: true)

    private static func hyperRNN(_ name: String, full: Bool) -> CellKind {
        CellKind(
            name, features: full ? [.hyperCell] : [.hyperCell, .scaledRows],
            parameterCount: { settings, inputs in
                HyperRNNCell.parameterCount(
                    inputs: inputs, units: settings.units, hyperUnits: settings.hyperUnits,
                    embeddingSize: settings.embeddingSize, full: full)
            },
            make: { settings, inputs, initialValues, random in
                HyperRNNCell(
                    inputs: inputs, units: settings.units, hyperUnits: settings.hyperUnits,
                    embeddingSize: settings.embeddingSize, full: full,
                    hyperStateForEmbeddings: settings.hyperStateForEmbeddings, initialValues: initialValues,
                    random: &random)
            })
    }
}
