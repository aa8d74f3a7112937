import HyperNetworks
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

/// The line that names the cell.
private let hyperGRU = CellKind("hyper-gru", features: [.hyperCell]) { settings, inputs, _, random in
    HyperGRUCell(inputs: inputs, units: settings.units, hyperUnits: settings.hyperUnits, random: &random)
}

/// A cell that this suite does not have trains from one file (`HyperGRUCell.swift`), one line that names it, and one
/// fixture.
@Suite struct NewCellTests {
    init() { CellKind.register(hyperGRU) }

    private static let overrides = [
        "model.cell=hyper-gru", "model.layers=2", "model.layerNorm=false", "model.keepRecurrent=1",
        "model.keepHyperRecurrent=1",
    ]

    /// Single precision against double through five steps, sums of at most a hundred products of numbers of order 1:
    /// 2^-24 relative each, times a few.
    @Test func valuesAndAllGradientsAreThoseOfPyTorch() throws {
        let fixture = try Fixture.load("hyper_gru")
        func variable(_ key: String) throws -> Variable {
            Variable(Tensor(try fixture.floats(key), shape: try fixture.shape(key)), requiresGradient: true)
        }
        func gates(_ prefix: String) throws -> HyperGRUCell.Gates {
            HyperGRUCell.Gates(
                W_x: try variable("\(prefix)W_x"), W_h: try variable("\(prefix)W_h"), b: try variable("\(prefix)b"))
        }
        let cell = HyperGRUCell(
            main: try gates("param."), hyper: try gates("param.hyper."), W_d: try variable("param.W_d"),
            b_d: try variable("param.b_d"))
        let state = HyperRNNState(
            main: RNNState(h: try variable("in.h0")), hyper: RNNState(h: try variable("in.hyper_h0")))
        let symbols = try fixture.ints("in.symbols").map { Int32($0) }
        let result = cell.sequence(.oneHot(symbols, size: cell.inputs), state)
        let outputs = [("out.h", result.h), ("out.hT", result.last.h), ("out.hyper_hT", result.last.hyper.h)]
        let terms = try outputs.map { key, output in
            try expectClose(
                output.value.floats, shape: output.shape, fixture, key, relative: 2e-5, absolute: 2e-6)
            let cotangent = Tensor(try fixture.floats("cotangent.\(key)"), shape: output.shape)
            return sum(output * Variable(cotangent))
        }
        terms.dropFirst().reduce(terms[0], +).backward()
        let leaves =
            cell.parameters.map { ("param.\($0.name)", $0.variable) } + [
                ("in.h0", state.main.h), ("in.hyper_h0", state.hyper.h),
            ]
        #expect(Set(leaves.map { "grad.\($0.0)" }) == Set(fixture.keys("grad.")))
        for (key, leaf) in leaves {
            try expectClose(
                try #require(leaf.gradient).floats, shape: leaf.shape, fixture, "grad.\(key)", relative: 2e-5,
                absolute: 2e-5)
        }
    }

    @Test func trainsThroughTheOrdinaryPathAndItsLossFalls() throws {
        let run = try TestRun(overrides: Self.overrides), training = try run.finished()
        let losses = try StepLog.read(training.folder.appendingPathComponent("steps.jsonl")).compactMap(\.lossNats)
        #expect(losses.count == 40 && losses[39] < 0.8 * losses[0], "\(losses[0]) to \(losses[39])")
        #expect(
            training.record.parameterCount
                == (try run.configuration).model.parameterCount(vocabularySize: run.data.vocabulary.count))
        #expect(training.record.test != nil)
    }

    @Test func resumedHalfway_itEndsAsIfItHadNotBeenInterrupted() throws {
        try TestRun(overrides: Self.overrides).expectSameEnd(resumedAt: 13)
    }

    @Test func itsCheckpointWritesText() throws {
        let run = try TestRun(overrides: Self.overrides + ["training.steps=2"]), training = try run.finished()
        let trained = try TrainedCharacterModel(try Checkpoint(at: training.folder))
        #expect(try trained.sample(prompt: "she", length: 20, temperature: 1, seed: 1).count == 20)
    }

    @Test(arguments: [
        ("model.keepRecurrent=0.9", "1 for the cell 'hyper-gru', which has no recurrent dropout"),
        ("model.layerNorm=true", "false for the cell 'hyper-gru', which has no layer normalization"),
        ("model.hyperUnits=0", "a whole number from 1 to 65536"),
        ("deviations.forgetBias=0", "'deviations.forgetBias' expects 1 for the cell 'hyper-gru'"),
        ("deviations.hyperLayerNorm=always", "which has no layer-normalized hyper cell"),
        ("deviations.scalingInitialValues=distinct", "which has no rows scaled by embeddings"),
        ("deviations.layerNormEpsilon=0.1", "0.001 for a model that normalizes nothing"),
    ])
    func aPartThatTheCellLacksIsRefused(override: String, expected: String) throws {
        let run = try TestRun(overrides: Self.overrides + [override])
        do {
            _ = try run.configuration
            Issue.record("accepted")
        } catch {
            #expect("\(error)".contains(expected), "\(error)")
        }
    }
}
