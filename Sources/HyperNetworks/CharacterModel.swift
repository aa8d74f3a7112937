/// The state that a character model carries from one sequence to the next: h and c of every cell, constants for the
/// gradient.
public struct RecurrentState: @unchecked Sendable {
    /// By name, such as `layer0.h` and `layer0.hyper.c`; [B, H] or [B, h].
    public var tensors: [(name: String, tensor: Tensor)]

    public init(tensors: [(name: String, tensor: Tensor)]) { self.tensors = tensors }
}

/// A model of characters: one-hot input, one or more recurrent layers, a linear layer, softmax (§4.3, 4.4).
public final class CharacterModel: Module {
    public enum Layer {
        case lstm(LSTMCell)
        case hyperLSTM(HyperLSTMCell)

        public var parameters: [NamedParameter] {
            switch self {
            case .lstm(let cell): cell.parameters
            case .hyperLSTM(let cell): cell.parameters
            }
        }
    }

    public let configuration: CharacterModelConfiguration
    /// V.
    public let vocabularySize: Int
    public let layers: [Layer]
    public let output: Linear

    /// The stream of random numbers that initial values come from.
    private static let initialValues: UInt64 = 1

    /// A model with the initial values of A.2.3, a function of `seed` alone.
    public init(
        configuration: CharacterModelConfiguration, vocabularySize V: Int,
        inputInitialValues: InputInitialValues = .orthogonal, seed: UInt64
    ) {
        self.configuration = configuration
        vocabularySize = V
        let units = configuration.units, epsilon = configuration.layerNormEpsilon
        var random = RandomStream(seed: seed, stream: Self.initialValues)
        layers = (0..<configuration.layers).map { layer in
            let inputs = layer == 0 ? V : units
            switch configuration.cell {
            case .lstm:
                return .lstm(
                    LSTMCell(
                        inputs: inputs, units: units, layerNormEpsilon: configuration.layerNorm ? epsilon : nil,
                        forgetBias: configuration.forgetBias, inputInitialValues: inputInitialValues, random: &random))
            case .hyperLSTM:
                return .hyperLSTM(
                    HyperLSTMCell(
                        inputs: inputs, units: units, hyperUnits: configuration.hyperUnits,
                        embeddingSize: configuration.embeddingSize,
                        layerNormEpsilon: configuration.layerNorm ? epsilon : nil,
                        hyperLayerNormEpsilon: configuration.normalisesHyperCell ? epsilon : nil,
                        forgetBias: configuration.forgetBias,
                        embeddingSource: configuration.hyperStateForEmbeddings,
                        inputInitialValues: inputInitialValues, random: &random))
            }
        }
        output = Linear(inputs: units, outputs: V, random: &random)
    }

    public var parameters: [NamedParameter] {
        layers.enumerated().flatMap { index, layer in
            layer.parameters.map { NamedParameter("layer\(index).\($0.name)", $0.variable) }
        } + output.parameters(under: "output")
    }

    /// Zeros for `batch` sequences.
    public func zeroState(batch: Int) -> RecurrentState {
        let H = configuration.units, h = configuration.hyperUnits
        return RecurrentState(
            tensors: layers.enumerated().flatMap { index, layer -> [(name: String, tensor: Tensor)] in
                let prefix = "layer\(index)"
                let main = [
                    (name: "\(prefix).h", tensor: Tensor(zeros: [batch, H])),
                    (name: "\(prefix).c", tensor: Tensor(zeros: [batch, H])),
                ]
                guard case .hyperLSTM = layer else { return main }
                return main + [
                    (name: "\(prefix).hyper.h", tensor: Tensor(zeros: [batch, h])),
                    (name: "\(prefix).hyper.c", tensor: Tensor(zeros: [batch, h])),
                ]
            })
    }

    /// Mean cross entropy of predicting `targets`, in nats.
    ///
    /// - Parameters:
    ///   - inputs: T·B symbols, step-major: step t of sequence b at t·B + b.
    ///   - targets: The symbols that follow, in the same order.
    ///   - batch: B.
    ///   - state: The state before the first step; on return the state after the last, cut off from the gradient.
    ///   - dropout: Random numbers for dropout; nil for evaluation, without dropout.
    /// - Returns: A scalar.
    public func loss(
        inputs: [Int32], targets: [Int32], batch: Int, state: inout RecurrentState, dropout: inout RandomStream?
    ) -> Variable {
        crossEntropy(logits(inputs: inputs, batch: batch, state: &state, dropout: &dropout), targets)
    }

    /// The dropout masks of a sequence of T steps and B sequences; nil where nothing is dropped.
    public struct Masks {
        /// Over the T·B one-hot inputs.
        public var input: DropoutMask?
        /// Of each layer: over the main cell's φ(g), [T, B, H], and the hyper cell's, [T, B, h].
        public var layers: [(main: DropoutMask?, hyper: DropoutMask?)]
        /// Over the last layer's h, [T, B, H].
        public var output: DropoutMask?

        public init(
            input: DropoutMask? = nil, layers: [(main: DropoutMask?, hyper: DropoutMask?)], output: DropoutMask? = nil
        ) {
            self.input = input
            self.layers = layers
            self.output = output
        }
    }

    /// Draws the masks of `symbols` = T·B inputs; none without random numbers.
    private func masks(symbols: Int, random: inout RandomStream?) -> Masks {
        func mask(_ keep: Float, _ count: Int) -> DropoutMask? {
            guard random != nil, keep < 1, count > 0 else { return nil }
            return DropoutMask(keep: keep, count: count, random: &random!)
        }
        let input = mask(configuration.keepInput, symbols)
        let layers = layers.map { _ in
            (
                main: mask(configuration.keepRecurrent, symbols * configuration.units),
                hyper: mask(configuration.keepHyperRecurrent, symbols * configuration.hyperUnits)
            )
        }
        return Masks(
            input: input, layers: layers, output: mask(configuration.keepOutput, symbols * configuration.units))
    }

    /// The logits of the next symbol at every step, [T·B, V]; parameters as of `loss`.
    public func logits(
        inputs: [Int32], batch: Int, state: inout RecurrentState, dropout random: inout RandomStream?
    ) -> Variable {
        logits(inputs: inputs, batch: batch, state: &state, masks: masks(symbols: inputs.count, random: &random))
    }

    /// The recurrent weights of all layers, packed once for many short sequences. A copy: it does not follow the
    /// parameters.
    public struct PackedWeights {
        fileprivate enum Layer {
            case lstm(PackedLSTM)
            case hyperLSTM(PackedHyperLSTM)

            var lstm: PackedLSTM? { if case .lstm(let weights) = self { weights } else { nil } }
            var hyperLSTM: PackedHyperLSTM? { if case .hyperLSTM(let weights) = self { weights } else { nil } }
        }
        fileprivate let layers: [Layer]
    }

    /// Packs the weights for sequences in batches of `batch`.
    public func packedWeights(batch: Int) -> PackedWeights {
        PackedWeights(
            layers: layers.map { layer in
                switch layer {
                case .lstm(let cell): .lstm(PackedLSTM(cell, batch: batch))
                case .hyperLSTM(let cell): .hyperLSTM(PackedHyperLSTM(cell, batch: batch))
                }
            })
    }

    /// The same with given masks, and with weights that may be packed already.
    public func logits(
        inputs: [Int32], batch: Int, state: inout RecurrentState, masks: Masks, weights: PackedWeights? = nil
    ) -> Variable {
        let symbols = inputs.count, H = configuration.units
        precondition(symbols % batch == 0, "\(symbols) symbols do not make \(batch) sequences of one length")
        var x = CellInput.oneHot(inputs, size: vocabularySize, scale: masks.input?.tensor([symbols]).floats)
        var states = state.tensors.map { Variable($0.tensor) }[...], last: [Variable] = []
        var h = Variable(Tensor(zeros: [0, H]))
        for (index, (layer, mask)) in zip(layers, masks.layers).enumerated() {
            let main = LSTMState(h: states.removeFirst(), c: states.removeFirst())
            let packed = weights?.layers[index]
            switch layer {
            case .lstm(let cell):
                let result = lstmSequence(cell, x, main, mask: mask.main, packed: packed?.lstm)
                h = reshape(result.h, [symbols, H])
                last += [result.last.h, result.last.c]
            case .hyperLSTM(let cell):
                let hyper = LSTMState(h: states.removeFirst(), c: states.removeFirst())
                let result = hyperLSTMSequence(
                    cell, x, HyperLSTMState(main: main, hyper: hyper), mask: mask.main, hyperMask: mask.hyper,
                    packed: packed?.hyperLSTM)
                h = reshape(result.h, [symbols, H])
                last += [result.last.main.h, result.last.main.c, result.last.hyper.h, result.last.hyper.c]
            }
            x = .dense(h)
        }
        state.tensors = zip(state.tensors, last).map { ($0.name, $1.value) }
        return output(masks.output.map { dropout(h, $0) } ?? h)
    }

    /// One step of every sequence, without dropout or gradient: for sampling.
    ///
    /// - Parameters:
    ///   - symbols: B symbols.
    ///   - state: The state before and, on return, after the step.
    ///   - weights: Packed for B sequences.
    /// - Returns: Logits of the next symbol, [B, V].
    public func step(symbols: [Int32], state: inout RecurrentState, weights: PackedWeights) -> Tensor {
        withoutGradient {
            let masks = Masks(layers: layers.map { _ in (main: nil, hyper: nil) })
            return logits(inputs: symbols, batch: symbols.count, state: &state, masks: masks, weights: weights).value
        }
    }
}
