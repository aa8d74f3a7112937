/// The largest |q_i · q_j − δ_ij| over the rows of a matrix, or over its columns where those are fewer; infinite where
/// a product is not a number.
///
/// - Parameters:
///   - values: Row by row.
///   - scale: What the matrix was multiplied by.
public func orthogonalityError(_ values: [Float], rows: Int, columns: Int, scale: Double = 1) -> Double {
    let isWide = rows <= columns, count = min(rows, columns), length = max(rows, columns)
    func element(_ vector: Int, _ index: Int) -> Double {
        Double(isWide ? values[vector * columns + index] : values[index * columns + vector]) / scale
    }
    var worst = 0.0
    for i in 0..<count {
        for j in 0...i {
            let product = (0..<length).reduce(0) { $0 + element(i, $1) * element(j, $1) }
            let error = abs(product - (i == j ? 1 : 0))
            worst = error.isNaN ? .infinity : max(worst, error)
        }
    }
    return worst
}
