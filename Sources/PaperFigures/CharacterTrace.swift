import Figures
import Foundation
import HyperNetworks

/// The inside of a character model's first layer while it reads or writes a text, step by step.
public struct CharacterTrace {
    /// The names of the gates in their order.
    public static let gates = ["i", "g", "f", "o"]

    /// The characters read.
    public private(set) var characters: [String] = []
    /// d_h of every step, as the cell used it, [4 H], gate by gate; empty for a model without a HyperLSTM in its first
    /// layer.
    public private(set) var scalings: [[Float]] = []
    /// The last φ of Eq. 13 (Eq. 9): φ(LN(c_t)), or φ(c_t) without layer normalization; all units of all steps. Empty
    /// for a model whose first layer has no cell state c.
    public private(set) var cellOutputs: [Float] = []
    private let model: CharacterModel
    private var isHyper: Bool { model.layers[0] is HyperLSTMCell }
    private var layerNorm: LSTMLayerNorm? {
        ((model.layers[0] as? HyperLSTMCell)?.update ?? (model.layers[0] as? LSTMCell)?.update)?.layerNorm
    }
    /// ĥ after the last step; nil before the first.
    private var lastHyper: Tensor?

    public init(of model: CharacterModel) { self.model = model }

    /// Takes in one step. The steps come in their order, the first of them from the zero state.
    ///
    /// - Parameters:
    ///   - character: What the model read.
    ///   - state: Its state afterwards, of one sequence.
    public mutating func record(_ character: String, _ state: RecurrentState) {
        characters.append(character)
        let tensors = Dictionary(state.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        guard let c = tensors["layer0.c"] else { return }
        withoutGradient {
            let hyperCell = model.layers[0] as? HyperLSTMCell
            if let hyperCell, let ĥ = tensors["layer0.hyper.h"] {
                // Deviation `hyperStateForEmbeddings`: ĥ_t, or ĥ_{t−1}, which is zero before the first step.
                let read = hyperCell.hyperStateForEmbeddings == .current ? ĥ : lastHyper ?? Tensor(zeros: ĥ.shape)
                scalings.append(hyperCell.scaling(Variable(read)).d_h.value.floats)
                lastHyper = ĥ
            }
            cellOutputs += tanh(layerNorm?.cellState(Variable(c)) ?? Variable(c)).value.floats
        }
    }

    /// The first steps alone.
    public func prefix(_ steps: Int) -> CharacterTrace {
        var part = self
        part.characters = Array(characters.prefix(steps))
        part.scalings = Array(scalings.prefix(steps))
        part.cellOutputs = Array(
            cellOutputs.prefix(characters.isEmpty ? 0 : cellOutputs.count / characters.count * steps))
        return part
    }

    /// The change of each gate's recurrent weights in each step, [4][T]: the norm of
    ///
    ///     diag(d_t − d_{t−1}) W_h^y          so √(Σ_r (d_t[r] − d_{t−1}[r])² ‖row r of W_h^y‖²)
    ///
    /// (Figure 4; deviation `gateChangeNorm`). The first step has no step before it: 0.
    public var gateChanges: [[Float]] {
        guard let cell = model.layers[0] as? HyperLSTMCell else { return [] }
        let H = cell.units, weights = cell.W_h.value.floats
        // The paper's row r of W_h^y is our column y·H + r.
        var squares = [Float](repeating: 0, count: 4 * H)
        for row in 0..<H {
            for column in 0..<4 * H {
                let weight = weights[row * 4 * H + column]
                squares[column] += weight * weight
            }
        }
        return (0..<4).map { gate in
            scalings.indices.map { t in
                guard t > 0 else { return 0 }
                return (gate * H..<(gate + 1) * H).reduce(Float(0)) { sum, r in
                    let change = scalings[t][r] - scalings[t - 1][r]
                    return sum + change * change * squares[r]
                }.squareRoot()
            }
        }
    }

    /// Figure 4; nil for a model without a HyperLSTM in its first layer.
    public func figure4(name: String) -> ColoredText? {
        guard !scalings.isEmpty else { return nil }
        let changes = gateChanges
        let betweenWords = Self.changesBetweenWords(characters, changes).map { ratios in
            String(
                format: "; times the mean: blanks %.2f, beginnings of words %.2f", ratios.blanks, ratios.first)
        }
        return ColoredText(
            title: "Figure 4: where the recurrent weights change, \(name)",
            caption: "‖diag(d_t − d_(t−1)) W_h‖ of each gate, under the character read" + (betweenWords ?? ""),
            characters: characters, rowNames: Self.gates, rows: changes)
    }

    /// The mean change of all gates where a space or line feed is read, and where the character after one is read, each
    /// divided by the mean over all characters: the paper sees large changes "in the areas between words" (§4.4), and
    /// does not say whether it draws a change under the character that was read or under the one written next.
    ///
    /// - Returns: Nil for a text without words, or whose changes are 0 or not finite.
    static func changesBetweenWords(
        _ characters: [String], _ changes: [[Float]]
    ) -> (blanks: Float, first: Float)? {
        func isBlank(_ t: Int) -> Bool { [" ", "\n"].contains(characters[t]) }
        // The first character has no step before it.
        let steps = characters.indices.dropFirst()
        func mean(_ steps: some Collection<Int>) -> Float {
            steps.reduce(0) { sum, t in sum + changes.reduce(0) { $0 + $1[t] } } / Float(steps.count)
        }
        let all = mean(steps), blanks = mean(steps.filter(isBlank)) / all
        let first = mean(steps.filter { !isBlank($0) && isBlank($0 - 1) }) / all
        return blanks.isFinite && first.isFinite ? (blanks, first) : nil
    }

    /// Figure 5, one panel a model: those without a hypernetwork first, and of these one without layer normalization.
    public static func figure5(_ traces: [(name: String, trace: CharacterTrace)]) -> Histograms {
        let kinds = [(false, false), (false, true), (true, false), (true, true)]
        let ordered = kinds.flatMap { kind in traces.filter { ($0.trace.isHyper, $0.trace.layerNorm != nil) == kind } }
        return Histograms(
            title: "Figure 5: what h_t is made of while sampling, φ(c_t) or φ(LN(c_t))",
            xLabel: "φ(c), with layer normalization φ(LN(c))", range: -1...1, bins: 50,
            panels: ordered.map { name, trace in
                let values = trace.cellOutputs, saturated = values.count { abs($0) > 0.9 }
                let percent = (100 * Double(saturated) / Double(max(values.count, 1))).rounded()
                return Histograms.Panel(name: "\(name): \(Int(percent)) % beyond ±0.9", values: values)
            })
    }

    /// The weight scaling vector d_h over the text, a picture a gate; nil for a model without a HyperLSTM in its first
    /// layer.
    public func weightScaling(name: String) -> ImageGrid? {
        guard let first = scalings.first else { return nil }
        let H = first.count / 4, T = scalings.count
        let squares = scalings.reduce(Float(0)) { $1.reduce($0) { $0 + $1 * $1 } }
        let limit = 2.5 * (squares / Float(4 * H * T)).squareRoot()
        // With weights that are NaN or infinite there is no limit: all is gray.
        let range: ClosedRange<Float> = limit.isFinite ? -limit...limit : 0...0
        // In the order of their means, so that neighbors are alike; 96 of them at most show what all do.
        let step = max(1, (H + 95) / 96)
        let rows = Self.gates.enumerated().map { gate, gateName in
            let sums = (gate * H..<(gate + 1) * H).map { unit in
                (unit, scalings.reduce(Float(0)) { $0 + $1[unit] })
            }
            let order = sums.sorted { $0.1 < $1.1 }.map { $0.0 }
            let shown = stride(from: 0, to: H, by: step).map { order[$0] }
            var raster = Raster(width: T, height: shown.count)
            for (row, unit) in shown.enumerated() {
                for t in 0..<T { raster[t, row] = Raster.brightness(scalings[t][unit], in: range) }
            }
            return ImageGrid.Row(name: "gate \(gateName)", cells: [ImageGrid.Cell(name: "", image: raster)])
        }
        let bound = String(format: "%.2f", limit)
        return ImageGrid(
            title: "The weight scaling d_h over a passage, \(name)",
            caption: (step == 1 ? "a row for each unit" : "a row for one unit in \(step)")
                + ", in the order of their means; gray is 0, white \(bound) and more,"
                + " black −\(bound) and less; the characters as they were read",
            scale: (10, 1.5), rows: rows, columnNames: characters.map { $0 == "\n" ? "↵" : $0 })
    }
}
