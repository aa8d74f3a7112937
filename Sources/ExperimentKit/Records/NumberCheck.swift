/// Checks that the numbers of a record, a log or a state are ones that a run can have written: readers divide by them,
/// plot them and allocate memory by them.
struct NumberCheck {
    /// The file, with the number of the line where each line has numbers of its own.
    let path: String

    /// More than any run counts, and little enough to be multiplied by ten.
    static let most = 1_000_000_000_000_000

    /// A whole number from `least`; nil is in order.
    func count(
        _ key: String, _ number: Int?, from least: Int = 0, upTo most: Int = NumberCheck.most
    ) throws(RecordError) {
        guard let number, number < least || number > most else { return }
        throw .unreadable(
            path: path,
            reason: "'\(key)' expected a whole number from \(grouped(least)) to \(grouped(most)), found \(number)")
    }

    /// A duration, up to thirty thousand years; nil is in order.
    func seconds(_ key: String, _ number: Double?) throws(RecordError) { try real(key, number, in: 0...1e12) }

    /// A number that is computed in single precision, whose greatest is 3.4 · 10³⁸; nil is in order.
    func figure(_ key: String, _ number: Double?) throws(RecordError) { try real(key, number, in: -1e39...1e39) }

    private func real(_ key: String, _ number: Double?, in range: ClosedRange<Double>) throws(RecordError) {
        guard let number, !range.contains(number) else { return }
        throw .unreadable(
            path: path,
            reason: "'\(key)' expected a number from \(range.lowerBound) to \(range.upperBound), found \(number)")
    }

    /// A split with all its figures; nil is in order.
    func split(_ key: String, _ split: SplitEvaluation?) throws(RecordError) {
        guard let split else { return }
        try figure("\(key).lossNats", split.lossNats)
        try figure("\(key).bits", split.bits)
        try count("\(key).predictions", split.predictions, from: 1)
        try count("\(key).wrong", split.wrong, upTo: split.predictions)
        try count("\(key).streams", split.streams, from: 1, upTo: split.predictions)
        try seconds("\(key).seconds", split.seconds)
        for (name, number) in split.figures ?? [:] { try figure("\(key).figures.\(name)", number) }
    }
}
