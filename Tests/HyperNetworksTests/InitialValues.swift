import HyperNetworks
import TestSupport
import Testing

/// Expects a matrix whose rows are orthonormal where there are no more of them than columns, else its columns.
///
/// - Parameter scale: What the matrix was multiplied by after that.
func expectOrthogonal(
    _ matrix: Tensor, scale: Double = 1, sourceLocation: SourceLocation = #_sourceLocation
) {
    // Elements in single precision: sums of up to some hundred products.
    let error = orthogonalityError(
        matrix.floats, rows: matrix.shape[0], columns: matrix.shape[1], scale: scale)
    #expect(error < 1e-5, "of shape \(matrix.shape)", sourceLocation: sourceLocation)
}

/// Root mean square of all elements.
func standardDeviation(_ tensor: Tensor) -> Double {
    (tensor.floats.reduce(0) { $0 + Double($1) * Double($1) } / Double(tensor.count)).squareRoot()
}

/// Expects independent draws with mean 0 and the given standard deviation: five standard errors, 1/√n of it for the
/// mean and 1/√(2n) for itself.
func expectStandardDeviation(
    _ tensor: Tensor, _ expected: Float, sourceLocation: SourceLocation = #_sourceLocation
) {
    let ratio = standardDeviation(tensor) / Double(expected)
    #expect(
        abs(ratio - 1) < 5 / (2 * Double(tensor.count)).squareRoot(), "of shape \(tensor.shape)",
        sourceLocation: sourceLocation)
    let mean = tensor.floats.reduce(0) { $0 + Double($1) } / Double(tensor.count)
    #expect(
        abs(mean) < 5 * Double(expected) / Double(tensor.count).squareRoot(), "of shape \(tensor.shape)",
        sourceLocation: sourceLocation)
}

/// Expects one number everywhere.
func expectConstant(_ tensor: Tensor, _ value: Float, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(tensor.floats.allSatisfy { $0 == value }, "of shape \(tensor.shape)", sourceLocation: sourceLocation)
}
