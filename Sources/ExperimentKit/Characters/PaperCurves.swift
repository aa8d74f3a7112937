/// The paper's own training curves: validation bits per character against training steps.
///
/// Read off vector figures, ±0.005: for Penn Treebank the author's published training plot (HyperLSTM, 1000 units, batch
/// 128 × 100 characters; the best point is at step 37,000), for enwik8 Figure 6.
public struct PaperCurve: Sendable {
    public let title: String
    /// Steps, ascending, and bits per character.
    public let points: [(step: Int, bits: Double)]

    /// The curve at a step, linear between its points; nil before the first and after the last.
    public func bits(atStep step: Int) -> Double? {
        guard let next = points.firstIndex(where: { $0.step >= step }) else { return nil }
        if points[next].step == step { return points[next].bits }
        guard next > 0 else { return nil }
        let (left, right) = (points[next - 1], points[next])
        let part = Double(step - left.step) / Double(right.step - left.step)
        return left.bits + part * (right.bits - left.bits)
    }

    /// The curve of a row of a table, where the paper draws one.
    public static func curve(table: CharacterTable, row: Int) -> PaperCurve? {
        switch (table, row) {
        case (.table3, 5), (.table3, 6): return pennTreebank
        case (.table4, 1): return enwik8LSTM
        case (.table4, 3): return enwik8LayerNormLSTM
        case (.table4, 4): return enwik8HyperLSTM
        case (.table4, 5): return enwik8LayerNormHyperLSTM
        default: return nil
        }
    }

    public static let pennTreebank = PaperCurve(
        title: "author's plot, HyperLSTM 1000",
        points: [
            (500, 1.79), (1000, 1.63), (2000, 1.5), (3000, 1.45), (4000, 1.41), (5000, 1.39), (6000, 1.37),
            (8000, 1.34), (10000, 1.33), (15000, 1.31), (20000, 1.3), (30000, 1.29), (37000, 1.282),
        ])

    public static let enwik8LSTM = PaperCurve(
        title: "Figure 6, LSTM",
        points: [
            (1440, 2.25), (1500, 2.208), (2010, 2.035), (2510, 1.935), (3000, 1.861), (3510, 1.858), (4010, 1.806),
            (4500, 1.775), (5010, 1.747), (5510, 1.725), (6000, 1.705), (6510, 1.687), (7010, 1.666), (10010, 1.587),
            (13010, 1.54), (16010, 1.514), (19010, 1.497), (22010, 1.483), (25000, 1.484), (28000, 1.474),
            (31000, 1.469), (34000, 1.469), (37000, 1.463), (40000, 1.463), (43000, 1.458), (46000, 1.458),
            (49000, 1.454), (52000, 1.455), (55000, 1.454), (58000, 1.455), (61000, 1.464), (64000, 1.467),
            (67000, 1.461), (70000, 1.462), (73000, 1.46), (76000, 1.46), (79000, 1.461),
        ])

    public static let enwik8LayerNormLSTM = PaperCurve(
        title: "Figure 6, Layer Norm LSTM",
        points: [
            (4620, 2.25), (5010, 2.168), (5510, 2.087), (6000, 2.013), (6510, 1.959), (7010, 1.909), (7500, 1.87),
            (8010, 1.83), (8510, 1.799), (9000, 1.776), (9510, 1.748), (10010, 1.728), (10500, 1.708),
            (13510, 1.616), (16510, 1.551), (19510, 1.512), (22510, 1.481), (25510, 1.458), (28510, 1.447),
            (31510, 1.436), (34500, 1.426), (37500, 1.421), (40500, 1.416), (43500, 1.409), (46500, 1.408),
            (49500, 1.402), (52500, 1.403), (55500, 1.4), (58500, 1.396), (61500, 1.395), (64500, 1.392),
            (67500, 1.396), (70500, 1.395), (73500, 1.395), (76500, 1.394), (79500, 1.393),
        ])

    public static let enwik8HyperLSTM = PaperCurve(
        title: "Figure 6, HyperLSTM",
        points: [
            (510, 2.015), (1010, 1.861), (1500, 1.788), (2010, 1.741), (2510, 1.709), (3000, 1.68), (3510, 1.659),
            (4010, 1.64), (4500, 1.623), (5010, 1.605), (5510, 1.596), (6000, 1.582), (6510, 1.573), (9510, 1.529),
            (12500, 1.501), (15500, 1.481), (18500, 1.462), (21500, 1.45), (24510, 1.443), (27510, 1.432),
            (30510, 1.431), (33500, 1.421), (36500, 1.418), (39500, 1.415), (42500, 1.41), (45500, 1.409),
            (48500, 1.403), (51500, 1.401), (54500, 1.398), (57500, 1.399), (60500, 1.393), (63500, 1.395),
            (66500, 1.393), (69500, 1.394), (72500, 1.396), (75500, 1.393), (78500, 1.388),
        ])

    public static let enwik8LayerNormHyperLSTM = PaperCurve(
        title: "Figure 6, Layer Norm HyperLSTM",
        points: [
            (510, 2.247), (1010, 1.978), (1500, 1.877), (2010, 1.813), (2510, 1.765), (3000, 1.73), (3510, 1.701),
            (4010, 1.672), (4500, 1.657), (5010, 1.636), (5510, 1.617), (6000, 1.605), (6510, 1.587), (9510, 1.526),
            (12500, 1.487), (15500, 1.459), (18500, 1.437), (21500, 1.426), (24510, 1.414), (27510, 1.406),
            (30510, 1.398), (33500, 1.395), (36500, 1.391), (39500, 1.389), (42500, 1.389), (45500, 1.389),
            (48500, 1.381), (51500, 1.382), (54500, 1.381), (57500, 1.378), (60500, 1.377), (63500, 1.375),
            (66500, 1.372), (69500, 1.372), (72500, 1.371), (75500, 1.369), (78500, 1.367),
        ])
}
