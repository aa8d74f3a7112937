import Figures
import HyperNetworks
import Testing

@testable import PaperFigures

@Suite struct PaperFiguresTests {
    private static func model(_ cell: CellKind, layerNorm: Bool) -> CharacterModel {
        CharacterModel(
            configuration: CharacterModelConfiguration(
                cell: cell, layers: 1, units: 6, layerNorm: layerNorm, hyperUnits: cell == .lstm ? 0 : 3,
                embeddingSize: cell == .lstm ? 0 : 2, keepInput: 1, keepOutput: 1, keepRecurrent: 1,
                keepHyperRecurrent: 1, forgetBias: 1, layerNormEpsilon: 1e-3, hyperStateForEmbeddings: .current,
                hyperLayerNorm: .matchMain),
            vocabularySize: 5, seed: 1)
    }

    private static func wideResNet(_ kernels: KernelSource) -> WideResNetConfiguration {
        WideResNetConfiguration(
            kernels: kernels, blocks: 1, widening: 1, baseWidth: 16, classes: 10, embeddingSize: 64, basicChannels: 16,
            initialValues: .he)
    }

    /// The state of a model of one layer with the given hyper state.
    private static func state(hyper: [Float], c: [Float]) -> RecurrentState {
        RecurrentState(tensors: [
            ("layer0.h", Tensor(zeros: [1, 6])), ("layer0.c", Tensor(c, shape: [1, 6])),
            ("layer0.hyper.h", Tensor(hyper, shape: [1, 3])), ("layer0.hyper.c", Tensor(zeros: [1, 3])),
        ])
    }

    /// ‖diag(d_t) W − diag(d_{t−1}) W‖, with the matrices written out.
    @Test func theChangeOfAGateIsTheNormOfTheChangeOfItsScaledMatrix() throws {
        let model = Self.model(.hyperLSTM, layerNorm: false)
        let cell = try #require(model.layers[0] as? HyperLSTMCell)
        // W_ĥh starts at zero, and then d_h would not depend on the hyper cell.
        cell.W_hhat_h.value.copy(from: (0..<cell.W_hhat_h.value.count).map { Float($0 % 7) / 7 - 0.3 })
        var trace = CharacterTrace(of: model)
        let states: [[Float]] = [[0.1, -0.2, 0.3], [0.5, 0.1, -0.4]]
        for hyper in states { trace.record("a", Self.state(hyper: hyper, c: [0, 1, 2, -1, -2, 0.5])) }

        let d = states.map { hyper in
            withoutGradient { cell.scaling(Variable(Tensor(hyper, shape: [1, 3]))) }.d_h.value.floats
        }
        let W = cell.W_h.value.floats
        for gate in 0..<4 {
            var sum = 0.0
            for i in 0..<6 {
                for r in 0..<6 {
                    let column = gate * 6 + r, weight = Double(W[i * 24 + column])
                    let change = Double(d[1][column]) * weight - Double(d[0][column]) * weight
                    sum += change * change
                }
            }
            #expect(trace.gateChanges[gate][0] == 0)
            // Six float32 sums of six squares each.
            #expect(abs(Double(trace.gateChanges[gate][1]) - sum.squareRoot()) < 1e-5 * max(1, sum.squareRoot()))
            #expect(sum > 0)
        }
    }

    @Test func theCellOutputsAreWhatTheLastEquationTakes() {
        let c: [Float] = [0, 1, 2, -1, -2, 0.5]
        var plain = CharacterTrace(of: Self.model(.lstm, layerNorm: false))
        plain.record("a", Self.state(hyper: [0, 0, 0], c: c))
        let expected = withoutGradient { tanh(Variable(Tensor(c, shape: [1, 6]))) }.value.floats
        #expect(plain.cellOutputs == expected)
        #expect(plain.figure4(name: "") == nil && plain.weightScaling(name: "") == nil)
        var normalized = CharacterTrace(of: Self.model(.lstm, layerNorm: true))
        normalized.record("a", Self.state(hyper: [0, 0, 0], c: c))
        #expect(normalized.cellOutputs != expected)
    }

    @Test func aKernelIsDrawnFilterByFilter() {
        // [2, 2, 1, 2]: two filters side by side; the second is all zero.
        let kernel = Tensor([1, 0, -1, 0, 1, 0, -1, 0], shape: [2, 2, 1, 2])
        let raster = KernelFigures.raster(kernel)
        #expect(raster.width == 4 && raster.height == 2)
        let limit = Float(3 * (0.5).squareRoot())
        let high = Raster.brightness(1, in: -limit...limit), low = Raster.brightness(-1, in: -limit...limit)
        #expect(raster.pixels == [high, low, 128, 128, high, low, 128, 128])
    }

    @Test func thePrincipalAxesOfALineAreTheLine() {
        let vectors = (0..<10).map { [3 * Double($0), 4 * Double($0), 1] }
        let axes = PrincipalAxes(vectors)
        #expect(abs(axes.shares[0] - 1) < 1e-9 && axes.shares[1] < 1e-9)
        let step = axes.coordinate(vectors[1], axis: 0) - axes.coordinate(vectors[0], axis: 0)
        #expect(abs(abs(step) - 5) < 1e-9)
    }

    @Test func theShareBetweenGroupsIsOneWhereGroupsAreSinglePoints() {
        #expect(EmbeddingMap.shareBetween([[[1, 2], [1, 2]], [[3, 0]]]) == 1)
        #expect(EmbeddingMap.shareBetween([[[1, 0], [-1, 0]], [[0, 2], [0, -2]]]) == 0)
    }

    @Test func aNetworkThatOwnsItsKernelsHasNoMap() {
        let owned = WideResNet(
            configuration: Self.wideResNet(.owned), seed: 0)
        let generated = WideResNet(
            configuration: Self.wideResNet(.generated), seed: 0)
        #expect(EmbeddingMap.figure(of: owned, name: "") == nil)
        let map = EmbeddingMap.figure(of: generated, name: "")
        // One 16 × 16 kernel is one embedding, 16 × 32 two, 32 × 32 four, 32 × 64 eight, 64 × 64 sixteen.
        #expect(map?.groups.map(\.points.count) == [2, 6, 24])
    }
}
