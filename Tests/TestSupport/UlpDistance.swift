/// Distance of a single-precision value from its exact value, in units in the last place of the exact value.
///
/// A correctly rounded result is at most 0.5 away. Below the normal range the unit is the smallest subnormal number.
/// NaN for NaN, and an infinity for what rounds to it, are exact; NaN against a number is infinitely far. An infinity
/// that should be finite counts as 2^128, the number that would come next.
///
/// - Parameter reference: the exact value, in practice computed in double precision.
public func ulpDistance(_ value: Float, _ reference: Double) -> Double {
    if value.isNaN || reference.isNaN { return value.isNaN && reference.isNaN ? 0 : .infinity }
    let rounded = Float(reference)
    if value == rounded && value.isInfinite { return 0 }
    if reference.isInfinite { return .infinity }

    // Exponents of the smallest subnormal number's unit and of the largest finite number's.
    let exponent = reference == 0 ? -149 : min(104, max(-149, Int(reference.exponent) - 23))
    let unit = Double(sign: .plus, exponent: exponent, significand: 1)
    let infinity = Double(sign: value.sign, exponent: 128, significand: 1)
    return abs((value.isInfinite ? infinity : Double(value)) - reference) / unit
}

/// The largest distance of `values` from `references` in units in the last place, and where it is; nil for no values.
///
/// - Precondition: as many references as values.
public func worstUlpDistance(_ values: [Float], _ references: [Double]) -> (ulps: Double, index: Int)? {
    precondition(values.count == references.count, "\(values.count) values for \(references.count) references")
    var worst: (ulps: Double, index: Int)?
    for (index, pair) in zip(values, references).enumerated() {
        let ulps = ulpDistance(pair.0, pair.1)
        if worst.map({ ulps > $0.ulps }) ?? true { worst = (ulps, index) }
    }
    return worst
}
