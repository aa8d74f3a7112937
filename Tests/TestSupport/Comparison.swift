import Testing

/// How an array differs from what was expected.
public enum Mismatch: Equatable, Sendable, CustomStringConvertible {
    /// Another number of elements, or another shape.
    case shape(actual: [Int], expected: [Int])
    /// The worst of the elements that are further off than allowed: where, both values, and how many of all are.
    case element(index: [Int], actual: Double, expected: Double, allowed: Double, failures: Int, count: Int)

    public var description: String {
        switch self {
        case .shape(let actual, let expected):
            return "shape \(actual), expected \(expected)"
        case .element(let index, let actual, let expected, let allowed, let failures, let count):
            let error = abs(actual - expected)
            return "\(failures) of \(count) elements differ; worst at \(index): \(actual), expected \(expected), "
                + "error \(error) (relative \(error / abs(expected))), allowed \(allowed)"
        }
    }
}

/// The worst element that is further from its expected value than `absolute + relative · |expected|`, or nil if there
/// is none.
///
/// Shapes are compared first, then counts. NaN on either side always differs; infinities agree with themselves only.
///
/// - Parameter shape: the shape of `expected`; nil stands for a vector.
/// - Precondition: `expected` has as many elements as `shape` says, and tolerances are not negative.
public func worstMismatch<Value: BinaryFloatingPoint>(
    _ actual: [Value], _ expected: [Double], shape: [Int]? = nil, relative: Double, absolute: Double
) -> Mismatch? {
    let shape = shape ?? [expected.count]
    precondition(expected.count == shape.reduce(1, *), "\(expected.count) expected values for shape \(shape)")
    precondition(relative >= 0 && absolute >= 0, "tolerances \(relative), \(absolute)")
    guard actual.count == expected.count else { return .shape(actual: [actual.count], expected: shape) }

    var worst: (place: Int, excess: Double)?
    var failures = 0
    for place in expected.indices {
        let value = Double(actual[place])
        if value == expected[place] { continue }
        let excess = abs(value - expected[place]) / (absolute + relative * abs(expected[place]))
        // Written so that NaN counts as a failure; an infinite expectation makes the quotient NaN.
        if excess <= 1 { continue }
        failures += 1
        let ranked = excess.isNaN ? .infinity : excess
        if worst.map({ ranked > $0.excess }) ?? true { worst = (place, ranked) }
    }
    guard let worst else { return nil }
    return .element(
        index: multiIndex(worst.place, shape: shape), actual: Double(actual[worst.place]),
        expected: expected[worst.place], allowed: absolute + relative * abs(expected[worst.place]),
        failures: failures, count: expected.count)
}

/// Expects each element within `absolute + relative · |expected|` of its expected value, and reports the worst that is
/// not.
///
/// - Parameter shape: the shape of both, for the index in the report; nil stands for a vector.
/// - Parameter what: the name of the values in the report, for instance `"grad.param.W_h"`.
/// - Parameter sourceLocation: the calling line; leave it out.
public func expectClose<Value: BinaryFloatingPoint>(
    _ actual: [Value], _ expected: [Double], shape: [Int]? = nil, relative: Double, absolute: Double,
    what: String, sourceLocation: SourceLocation = #_sourceLocation
) {
    if let mismatch = worstMismatch(actual, expected, shape: shape, relative: relative, absolute: absolute) {
        Issue.record("\(what): \(mismatch)", sourceLocation: sourceLocation)
    }
}

/// Expects values of the given shape to be those of a fixture under `key`, shape and elements.
///
/// - Parameter shape: the shape of `actual`.
/// - Throws: `SafetensorsError` when the fixture has no such float tensor.
public func expectClose<Value: BinaryFloatingPoint>(
    _ actual: [Value], shape: [Int], _ fixture: Fixture, _ key: String, relative: Double, absolute: Double,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let expectedShape = try fixture.shape(key)
    guard shape == expectedShape else {
        let mismatch = Mismatch.shape(actual: shape, expected: expectedShape)
        Issue.record("\(fixture.name): \(key): \(mismatch)", sourceLocation: sourceLocation)
        return
    }
    expectClose(
        actual, try fixture.doubles(key), shape: shape, relative: relative, absolute: absolute,
        what: "\(fixture.name): \(key)", sourceLocation: sourceLocation)
}

/// The index along each axis of the element at `place` in row-major order.
///
/// - Precondition: `shape` holds more than `place` elements.
public func multiIndex(_ place: Int, shape: [Int]) -> [Int] {
    precondition(place >= 0 && place < shape.reduce(1, *), "no element \(place) in shape \(shape)")
    var rest = place
    var index: [Int] = []
    for length in shape.reversed() {
        index.insert(rest % length, at: 0)
        rest /= length
    }
    return index
}
