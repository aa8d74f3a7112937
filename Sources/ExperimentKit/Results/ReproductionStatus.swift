/// Whether our figure reproduces the paper's; computed, never chosen.
enum ReproductionStatus: Equatable, Sendable {
    case notRun
    /// Some run of the row is under way or was stopped: at `step` of `steps`.
    case incomplete(step: Int, steps: Int)
    /// Run on other data than the paper's.
    case otherData(name: String)
    /// Fewer steps than the paper's, a smaller model, or a file whose budget is not called `paper`: no verdict.
    case reducedBudget
    /// Full settings at the end, and others for a part of the steps: no verdict.
    case changedUnderWay
    /// The paper has no number for the row.
    case noPaperNumber
    case reproduced(difference: Double, tolerance: Double)
    case notReproduced(difference: Double, tolerance: Double)

    /// Compares a mean test figure with the paper's: reproduced where they differ by at most `tolerance`.
    init(mean: Double, paper: Double, tolerance: Double) {
        let difference = mean - paper
        // The figures are decimal fractions; in binary their difference has a rounding error, hence the 1e-9. A NaN is
        // within no tolerance.
        self =
            abs(difference) <= tolerance + 1e-9
            ? .reproduced(difference: difference, tolerance: tolerance)
            : .notReproduced(difference: difference, tolerance: tolerance)
    }

    /// - Parameter decimals: Of a difference: as many as the figures that it is taken of have.
    func text(decimals: Int) -> String {
        switch self {
        case .notRun: return "not run"
        case .incomplete(let step, let steps): return "incomplete (step \(grouped(step)) of \(grouped(steps)))"
        case .otherData(let name): return "other data: \(name)"
        case .reducedBudget: return "reduced budget"
        case .changedUnderWay: return "settings changed under way"
        case .noPaperNumber: return "run; no number in the paper"
        case .reproduced(let difference, let tolerance):
            return "reproduced (\(signed(difference, decimals)), within ±\(Self.text(tolerance)))"
        case .notReproduced(let difference, let tolerance):
            return "not reproduced (\(signed(difference, decimals)), tolerance ±\(Self.text(tolerance)))"
        }
    }

    /// With two decimals, or as many as it has.
    private static func text(_ tolerance: Double) -> String {
        let two = fixed(tolerance, 2)
        return Double(two) == tolerance ? two : "\(tolerance)"
    }
}

extension ReproductionStatus {
    /// Compares the finished runs of a row, at its full settings, with the paper's figure.
    ///
    /// - Parameter dataName: The data that the paper's figure is of.
    init(of records: [RunRecord], row: ReproducedRow, dataName: String?, metric: Metric) {
        if records.isEmpty {
            self = .notRun
        } else if let open = records.first(where: { $0.status != .finished }) {
            self = .incomplete(step: open.training.stepsDone, steps: open.training.stepsPlanned)
        } else if let other = records.first(where: { $0.data.name != dataName }) {
            self = .otherData(name: other.data.displayName)
        } else if records.contains(where: { !$0.differences.isEmpty || $0.budget != "paper" }) {
            self = .reducedBudget
        } else if records.contains(where: { $0.changes != nil }) {
            self = .changedUnderWay
        } else if let paper = row.test {
            let test = SeedStatistics(records.compactMap { $0.test.flatMap(metric.value) })
            self = test.map { ReproductionStatus(mean: $0.mean, paper: paper, tolerance: row.tolerance) } ?? .notRun
        } else {
            self = .noPaperNumber
        }
    }
}
