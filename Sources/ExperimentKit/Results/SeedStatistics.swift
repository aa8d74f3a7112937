/// Mean and sample standard deviation of a figure over seeds.
struct SeedStatistics: Equatable, Sendable {
    let mean: Double
    /// With n − 1 in the denominator; nil for a single seed.
    let standardDeviation: Double?
    let count: Int

    /// - Returns: Nil for no values.
    init?(_ values: [Double]) {
        guard !values.isEmpty else { return nil }
        count = values.count
        let mean = values.reduce(0, +) / Double(values.count)
        self.mean = mean
        standardDeviation =
            values.count < 2
            ? nil : (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
    }

    /// `1.2503`, or `1.2503 ± 0.0021 (n = 3)`.
    func text(decimals: Int) -> String {
        guard let standardDeviation else { return fixed(mean, decimals) }
        return "\(fixed(mean, decimals)) ± \(fixed(standardDeviation, decimals)) (n = \(count))"
    }
}
