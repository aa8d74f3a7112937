import Figures
import Foundation
import HyperNetworks
import Testing

@testable import PaperFigures

@Suite struct PaperFiguresTests {
    private static func model(
        _ cell: CellKind, layerNorm: Bool, hyperStateForEmbeddings: HyperStateForEmbeddings = .current
    ) -> CharacterModel {
        CharacterModel(
            configuration: CharacterModelConfiguration(
                cell: cell, layers: 1, units: 6, layerNorm: layerNorm, hyperUnits: cell == .lstm ? 0 : 3,
                embeddingSize: cell == .lstm ? 0 : 2, keepInput: 1, keepOutput: 1, keepRecurrent: 1,
                keepHyperRecurrent: 1, forgetBias: 1, layerNormEpsilon: 1e-3,
                hyperStateForEmbeddings: hyperStateForEmbeddings, hyperLayerNorm: .matchMain),
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

    /// A part of a state.
    private static func part(_ name: String, of state: RecurrentState) throws -> Variable {
        let tensor = state.tensors.first { $0.name == name }?.tensor
        return Variable(try #require(tensor))
    }

    /// Eq. 12 and 13 with the trace's d_h lead to the h_t that the model reached, and with that of another step do not.
    @Test(arguments: HyperStateForEmbeddings.allCases)
    func theScalingsAreThoseThatTheCellUsed(source: HyperStateForEmbeddings) throws {
        let model = Self.model(.hyperLSTM, layerNorm: false, hyperStateForEmbeddings: source)
        let cell = try #require(model.layers[0] as? HyperLSTMCell)
        // So that d_h depends strongly on ĥ, and h_t on d_h.
        cell.W_hhat_h.value.copy(from: (0..<cell.W_hhat_h.value.count).map { 3 * Float($0 % 7) - 6 })
        cell.W_x.value.copy(from: cell.W_x.value.floats.map { 10 * $0 })
        let weights = model.packedWeights(batch: 1)
        var trace = CharacterTrace(of: model), state = model.zeroState(batch: 1)
        for (t, symbol) in [0, 3, 1, 4].enumerated() {
            let h = try Self.part("layer0.h", of: state), c = try Self.part("layer0.c", of: state)
            _ = model.step(symbols: [Int32(symbol)], state: &state, weights: weights)
            trace.record("a", state)
            let reached = try Self.part("layer0.h", of: state).value.floats
            /// The largest distance from h_t of what a d_h leads to.
            func distance(_ d_h: [Float]) -> Float {
                let found = withoutGradient {
                    // With their initial values W_ĥx and W_bz make d_x 0.1 and b 0, whatever ĥ is.
                    let x = affine(rows(cell.W_x, symbol..<symbol + 1), scale: 0.1)
                    let y = Variable(Tensor(d_h, shape: [1, 24])) * matmul(h, cell.W_h) + x
                    return cell.update(y, c: c, mask: nil).h.value.floats
                }
                return zip(found, reached).map { abs($0 - $1) }.max() ?? .infinity
            }
            // A few roundings of numbers below 1.
            #expect(distance(trace.scalings[t]) < 1e-6)
            if t > 0 { #expect(distance(trace.scalings[t - 1]) > 1e-5) }
        }
        // ĥ_0 = 0 makes z_h its bias, 1.
        if source == .previous { #expect(trace.scalings[0].allSatisfy { abs($0 - 0.1) < 1e-6 }) }
    }

    /// Of the steps after the first, those that read a space or an end of line, and those right behind one, beside all.
    @Test func theChangesBetweenWordsAreInTheMeanOfAllCharacters() {
        // Blanks (3 + 1 + 5 + 3) / 2, the c behind one (1 + 1) / 1, all (1 + 1 + 3 + 1 + 1 + 1 + 5 + 3) / 4, over two
        // gates.
        let changes: [[Float]] = [[9, 1, 3, 1, 5], [9, 1, 1, 1, 3]]
        let ratios = CharacterTrace.changesBetweenWords(["a", "b", " ", "c", "\n"], changes)
        #expect(ratios?.blanks == 1.5 && ratios?.first == 0.5)
        #expect(CharacterTrace.changesBetweenWords(["a", "b"], [[0, 1], [0, 1]]) == nil)
        #expect(CharacterTrace.changesBetweenWords([" ", " "], [[0, 0], [0, 0]]) == nil)
    }

    @Test func aPictureOfPixelsComesBackFromItsFile() throws {
        var raster = Raster(width: 5, height: 3)
        for y in 0..<3 { for x in 0..<5 { raster[x, y] = UInt8(40 * x + 7 * y) } }
        let read = try #require(Raster(png: raster.png))
        #expect(read.pixels == raster.pixels && read.agrees(with: raster))
        var other = raster
        other[2, 1] += 1
        #expect(other.agrees(with: raster))
        other[2, 1] += 1
        #expect(!other.agrees(with: raster) && !Raster(width: 3, height: 5).agrees(with: raster))
        #expect(Raster(png: Array(raster.png.dropLast(30))) == nil && Raster(png: [1, 2]) == nil)
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

    @Test func theCellOutputsAreWhatTheLastEquationTakes() throws {
        let c: [Float] = [0, 1, 2, -1, -2, 0.5]
        var plain = CharacterTrace(of: Self.model(.lstm, layerNorm: false))
        plain.record("a", Self.state(hyper: [0, 0, 0], c: c))
        let expected = withoutGradient { tanh(Variable(Tensor(c, shape: [1, 6]))) }.value.floats
        #expect(plain.cellOutputs == expected)
        #expect(plain.figure4(name: "") == nil && plain.weightScaling(name: "") == nil)
        let model = Self.model(.lstm, layerNorm: true)
        let norm = try #require((model.layers[0] as? LSTMCell)?.update.layerNorm)
        let gamma: [Float] = [1, 0.5, 2, -1, 1.5, 0.7], beta: [Float] = [0, 0.1, -0.2, 0.3, 0, 1]
        norm.gamma_c.value.copy(from: gamma)
        norm.beta_c.value.copy(from: beta)
        var normalized = CharacterTrace(of: model)
        normalized.record("a", Self.state(hyper: [0, 0, 0], c: c))
        let mean = c.reduce(0, +) / 6, variance = c.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 6
        for n in 0..<6 {
            let inner = Double(gamma[n] * (c[n] - mean) / (variance + 1e-3).squareRoot() + beta[n])
            // A few roundings of numbers below 4, which φ makes smaller.
            #expect(abs(Double(normalized.cellOutputs[n]) - tanh(inner)) < 1e-6, "unit \(n)")
        }
    }

    /// The paper's order: without and with layer normalization, then the same of the HyperLSTM; and each one's share of
    /// saturated units.
    @Test func figure5HasItsPanelsInOrderWithTheShareBeyondNineTenths() {
        let kinds: [(name: String, cell: CellKind, layerNorm: Bool)] = [
            ("d", .hyperLSTM, true), ("a", .lstm, false), ("c", .hyperLSTM, false), ("b", .lstm, true),
        ]
        let traces = kinds.map { kind in
            var trace = CharacterTrace(of: Self.model(kind.cell, layerNorm: kind.layerNorm))
            trace.record("x", Self.state(hyper: [0, 0, 0], c: [9, -9, 9, 0, 0.1, 0.2]))
            return (kind.name, trace)
        }
        let panels = CharacterTrace.figure5(traces).panels
        #expect(panels.map { $0.name.prefix(1) } == ["a", "b", "c", "d"])
        #expect(panels[0].name == "a: 50 % beyond ±0.9" && panels[2].name == "c: 50 % beyond ±0.9")
        #expect(panels.allSatisfy { $0.values.count == 6 })
    }

    /// The units of a gate stand in the order of their means, the least above; each is a row of pixels over the steps.
    @Test func theScalingsOfAGateAreDrawnInTheOrderOfTheirMeans() throws {
        let model = Self.model(.hyperLSTM, layerNorm: false)
        let cell = try #require(model.layers[0] as? HyperLSTMCell)
        cell.W_hhat_h.value.copy(from: (0..<cell.W_hhat_h.value.count).map { Float($0 % 7) / 7 - 0.3 })
        cell.W_hz.value.copy(from: (0..<cell.W_hz.value.count).map { Float($0 % 5) / 5 - 0.4 })
        var trace = CharacterTrace(of: model)
        for hyper: [Float] in [[0.1, -0.2, 0.3], [0.5, 0.1, -0.4]] {
            trace.record("a", Self.state(hyper: hyper, c: [0, 1, 2, -1, -2, 0.5]))
        }
        let grid = try #require(trace.weightScaling(name: ""))
        #expect(grid.rows.map(\.name) == ["gate i", "gate g", "gate f", "gate o"])
        let squares = trace.scalings.joined().reduce(0) { $0 + $1 * $1 }
        let limit = 2.5 * (squares / 48).squareRoot()
        for (gate, row) in grid.rows.enumerated() {
            let units = (gate * 6..<gate * 6 + 6).sorted {
                trace.scalings[0][$0] + trace.scalings[1][$0] < trace.scalings[0][$1] + trace.scalings[1][$1]
            }
            let expected = units.flatMap { unit in
                trace.scalings.map { Raster.brightness($0[unit], in: -limit...limit) }
            }
            #expect(Set(expected).count > 3 && row.cells[0].image.pixels == expected, "\(row.name)")
        }
    }

    @Test func theLayersAreCalledByThePapersGroups() {
        let names = [0, 11, 12, 35].map { KernelFigures.layerName($0, perGroup: 12) }
        #expect(names == ["conv2.1", "conv2.12", "conv3.1", "conv4.12"])
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

    /// NaN and infinity, and a number so large that the range of brightness is not finite.
    @Test func weightsWithoutAFiniteRangeAreDrawnGray() throws {
        for number in [Float.nan, .infinity, 2e38] {
            let kernel = Tensor([number, 1, -1, 0.5], shape: [2, 2, 1, 1])
            #expect(KernelFigures.raster(kernel).pixels == [128, 128, 128, 128], "\(number)")
            let model = Self.model(.hyperLSTM, layerNorm: false)
            let cell = try #require(model.layers[0] as? HyperLSTMCell)
            cell.W_hhat_h.value.fill(number)
            var trace = CharacterTrace(of: model)
            trace.record("a", Self.state(hyper: [0.1, 0.2, 0.3], c: [0, 1, 2, -1, -2, 0.5]))
            let images = try #require(trace.weightScaling(name: "")).rows.flatMap(\.cells).map(\.image)
            #expect(images.count == 4)
            for image in images { #expect(image.pixels.allSatisfy { $0 == 128 }, "\(number)") }
        }
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
