/// A model of characters: one-hot input, one or more recurrent layers, a linear layer, softmax (§4.3, 4.4).
public final class CharacterModel: Module {
    public let configuration: CharacterModelConfiguration
    /// V.
    public let vocabularySize: Int
    public let layers: [any RecurrentCell]
    public let output: Linear

    /// A model with the initial values of A.2.3, drawn by `seed`; the same bits with the same build, instruction set
    /// and BLAS, on any number of threads.
    ///
    /// - Precondition: `configuration.validate()` throws nothing, and a cell with recurrent dropout has `maskWidths`.
    public init(
        configuration: CharacterModelConfiguration, vocabularySize V: Int,
        initialValues: RecurrentInitialValues = RecurrentInitialValues(), seed: UInt64
    ) {
        do { try configuration.validate() } catch { preconditionFailure("\(error)") }
        self.configuration = configuration
        vocabularySize = V
        let units = configuration.units
        var random = RandomStream.initialValues(seed: seed)
        layers = (0..<configuration.layers).map { layer in
            configuration.cell.make(configuration, layer == 0 ? V : units, initialValues, &random)
        }
        output = Linear(inputs: units, outputs: V, random: &random)
        for (index, keep) in recurrentKeeps.enumerated() where keep < 1 {
            precondition(
                layers.allSatisfy { index < $0.maskWidths.count },
                "the cell '\(configuration.cell.rawValue)' lists .recurrentDropout, but has no maskWidths[\(index)]")
        }
    }

    /// Keep probabilities of the dropout masks whose widths a cell's `maskWidths` lists, in the same order.
    private var recurrentKeeps: [Float] { [configuration.keepRecurrent, configuration.keepHyperRecurrent] }

    public var parameters: [NamedParameter] {
        layers.enumerated().flatMap { index, layer in
            layer.parameters(under: "layer\(index)")
        } + output.parameters(under: "output")
    }

    /// Zeros for `batch` sequences.
    public func zeroState(batch: Int) -> RecurrentState {
        RecurrentState(
            tensors: layers.enumerated().flatMap { index, cell in
                cell.zeroState(batch: batch).parts.map { (name: "layer\(index).\($0.name)", tensor: $0.part.value) }
            })
    }

    /// Mean cross entropy of predicting `targets`, in nats.
    ///
    /// - Parameters:
    ///   - inputs: T·B symbols, time-major: step t of sequence b at t·B + b.
    ///   - targets: The symbols that follow, in the same order.
    ///   - batch: B.
    ///   - state: The state before the first step; on return the state after the last, cut off from the gradient.
    ///   - dropout: Random numbers for dropout; nil for evaluation, without dropout.
    ///   - shard: The shard of a batch that the B sequences are; each gets the dropout masks that it has in the whole
    ///     batch.
    /// - Returns: A scalar.
    public func loss(
        inputs: [Int32], targets: [Int32], batch: Int, state: inout RecurrentState, dropout: inout RandomStream?,
        shard: BatchShard = .whole
    ) -> Variable {
        let masks = masks(symbols: inputs.count, batch: batch, shard: shard, random: &dropout)
        return crossEntropy(logits(inputs: inputs, batch: batch, state: &state, masks: masks), targets)
    }

    /// The dropout masks of a sequence of T steps and B sequences; nil where nothing is dropped.
    public struct Masks {
        /// Over the T·B one-hot inputs.
        public var input: DropoutMask?
        /// Of each layer, as its cell's `sequence` takes them.
        public var layers: [[DropoutMask?]]
        /// Over the last layer's h, [T, B, H].
        public var output: DropoutMask?

        public init(
            input: DropoutMask? = nil, layers: [[DropoutMask?]], output: DropoutMask? = nil
        ) {
            self.input = input
            self.layers = layers
            self.output = output
        }
    }

    /// Draws the masks of `symbols` = T·B inputs; none without random numbers.
    private func masks(symbols: Int, batch: Int, shard: BatchShard, random: inout RandomStream?) -> Masks {
        let steps = symbols / batch, whole = batch * shard.count, rows = shard.rows(ofBatch: whole)
        func mask(_ keep: Float, _ units: Int) -> DropoutMask? {
            guard random != nil, keep < 1, units > 0 else { return nil }
            return DropoutMask(
                keep: keep, steps: steps, batch: whole, units: units, rows: rows, random: &random!)
        }
        let input = mask(configuration.keepInput, 1)
        let layers = layers.map { cell in zip(recurrentKeeps, cell.maskWidths).map { mask($0, $1) } }
        return Masks(input: input, layers: layers, output: mask(configuration.keepOutput, configuration.units))
    }

    /// The logits of the next symbol at every step, [T·B, V].
    ///
    /// - Parameters:
    ///   - inputs: Symbols, T·B of them: all of the first step, then all of the second.
    ///   - batch: B, the number of sequences.
    ///   - state: The state before the first step; on return that after the last.
    ///   - dropout: Where masks are drawn from; nil for none.
    public func logits(
        inputs: [Int32], batch: Int, state: inout RecurrentState, dropout random: inout RandomStream?
    ) -> Variable {
        let masks = masks(symbols: inputs.count, batch: batch, shard: .whole, random: &random)
        return logits(inputs: inputs, batch: batch, state: &state, masks: masks)
    }

    /// The recurrent weights of all layers, packed once for many short sequences. A copy: it does not follow the
    /// parameters.
    public struct PackedWeights {
        /// Of each layer, its cell's `Packed`.
        fileprivate let layers: [Any]
    }

    /// Packs the weights for sequences in batches of `batch`.
    public func packedWeights(batch: Int) -> PackedWeights {
        PackedWeights(layers: layers.map { $0.packed(batch: batch) })
    }

    /// `logits(inputs:batch:state:dropout:)` with given masks.
    ///
    /// - Parameters:
    ///   - masks: Dropout, drawn before.
    ///   - weights: Packed already, for many short sequences; nil packs them for this one.
    public func logits(
        inputs: [Int32], batch: Int, state: inout RecurrentState, masks: Masks, weights: PackedWeights? = nil
    ) -> Variable {
        let symbols = inputs.count
        precondition(symbols % batch == 0, "\(symbols) symbols do not make \(batch) sequences of one length")
        precondition(
            state.tensors.allSatisfy { $0.tensor.shape.first == batch },
            "a state of another number than \(batch) sequences")
        /// Runs one layer and puts its last state in the place of its first.
        func run<Cell: RecurrentCell>(
            _ cell: Cell, _ x: CellInput, _ masks: [DropoutMask?], _ packed: Any?, _ state: inout ArraySlice<Tensor>
        ) -> Variable {
            let first = cell.zeroState(batch: batch).map { _, _ in Variable(state.removeFirst()) }
            let result = cell.sequence(x, first, masks: masks, packed: packed as? Cell.Packed)
            state += result.last.parts.map(\.part.value)
            return reshape(result.h, [symbols, cell.units])
        }
        var x = CellInput.oneHot(inputs, size: vocabularySize, scale: masks.input?.tensor([symbols]).floats)
        // A queue: each layer takes its parts from the front and appends their successors.
        var parts = state.tensors.map(\.tensor)[...]
        var h = Variable(Tensor(zeros: [0, configuration.units]))
        for (index, cell) in layers.enumerated() {
            h = run(cell, x, masks.layers[index], weights?.layers[index], &parts)
            x = .dense(h)
        }
        state.tensors = zip(state.tensors, parts).map { ($0.name, $1) }
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
            let masks = Masks(layers: layers.map { _ in [] })
            return logits(inputs: symbols, batch: symbols.count, state: &state, masks: masks, weights: weights).value
        }
    }
}
