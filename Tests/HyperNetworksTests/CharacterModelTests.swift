import Foundation
import HyperNetworks
import TestSupport
import Testing

/// A HyperRNN of zeros with I = 4, H = 6, h = 3 and N_z = 2. Another number of elements of z_h (`embedding`), or of
/// rows of the main cell's W_x or W_xz (`inputs`), does not fit the rest.
private func hyperRNN(full: Bool, embedding: Int = 2, inputs: Int = 4) -> HyperRNNCell {
    func zeros(_ shape: Int...) -> Variable { Variable(Tensor(zeros: shape)) }
    let (H, h, Nz) = (6, 3, 2)
    let weights: HyperRNNCell.Weights =
        full
        ? .full(W_hz: zeros(Nz, H, H), W_xz: zeros(Nz, inputs, H))
        : .scaled(W_h: zeros(H, H), W_x: zeros(inputs, H), W_hz: zeros(Nz, H), W_xz: zeros(Nz, H))
    return HyperRNNCell(
        weights: weights, hyperCell: RNNCell(W_x: zeros(H + 4, h), W_h: zeros(h, h), b: zeros(h)),
        W_hhat_h: zeros(h, embedding), b_hhat_h: zeros(embedding), W_hhat_x: zeros(h, Nz), b_hhat_x: zeros(Nz),
        W_hhat_b: zeros(h, Nz), W_bz: zeros(Nz, H), b_0: zeros(H), hyperStateForEmbeddings: .current)
}

@Suite("Character models")
struct CharacterModelTests {
    // MARK: Against PyTorch

    @Test(arguments: ["lstm", "ln_lstm", "2_layer_lstm", "hyperlstm", "ln_hyperlstm", "2_layer_ln_hyperlstm"])
    func wholeModel_lossAndAllGradientsAreThoseOfPyTorch(kind: String) throws {
        let test = try OracleCase("model_\(kind)"), fixture = test.fixture
        let layers = try fixture.meta("layers", as: Int.self), hyper = try fixture.meta("hyper") == "true"
        let shape = try fixture.shape("in.symbols"), units = try fixture.shape("in.layer0.h0")[1]
        let vocabulary = try fixture.shape("param.output.b")[0]
        let configuration = CharacterModelConfiguration.test(
            cell: hyper ? .hyperLSTM : .lstm, layers: layers, units: units,
            layerNorm: try fixture.meta("layerNorm") == "true",
            hyperUnits: hyper ? try fixture.shape("in.layer0.hyper_h0")[1] : 0,
            embeddingSize: hyper ? try fixture.shape("param.layer0.W_hz")[1] : 0)
        let model = CharacterModel(configuration: configuration, vocabularySize: vocabulary, seed: 0)
        for parameter in model.parameters {
            let key = "param.\(parameter.name)"
            #expect(parameter.variable.shape == (try fixture.shape(key)), "\(key)")
            parameter.variable.value.copy(from: try fixture.floats(key))
        }
        #expect(Set(model.parameters.map { "param.\($0.name)" }) == Set(fixture.keys("param.")))

        var state = model.zeroState(batch: shape[1])
        state.tensors = try state.tensors.map { name, _ in
            (name, try test.tensor("in." + name.replacingOccurrences(of: ".hyper.", with: ".hyper_") + "0"))
        }
        let masks = CharacterModel.Masks(
            input: try test.mask("in.inputScale"),
            layers: try (0..<layers).map { [try test.mask("in.layer\($0).dropout")] },
            output: try test.mask("in.outputDropout"))
        let logits = model.logits(
            inputs: try fixture.ints("in.symbols").map { Int32($0) }, batch: shape[1], state: &state, masks: masks)
        let loss = crossEntropy(logits, try fixture.ints("in.targets").map { Int32($0) })
        expectClose(
            logits.value.floats, try fixture.doubles("out.logits"), relative: relativeTolerance,
            absolute: absoluteTolerance, what: "logits")
        expectClose(
            loss.value.floats, try fixture.doubles("out.loss"), relative: relativeTolerance, absolute: 0, what: "loss")
        for (name, tensor) in state.tensors {
            let key = "out." + name.replacingOccurrences(of: ".hyper.", with: ".hyper_") + "T"
            expectClose(
                tensor.floats, try fixture.doubles(key), relative: relativeTolerance, absolute: absoluteTolerance,
                what: key)
        }
        loss.backward()
        for parameter in model.parameters {
            expectClose(
                try #require(parameter.variable.gradient).floats, try fixture.doubles("grad.param.\(parameter.name)"),
                shape: parameter.variable.shape, relative: relativeTolerance, absolute: absoluteTolerance,
                what: "gradient of \(parameter.name)")
        }
    }

    // MARK: Against the paper

    /// Rows of Tables 3 and 4: the exact counts that the equations give.
    static let tableRows: [(row: String, V: Int, configuration: CharacterModelConfiguration, count: Int)] = [
        ("LSTM, 1000 units", 50, .test(cell: .lstm, units: 1000, layerNorm: false), 4_254_050),
        ("LSTM, 1250 units", 50, .test(cell: .lstm, units: 1250, layerNorm: false), 6_567_550),
        ("2-Layer LSTM, 1000 units", 50, .test(cell: .lstm, layers: 2, units: 1000, layerNorm: false), 12_258_050),
        ("Layer Norm LSTM, 1000 units", 50, .test(cell: .lstm, units: 1000, layerNorm: true), 4_264_050),
        (
            "HyperLSTM, 1000 units", 50,
            .test(cell: .hyperLSTM, units: 1000, layerNorm: false, hyperUnits: 128, embeddingSize: 4), 4_911_874
        ),
        (
            "Layer Norm HyperLSTM, 1000 units", 50,
            .test(cell: .hyperLSTM, units: 1000, layerNorm: true, hyperUnits: 128, embeddingSize: 4), 4_923_154
        ),
        (
            "Layer Norm HyperLSTM, large embedding", 50,
            .test(cell: .hyperLSTM, units: 1000, layerNorm: true, hyperUnits: 128, embeddingSize: 16), 5_085_682
        ),
        (
            "2-Layer Norm HyperLSTM, 1000 units", 50,
            .test(cell: .hyperLSTM, layers: 2, units: 1000, layerNorm: true, hyperUnits: 128, embeddingSize: 16),
            14_407_714
        ),
        ("LSTM 1800", 205, .test(cell: .lstm, units: 1800, layerNorm: false), 14_812_405),
        ("LSTM 2000", 205, .test(cell: .lstm, units: 2000, layerNorm: false), 18_058_205),
        ("Layer Norm LSTM 1800", 205, .test(cell: .lstm, units: 1800, layerNorm: true), 14_830_405),
        (
            "HyperLSTM 1800", 205,
            .test(cell: .hyperLSTM, units: 1800, layerNorm: false, hyperUnits: 256, embeddingSize: 64), 18_708_213
        ),
        (
            "Layer Norm HyperLSTM 1800", 205,
            .test(cell: .hyperLSTM, units: 1800, layerNorm: true, hyperUnits: 256, embeddingSize: 64), 18_728_773
        ),
        (
            "Layer Norm HyperLSTM 2048", 205,
            .test(cell: .hyperLSTM, units: 2048, layerNorm: true, hyperUnits: 512, embeddingSize: 64), 26_541_773
        ),
    ]

    @Test(arguments: tableRows.indices)
    func tables3And4_parameterCountOfEveryRow(index: Int) {
        let row = Self.tableRows[index]
        #expect(row.configuration.parameterCount(vocabularySize: row.V) == row.count, "\(row.row)")
    }

    @Test(arguments: [
        CharacterModelConfiguration.test(cell: .lstm, layers: 2, units: 9, layerNorm: true),
        CharacterModelConfiguration.test(cell: .rnn, layers: 2, units: 9, layerNorm: false),
        CharacterModelConfiguration.test(
            cell: .hyperRNN, layers: 2, units: 9, layerNorm: false, hyperUnits: 5, embeddingSize: 3),
        CharacterModelConfiguration.test(
            cell: .hyperRNNFull, layers: 2, units: 9, layerNorm: false, hyperUnits: 5, embeddingSize: 3),
        CharacterModelConfiguration.test(
            cell: .hyperLSTM, layers: 2, units: 9, layerNorm: true, hyperUnits: 5, embeddingSize: 3),
        CharacterModelConfiguration.test(cell: .hyperLSTM, units: 9, layerNorm: false, hyperUnits: 5, embeddingSize: 3),
        CharacterModelConfiguration.test(
            cell: .hyperLSTM, units: 9, layerNorm: false, hyperUnits: 5, embeddingSize: 3, hyperLayerNorm: .always),
    ])
    func parameterCount_isWhatAModelReallyHas(configuration: CharacterModelConfiguration) {
        let model = CharacterModel(configuration: configuration, vocabularySize: 7, seed: 0)
        #expect(configuration.parameterCount(vocabularySize: 7) == model.parameterCount)
        #expect(Set(model.parameters.map(\.name)).count == model.parameters.count, "names are unique")
    }

    @Test func initialValues_areThoseOfA23() throws {
        var random = RandomStream(seed: 3, stream: 0)
        let Nz = 4, h = 64
        let cell = HyperLSTMCell(
            inputs: 10, units: 40, hyperUnits: h, embeddingSize: Nz, layerNormEpsilon: 1e-3,
            hyperLayerNormEpsilon: 1e-3, forgetBias: 1, hyperStateForEmbeddings: .current,
            initialValues: RecurrentInitialValues(), random: &random)
        let constants: [(Variable, Float)] = [
            (cell.b_0, 0), (cell.W_bz, 0), (cell.hyperCell.b, 0), (cell.W_hhat_h, 0), (cell.W_hhat_x, 0),
            (cell.b_hhat_h, 1), (cell.b_hhat_x, 1), (cell.W_hz, 0.1 / 4), (cell.W_xz, 0.1 / 4),
        ]
        for (variable, value) in constants { expectConstant(variable.value, value) }
        let layerNorm = try #require(cell.update.layerNorm)
        for scale in [layerNorm.gamma, layerNorm.gamma_c] { expectConstant(scale.value, 1) }
        for shift in [layerNorm.beta, layerNorm.beta_c] { expectConstant(shift.value, 0) }
        expectStandardDeviation(cell.W_hhat_b.value, 0.01)
        for W in [cell.W_h, cell.W_x, cell.hyperCell.W_h, cell.hyperCell.W_x] {
            let columns = W.shape[1] / 4
            for gate in 0..<4 {
                expectOrthogonal(Compute.columns(W, gate * columns..<(gate + 1) * columns).value)
            }
        }
    }

    /// Deviation `scalingInitialValues`: drawn last, so that the weights drawn before are those of the constants.
    @Test func scalingInitialValues_distinctAddUpToOneTenthAndDifferByTheConstant() {
        let Nz = 4, H = 500
        func cell(_ scaling: ScalingInitialValues) -> HyperLSTMCell {
            var random = RandomStream(seed: 3, stream: 0)
            return HyperLSTMCell(
                inputs: 10, units: H, hyperUnits: 8, embeddingSize: Nz, layerNormEpsilon: nil,
                hyperLayerNormEpsilon: nil, forgetBias: 1, hyperStateForEmbeddings: .current,
                initialValues: RecurrentInitialValues(scaling: scaling), random: &random)
        }
        let distinct = cell(.distinct), constant = cell(.constant)
        for (ours, theirs) in zip(distinct.parameters, constant.parameters) where !["W_hz", "W_xz"].contains(ours.name)
        {
            #expect(ours.variable.value.floats == theirs.variable.value.floats, "\(ours.name)")
        }
        for W in [distinct.W_hz, distinct.W_xz] {
            let values = W.value.floats.map(Double.init)
            for gate in 0..<4 {
                let sums = (0..<H).map { unit in (0..<Nz).reduce(0) { $0 + values[(gate * Nz + $1) * H + unit] } }
                expectClose(
                    sums.map(Float.init), [Double](repeating: 0.1, count: H), relative: 1e-6, absolute: 0, what: "sum")
            }
            // One of N_z squares' worth goes with the mean; five standard errors of a mean square of normal numbers.
            let meanSquare = values.reduce(0) { $0 + ($1 - 0.025) * ($1 - 0.025) } / Double(values.count)
            #expect(abs(meanSquare / (0.025 * 0.025 * 0.75) - 1) < 5 * (2 / (0.75 * Double(values.count))).squareRoot())
        }
    }

    /// Deviation `scalingInitialValues`: with the constants of A.2.3 the elements of an embedding are one element N_z
    /// times.
    @Test(arguments: ScalingInitialValues.allCases)
    func theElementsOfAnEmbedding_learnTheSameFromConstantsAndNotFromDistinctOnes(scaling: ScalingInitialValues) throws
    {
        let Nz = 3, H = 9, h = 5, V = 7
        let model = CharacterModel(
            configuration: .test(cell: .hyperLSTM, units: H, layerNorm: true, hyperUnits: h, embeddingSize: Nz),
            vocabularySize: V, initialValues: RecurrentInitialValues(scaling: scaling), seed: 1)
        let optimizer = Adam(parameters: model.parameters)
        var random = RandomStream(seed: 2, stream: 0), state = model.zeroState(batch: 4)
        var dropout: RandomStream?
        for _ in 0..<20 {
            let symbols = random.uniform(4 * 6).map { Int32($0 * Float(V)) }
            model.loss(
                inputs: symbols, targets: symbols.reversed(), batch: 4, state: &state, dropout: &dropout
            ).backward()
            optimizer.step(learningRate: 0.01)
            model.clearGradients()
        }
        let cell = try #require(model.layers[0] as? HyperLSTMCell)
        // The greatest distance of an element from the first one, and the greatest size.
        func spread(_ values: [Float], _ places: [[Int]]) -> (apart: Float, size: Float) {
            let distances = places.flatMap { same in same.map { abs(values[$0] - values[same[0]]) } }
            return (distances.max() ?? 0, values.map(abs).max() ?? 0)
        }
        let rows = (0..<4).flatMap { gate in (0..<H).map { unit in (0..<Nz).map { (gate * Nz + $0) * H + unit } } }
        let columns = (0..<h * 4).map { block in (0..<Nz).map { block * Nz + $0 } }
        for (W, places) in [(cell.W_hz, rows), (cell.W_xz, rows), (cell.W_hhat_h, columns), (cell.W_hhat_x, columns)] {
            let (apart, size) = spread(W.value.floats, places)
            #expect(size > 0.01, "twenty steps have moved it")
            // Equal up to the rounding of twenty steps; apart by a good part of what they are.
            #expect(scaling == .constant ? apart < 1e-4 * size : apart > 0.1 * size, "\(apart) of \(size)")
        }
    }

    /// Deviation `outputInitialValues`.
    @Test func theOutputLayerStartsOrthogonalWithBiasesOfZero() {
        let model = CharacterModel(
            configuration: .test(cell: .lstm, units: 30, layerNorm: false), vocabularySize: 11, seed: 1)
        expectOrthogonal(model.output.W.value)
        expectConstant(model.output.b.value, 0)
    }

    /// Deviation `hyperRNNInitialValues`.
    @Test(arguments: [false, true]) func hyperRNNInitialValues_areThoseOfTheHyperLSTMOrOrthogonalSlices(full: Bool) {
        var random = RandomStream(seed: 3, stream: 0)
        let (I, H, h, Nz) = (20, 30, 64, 4)
        let cell = HyperRNNCell(
            inputs: I, units: H, hyperUnits: h, embeddingSize: Nz, full: full, hyperStateForEmbeddings: .current,
            initialValues: RecurrentInitialValues(), random: &random)
        for zero in [cell.W_hhat_h, cell.W_hhat_x, cell.W_bz, cell.b_0, cell.hyperCell.b] {
            expectConstant(zero.value, 0)
        }
        for one in [cell.b_hhat_h, cell.b_hhat_x] { expectConstant(one.value, 1) }
        expectStandardDeviation(cell.W_hhat_b.value, 0.01)
        for W in [cell.hyperCell.W_h, cell.hyperCell.W_x] { expectOrthogonal(W.value) }
        switch cell.weights {
        case .scaled(let W_h, let W_x, let W_hz, let W_xz):
            for W in [W_h, W_x] { expectOrthogonal(W.value) }
            for W in [W_hz, W_xz] { expectConstant(W.value, 0.1 / 4) }
        case .full(let W_hz, let W_xz):
            for W in [W_hz, W_xz] {
                let rows = W.shape[1], values = W.value.floats
                for slice in 0..<Nz {
                    let part = Array(values[slice * rows * H..<(slice + 1) * rows * H])
                    expectOrthogonal(Tensor(part, shape: [rows, H]), scale: 0.1 / 2)
                }
            }
        }
    }

    @Test func inputInitialValues_uniformHasVarianceOneOverTheInputsAndLeavesTheOtherWeightsOrthogonal() {
        var random = RandomStream(seed: 3, stream: 0)
        let inputs = 50, units = 100
        let cell = LSTMCell(
            inputs: inputs, units: units, layerNormEpsilon: nil, forgetBias: 1,
            inputInitialValues: .uniformUnitScaling, random: &random)
        let values = cell.W_x.value.floats.map(Double.init), bound = (3.0 / Double(inputs)).squareRoot()
        #expect(values.allSatisfy { abs($0) <= bound * (1 + 1e-6) })
        // 20,000 samples: the standard error of the mean square of a uniform number is √(4/5 / n) of it; five of them.
        let meanSquare = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
        #expect(abs(meanSquare * Double(inputs) - 1) < 5 * (0.8 / Double(values.count)).squareRoot())
        let gate = Compute.columns(cell.W_h, 0..<units)
        let squares = matmul(gate, gate, transposed: true).value.floats
        #expect((0..<units).allSatisfy { abs(squares[$0 * units + $0] - 1) < 1e-5 })
    }

    /// Deviation `inputInitialValues`: of W_x in every cell, the hyper cell's too.
    @Test(arguments: [CellKind.lstm, .hyperLSTM, .rnn, .hyperRNN])
    func inputInitialValues_areThoseOfEveryCell(kind: CellKind) {
        let hasHyperCell = kind.features.contains(.hyperCell)
        let model = CharacterModel(
            configuration: .test(
                cell: kind, units: 60, layerNorm: false, hyperUnits: hasHyperCell ? 40 : 0,
                embeddingSize: hasHyperCell ? 4 : 0),
            vocabularySize: 30, initialValues: RecurrentInitialValues(input: .uniformUnitScaling), seed: 1)
        let weights = model.parameters.filter { $0.name.hasSuffix("W_x") }
        #expect(weights.count == (hasHyperCell ? 2 : 1))
        for W in weights {
            // Uniform numbers come close to their bound; elements of an orthogonal matrix do not keep to it.
            let bound = (3 / Float(W.variable.shape[0])).squareRoot()
            let greatest = W.variable.value.floats.map(abs).max() ?? 0
            #expect(greatest <= bound * 1.000001 && greatest > 0.98 * bound, "\(W.name): \(greatest) of \(bound)")
        }
    }

    @Test func atTheStart_everyScaleIsOneTenthAndAHyperLSTMIsAnLSTMWithWeightsTimesOneTenth() {
        var random = RandomStream(seed: 5, stream: 0)
        let (I, H, B, T) = (6, 11, 3, 7)
        let cell = HyperLSTMCell(
            inputs: I, units: H, hyperUnits: 5, embeddingSize: 4, layerNormEpsilon: nil, hyperLayerNormEpsilon: nil,
            forgetBias: 1, hyperStateForEmbeddings: .current,
            initialValues: RecurrentInitialValues(), random: &random)
        let scaling = cell.scaling(Variable(Tensor(random.normal(B * 5), shape: [B, 5])))
        expectClose(
            scaling.d_h.value.floats, [Double](repeating: 0.1, count: B * 4 * H), relative: 1e-6, absolute: 0,
            what: "d_h")
        expectClose(
            scaling.d_x.value.floats, [Double](repeating: 0.1, count: B * 4 * H), relative: 1e-6, absolute: 0,
            what: "d_x")
        #expect(scaling.b.value.floats.allSatisfy { $0 == 0 })

        let tenth = LSTMCell(
            W_x: affine(cell.W_x, scale: 0.1), W_h: affine(cell.W_h, scale: 0.1), b: cell.b_0, update: cell.update)
        let x = CellInput.dense(Variable(Tensor(random.normal(T * B * I), shape: [T * B, I])))
        let main = LSTMState(
            h: Variable(Tensor(random.normal(B * H), shape: [B, H])),
            c: Variable(Tensor(random.normal(B * H), shape: [B, H])))
        let hyper = cell.sequence(x, HyperLSTMState(main: main, hyper: LSTMState(batch: B, units: 5)))
        let plain = tenth.sequence(x, main)
        expectClose(
            hyper.h.value.floats, plain.h.value.floats.map(Double.init), relative: 1e-5, absolute: 1e-6, what: "h")
    }

    @Test func equation8_isEquation5WhereEachSliceOfWhzIsWhWithScaledRows() {
        var random = RandomStream(seed: 7, stream: 0)
        let (I, H, h, Nz, B) = (4, 6, 3, 2, 5)
        func draw(_ shape: [Int]) -> Variable { Variable(Tensor(random.normal(shape.reduce(1, *)), shape: shape)) }
        let W_h = draw([H, H]), W_x = draw([I, H]), W_hz = draw([Nz, H]), W_xz = draw([Nz, H])
        let hyperCell = RNNCell(W_x: draw([H + I, h]), W_h: draw([h, h]), b: draw([h]))
        let shared = (draw([h, Nz]), draw([Nz]), draw([h, Nz]), draw([Nz]), draw([h, Nz]), draw([Nz, H]), draw([H]))
        func cell(_ weights: HyperRNNCell.Weights) -> HyperRNNCell {
            HyperRNNCell(
                weights: weights, hyperCell: hyperCell, W_hhat_h: shared.0, b_hhat_h: shared.1, W_hhat_x: shared.2,
                b_hhat_x: shared.3, W_hhat_b: shared.4, W_bz: shared.5, b_0: shared.6,
                hyperStateForEmbeddings: .current)
        }
        // Slice k of Eq. 5's tensor: W with its rows scaled by W_hz[k] (Eq. 7).
        func slices(_ W: Variable, _ scales: Variable) -> Variable {
            reshape(
                concatenateRows((0..<Nz).map { scaleColumns(W, by: rows(scales, $0..<$0 + 1)) }), [Nz] + W.shape)
        }
        let x = CellInput.dense(draw([B, I]))
        let before = HyperRNNState(main: RNNState(h: draw([B, H])), hyper: RNNState(h: draw([B, h])))
        let efficient = cell(.scaled(W_h: W_h, W_x: W_x, W_hz: W_hz, W_xz: W_xz))
            .step(x, before)
        let full = cell(.full(W_hz: slices(W_h, W_hz), W_xz: slices(W_x, W_xz)))
            .step(x, before)
        expectClose(
            full.h.value.floats, efficient.h.value.floats.map(Double.init), relative: 1e-4, absolute: 1e-5, what: "h_t")
    }

    @Test func aHyperRNNWithAParameterOfAnotherShape_isAProgrammersError() async {
        for full in [false, true] { #expect(hyperRNN(full: full).inputs == 4) }
        // The step would not read the third column of such a z_h.
        await #expect(processExitsWith: .failure) { _ = hyperRNN(full: true, embedding: 3) }
        await #expect(processExitsWith: .failure) { _ = hyperRNN(full: true, inputs: 5) }
        await #expect(processExitsWith: .failure) { _ = hyperRNN(full: false, embedding: 3) }
        await #expect(processExitsWith: .failure) { _ = hyperRNN(full: false, inputs: 5) }
    }

    // MARK: Kinds of cells

    @Test func aKindUnderTheNameOfOneOfTheModulesOwn_isAProgrammersError() async {
        await #expect(processExitsWith: .failure) {
            CellKind.register(
                CellKind("lstm", features: []) { settings, inputs, initialValues, random in
                    RNNCell(
                        inputs: inputs, units: settings.units, inputInitialValues: initialValues.input, random: &random)
                })
        }
    }

    /// In a process of its own, since kinds stay registered.
    @Test func ofTwoRegisteredKindsOfOneName_theSecondIsUsed() async {
        await #expect(processExitsWith: .success) {
            for features: Set<CellKind.Feature> in [[], [.layerNorm]] {
                CellKind.register(
                    CellKind("test-cell", features: features) { settings, inputs, initialValues, random in
                        RNNCell(
                            inputs: inputs, units: settings.units, inputInitialValues: initialValues.input,
                            random: &random)
                    })
            }
            #expect(CellKind(rawValue: "test-cell")?.features == [.layerNorm])
            #expect(CellKind.allCases.filter { $0.rawValue == "test-cell" }.count == 1)
        }
    }

    /// Without it nothing would be dropped, and the record would say that it was.
    @Test func recurrentDropoutOfACellWithoutMaskWidths_isAProgrammersError() async {
        await #expect(processExitsWith: .failure) {
            let kind = CellKind("test-cell", features: [.recurrentDropout]) { settings, inputs, initialValues, random in
                RNNCell(
                    inputs: inputs, units: settings.units, inputInitialValues: initialValues.input, random: &random)
            }
            func model(keep: Float) -> CharacterModel {
                CharacterModel(
                    configuration: CharacterModelConfiguration(cell: kind, units: 8, keepRecurrent: keep),
                    vocabularySize: 5, seed: 0)
            }
            #expect(model(keep: 1).layers.count == 1)
            _ = model(keep: 0.9)
        }
    }

    // MARK: Fused = composed

    static let models: [CharacterModelConfiguration] = [
        .test(cell: .lstm, units: 33, layerNorm: false, keepInput: 0.9, keepOutput: 0.8, keepRecurrent: 0.7),
        .test(cell: .lstm, layers: 2, units: 20, layerNorm: true, keepInput: 0.9, keepOutput: 0.8, keepRecurrent: 0.7),
        .test(
            cell: .hyperLSTM, units: 33, layerNorm: false, hyperUnits: 17, embeddingSize: 4, keepInput: 0.9,
            keepOutput: 0.8, keepRecurrent: 0.7, keepHyperRecurrent: 0.6),
        .test(
            cell: .hyperLSTM, layers: 2, units: 20, layerNorm: true, hyperUnits: 9, embeddingSize: 5, keepInput: 0.9,
            keepOutput: 0.8, keepRecurrent: 0.7),
        .test(
            cell: .hyperLSTM, units: 20, layerNorm: true, hyperUnits: 9, embeddingSize: 5, forgetBias: 0.5,
            layerNormEpsilon: 0.1),
    ]

    @Test func forgetBiasAndEpsilonOfTheConfigurationAreThoseOfEveryCell() throws {
        for cell in [CellKind.lstm, .hyperLSTM] {
            let hyper = cell == .hyperLSTM
            let model = CharacterModel(
                configuration: .test(
                    cell: cell, units: 8, layerNorm: true, hyperUnits: hyper ? 4 : 0, embeddingSize: hyper ? 2 : 0,
                    forgetBias: 0.5, layerNormEpsilon: 0.1), vocabularySize: 5, seed: 0)
            let updates =
                if let cell = model.layers[0] as? HyperLSTMCell { [cell.update, cell.hyperCell.update] } else {
                    [try #require(model.layers[0] as? LSTMCell).update]
                }
            for update in updates { #expect(update.forgetBias == 0.5 && update.layerNorm?.epsilon == 0.1) }
        }
    }

    /// With a batch that neither the rows a thread takes together nor the vector width divide.
    @Test(arguments: models.indices)
    func fusedSequence_equalsItsTwinWithRandomDropoutValuesAndGradients(index: Int) {
        compareWithTwin(Self.models[index], steps: 6, batch: 21)
    }

    /// From these sizes on the recurrent products are Strassen's; odd ones, so that halves differ.
    @Test(arguments: [CellKind.lstm, .hyperLSTM])
    func fusedSequence_equalsItsTwinAtSizesOfStrassensAlgorithm(cell: CellKind) {
        let hyper = cell == .hyperLSTM
        compareWithTwin(
            .test(
                cell: cell, units: PackedMatrix.leastExtent + 1, layerNorm: true, hyperUnits: hyper ? 17 : 0,
                embeddingSize: hyper ? 4 : 0, keepRecurrent: 0.9),
            steps: 3, batch: PackedMatrix.leastRows + 5)
    }

    private func compareWithTwin(_ configuration: CharacterModelConfiguration, steps T: Int, batch B: Int) {
        let V = 11
        let model = CharacterModel(configuration: configuration, vocabularySize: V, seed: 9)
        var data = RandomStream(seed: 1, stream: 5)
        // Away from the initial values, where many gradients vanish.
        for parameter in model.parameters {
            let noise = data.normal(parameter.variable.value.count)
            parameter.variable.value.copy(from: zip(parameter.variable.value.floats, noise).map { $0 + 0.1 * $1 })
        }
        let symbols = (0..<(T + 1) * B).map { _ in Int32(data.integer(below: V)) }
        let inputs = Array(symbols.dropLast(B)), targets = Array(symbols.dropFirst(B))
        let start = RecurrentState(
            tensors: model.zeroState(batch: B).tensors.map {
                ($0.name, Tensor(data.normal($0.tensor.count), shape: $0.tensor.shape))
            })

        var state = start, random: RandomStream? = RandomStream(seed: 2, stream: 2)
        let fused = model.loss(inputs: inputs, targets: targets, batch: B, state: &state, dropout: &random)
        fused.backward()
        let gradients = model.parameters.map { $0.variable.gradient?.floats ?? [] }

        model.clearGradients()
        var twinRandom = RandomStream(seed: 2, stream: 2)
        let twin = composedLoss(
            model, inputs: inputs, targets: targets, steps: T, batch: B, start: start, random: &twinRandom)
        twin.backward()
        #expect(random == twinRandom, "both draw as many random numbers")
        expectClose(fused.value.floats, twin.value.floats.map(Double.init), relative: 1e-5, absolute: 0, what: "loss")
        for (parameter, gradient) in zip(model.parameters, gradients) {
            expectClose(
                gradient, (parameter.variable.gradient?.floats ?? []).map(Double.init), shape: parameter.variable.shape,
                relative: 2e-4, absolute: 2e-6, what: "gradient of \(parameter.name)")
        }
    }

    /// The buffers of a pass follow its own split of the batch: the backward pass once used those of the forward pass.
    @Test(arguments: models.indices, [(forward: 1, backward: 7), (7, 1), (2, 3)])
    func backwardPassOnAnotherNumberOfThreads_givesTheSameGradients(
        index: Int, parts: (forward: Int, backward: Int)
    ) {
        func gradients(forward: Int, backward: Int) -> [(name: String, values: [Float])] {
            let model = CharacterModel(configuration: Self.models[index], vocabularySize: 11, seed: 9), B = 21
            var data = RandomStream(seed: 1, stream: 5), random: RandomStream? = RandomStream(seed: 2, stream: 2)
            let symbols = (0..<7 * B).map { _ in Int32(data.integer(below: 11)) }
            var state = model.zeroState(batch: B)
            let loss = Parallel.$partsOverride.withValue(forward) {
                model.loss(
                    inputs: Array(symbols.dropLast(B)), targets: Array(symbols.dropFirst(B)), batch: B, state: &state,
                    dropout: &random)
            }
            Parallel.$partsOverride.withValue(backward) { loss.backward() }
            return model.parameters.map { ($0.name, $0.variable.gradient?.floats ?? []) }
        }
        let expected = gradients(forward: 1, backward: 1)
        for (actual, expected) in zip(gradients(forward: parts.forward, backward: parts.backward), expected) {
            // Sums over the batch in another order: a few roundings of the largest terms.
            expectClose(
                actual.values, expected.values.map(Double.init), relative: 1e-4, absolute: 1e-6,
                what: "gradient of \(actual.name)")
        }
    }

    /// The model's loss from the one-step cells.
    private func composedLoss(
        _ model: CharacterModel, inputs: [Int32], targets: [Int32], steps T: Int, batch B: Int, start: RecurrentState,
        random: inout RandomStream
    ) -> Variable {
        let configuration = model.configuration, H = configuration.units
        func mask(_ keep: Float, _ count: Int) -> DropoutMask? {
            keep < 1 && count > 0 ? DropoutMask(keep: keep, count: count, random: &random) : nil
        }
        let scale = mask(configuration.keepInput, T * B)?.tensor([T * B]).floats
        var x = CellInput.oneHot(inputs, size: model.vocabularySize, scale: scale)
        var states = start.tensors.map { Variable($0.tensor) }[...]
        let masks = model.layers.map { cell in
            cell.maskWidths.enumerated().map { n, width in
                mask(n == 0 ? configuration.keepRecurrent : configuration.keepHyperRecurrent, T * B * width)
            }
        }
        var output = Variable(Tensor(zeros: [0]))
        func unroll<Cell: RecurrentCell>(_ cell: Cell, masks: [DropoutMask?]) -> Variable {
            cell.unrolled(x, cell.zeroState(batch: B).map { _, _ in states.removeFirst() }, masks: masks).h
        }
        for (cell, masks) in zip(model.layers, masks) {
            output = reshape(unroll(cell, masks: masks), [T * B, cell.units])
            x = .dense(output)
        }
        if let mask = mask(configuration.keepOutput, T * B * H) { output = output * Variable(mask.tensor([T * B, H])) }
        return crossEntropy(model.output(output), targets)
    }

    @Test func aModelThatCannotBeAndAStateOfAnotherBatchAreNotRead() async {
        await #expect(processExitsWith: .failure) {
            _ = CharacterModel(
                configuration: CharacterModelConfiguration(cell: .hyperLSTM, units: 8), vocabularySize: 5, seed: 0)
        }
        await #expect(processExitsWith: .failure) {
            let model = CharacterModel(
                configuration: CharacterModelConfiguration(cell: .lstm, units: 8), vocabularySize: 5, seed: 0)
            var state = model.zeroState(batch: 4), none: RandomStream?
            _ = model.logits(inputs: [0, 1, 2, 3, 4, 0, 1, 2], batch: 1, state: &state, dropout: &none)
        }
    }

    /// (h; x), as a cell that reads another one's h has it: a sequence of it is its own definition.
    @Test(arguments: [CellKind.lstm, .hyperLSTM])
    func sequenceOfAJoinedInput_equalsTheUnrolledOne(kind: CellKind) {
        var random = RandomStream(seed: 6, stream: 0)
        let hyper = kind == .hyperLSTM, (T, B) = (5, 3)
        let configuration = CharacterModelConfiguration.test(
            cell: kind, units: 12, layerNorm: true, hyperUnits: hyper ? 6 : 0, embeddingSize: hyper ? 2 : 0)
        let h = Variable(Tensor(random.normal(T * B * 7), shape: [T, B, 7]), requiresGradient: true)
        let x = CellInput.joined(h, .oneHot((0..<T * B).map { _ in Int32(random.integer(below: 4)) }, size: 4))
        func values<Cell: RecurrentCell>(_ cell: Cell) -> (whole: [Float], unrolled: [Float]) {
            let state = cell.zeroState(batch: B)
            return (cell.sequence(x, state).h.value.floats, cell.unrolled(x, state).h.value.floats)
        }
        let (whole, unrolled) = values(kind.make(configuration, 11, RecurrentInitialValues(), &random))
        #expect(whole == unrolled && whole.contains { $0 != 0 })
    }

    @Test(arguments: models.indices)
    func sequenceInParts_withTheStateCarried_equalsTheWhole(index: Int) {
        var configuration = Self.models[index]
        (configuration.keepInput, configuration.keepOutput) = (1, 1)
        (configuration.keepRecurrent, configuration.keepHyperRecurrent) = (1, 1)
        let model = CharacterModel(configuration: configuration, vocabularySize: 11, seed: 4), B = 2
        var data = RandomStream(seed: 3, stream: 5), none: RandomStream?
        let inputs = (0..<10 * B).map { _ in Int32(data.integer(below: 11)) }
        var whole = model.zeroState(batch: B), parts = whole, stepwise = whole
        let all = model.logits(inputs: inputs, batch: B, state: &whole, dropout: &none).value.floats
        let first = model.logits(inputs: Array(inputs[..<(4 * B)]), batch: B, state: &parts, dropout: &none)
        let second = model.logits(inputs: Array(inputs[(4 * B)...]), batch: B, state: &parts, dropout: &none)
        expectClose(
            first.value.floats + second.value.floats, all.map(Double.init), relative: 1e-6, absolute: 1e-6,
            what: "logits in two parts")
        var single: [Float] = []
        let weights = model.packedWeights(batch: B)
        for t in 0..<10 {
            single +=
                model.step(symbols: Array(inputs[t * B..<(t + 1) * B]), state: &stepwise, weights: weights).floats
        }
        expectClose(single, all.map(Double.init), relative: 1e-5, absolute: 1e-5, what: "logits step by step")
    }

    @Test func sameSeed_sameModel_andAnotherSeedAnotherModel() {
        let configuration = Self.models[3]
        func weights(_ seed: UInt64) -> [[Float]] {
            CharacterModel(configuration: configuration, vocabularySize: 11, seed: seed).parameters
                .map { $0.variable.value.floats }
        }
        #expect(weights(1) == weights(1))
        #expect(weights(1) != weights(2))
    }
}

/// `make test` repeats this bundle with other kernels.
struct VectorKernelTests {
    @Test func theKernelsThatTheEnvironmentNamesAreUsed() {
        guard let name = ProcessInfo.processInfo.environment[Kernels.variable] else { return }
        // Where the CPU lacks them others run, and the Makefile looks for these words.
        #expect(
            Kernels.available.contains(name),
            "\(Kernels.variable): expected one of \(Kernels.available.joined(separator: ", ")), found \"\(name)\"")
        #expect(!Kernels.available.contains(name) || ComputeEnvironment.simdName == name)
    }
}
