/// A question that the paper leaves open, or answers in two ways, and the answer of the runs on characters.
struct CharacterDeviation: Sendable {
    let number: Int
    let question: String
    let answer: String
    /// The key of a configuration that switches it; nil where it cannot be switched.
    let key: String?

    static let all = [
        CharacterDeviation(
            number: 5, question: "which checkpoint is tested",
            answer: "the one with the best validation; the test split is read once, after that", key: nil),
        CharacterDeviation(
            number: 6, question: "ĥ_t or ĥ_{t−1} in Eq. 6 and 11",
            answer: "ĥ_t, as the text of §3.2 and the author's code", key: "deviations.hyperStateForEmbeddings"),
        CharacterDeviation(
            number: 7, question: "forget bias, not in Eq. 9–13", answer: "+1 after layer normalisation, as the author's code",
            key: "deviations.forgetBias"),
        CharacterDeviation(
            number: 8, question: "layer normalisation in the hyper cell when the main cell has none",
            answer: "none, as the author's code", key: "deviations.hyperLayerNorm"),
        CharacterDeviation(
            number: 9, question: "orthogonal initial values for each gate or for the packed matrix",
            answer: "for each gate; W_x too (semi-orthogonal)", key: nil),
        CharacterDeviation(
            number: 10, question: "state between training sequences", answer: "carried, zero at the start of an epoch",
            key: "deviations.carryState"),
        CharacterDeviation(number: 11, question: "clipping 1.0 by norm or by value", answer: "by global norm", key: nil),
        CharacterDeviation(
            number: 12, question: "epsilon of layer normalisation", answer: "0.001, as the author's code",
            key: "deviations.layerNormEpsilon"),
        CharacterDeviation(
            number: 13, question: "number of steps and decay of the rate",
            answer: "stated in each configuration; compared with the paper's curve at equal steps",
            key: "training.steps"),
    ]
}
