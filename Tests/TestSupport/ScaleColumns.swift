import Compute

/// x[r, c] · row[c].
///
/// - Parameters:
///   - x: [.., C].
///   - row: [C].
public func scaleColumns(_ x: Variable, by row: Variable) -> Variable {
    // Each row of the second factor is `row`.
    x * addRow(Variable(Tensor(zeros: x.shape)), row)
}
