import HyperNetworks
import Testing

/// Expects a matrix whose rows are orthonormal where there are no more of them than columns, else its columns.
///
/// - Parameter scale: What the matrix was multiplied by after that.
func expectOrthogonal(
    _ matrix: Tensor, scale: Double = 1, sourceLocation: SourceLocation = #_sourceLocation
) {
    let (rows, columns) = (matrix.shape[0], matrix.shape[1]), values = matrix.floats.map { Double($0) / scale }
    let isWide = rows <= columns, count = min(rows, columns), length = max(rows, columns)
    func element(_ vector: Int, _ index: Int) -> Double {
        isWide ? values[vector * columns + index] : values[index * columns + vector]
    }
    var greatest = 0.0
    for first in 0..<count {
        for second in 0...first {
            let product = (0..<length).reduce(0) { $0 + element(first, $1) * element(second, $1) }
            greatest = max(greatest, abs(product - (first == second ? 1 : 0)))
        }
    }
    // Elements in single precision: sums of up to some hundred products.
    #expect(greatest < 1e-5, "of shape \(matrix.shape)", sourceLocation: sourceLocation)
}

/// Root mean square of all elements.
func standardDeviation(_ tensor: Tensor) -> Double {
    (tensor.floats.reduce(0) { $0 + Double($1) * Double($1) } / Double(tensor.count)).squareRoot()
}

/// Expects draws with mean 0 and the given standard deviation: five standard errors, 1/√(2n) of it.
func expectStandardDeviation(
    _ tensor: Tensor, _ expected: Float, sourceLocation: SourceLocation = #_sourceLocation
) {
    let ratio = standardDeviation(tensor) / Double(expected)
    #expect(
        abs(ratio - 1) < 5 / (2 * Double(tensor.count)).squareRoot(), "of shape \(tensor.shape)",
        sourceLocation: sourceLocation)
}

/// Expects one number everywhere.
func expectConstant(_ tensor: Tensor, _ value: Float, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(tensor.floats.allSatisfy { $0 == value }, "of shape \(tensor.shape)", sourceLocation: sourceLocation)
}
