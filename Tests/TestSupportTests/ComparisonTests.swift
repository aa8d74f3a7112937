import TestSupport
import Testing

struct ComparisonTests {
    private func worst(
        _ actual: [Float], _ expected: [Double], shape: [Int]? = nil, relative: Double = 0, absolute: Double = 0.1
    ) -> Mismatch? {
        worstMismatch(actual, expected, shape: shape, relative: relative, absolute: absolute)
    }

    @Test func equalValuesAgreeWithoutAnyTolerance() {
        #expect(worst([0, 1, -.infinity], [0, 1, -.infinity], absolute: 0) == nil)
        #expect(worst([], [], absolute: 0) == nil)
    }

    @Test func anotherCountDiffersBeforeAnyElementIsLookedAt() {
        #expect(worst([1, 2, 3], [9, 9]) == .shape(actual: [3], expected: [2]))
        #expect(worst([], [1]) == .shape(actual: [0], expected: [1]))
        #expect(worst([1], [1, 1, 1, 1], shape: [2, 2]) == .shape(actual: [1], expected: [2, 2]))
    }

    @Test func theWorstElementIsReportedWithItsIndex() {
        #expect(
            worst([0, 0.5, 0, 0, 3, 0.25], [0, 0, 0, 0, 1, 0], shape: [2, 3])
                == .element(index: [1, 1], actual: 3, expected: 1, allowed: 0.1, failures: 3, count: 6))
    }

    @Test func theWorstIsMeasuredInWhatEachElementIsAllowed() {
        #expect(
            worst([1010, 1.5], [1000, 1], relative: 0.005, absolute: 0)
                == .element(index: [1], actual: 1.5, expected: 1, allowed: 0.005, failures: 2, count: 2))
    }

    @Test func anErrorWithinTheToleranceAgreesAndOneJustBeyondDiffers() {
        #expect(worst([1.5], [1], relative: 0, absolute: 0.5) == nil)
        #expect(worst([1.5], [1], relative: 0.25, absolute: 0.25) == nil)
        #expect(worst([1.5], [1], relative: 0, absolute: 0.4999) != nil)
        #expect(worst([0.5], [1], relative: 0, absolute: 0.4999) != nil)
    }

    @Test func notANumberAlwaysDiffers() {
        #expect(worst([.nan], [1], absolute: 1e9) != nil)
        #expect(worst([1], [.nan], absolute: 1e9) != nil)
        #expect(worst([.nan], [.nan], absolute: 1e9) != nil)
        // Also behind a larger finite error, and in front of one.
        for values in [[1e30, Float.nan], [Float.nan, 1e30]] {
            guard case .element(_, _, _, _, failures: 2, _) = worst(values, [0, 0]) else {
                Issue.record("\(values)")
                continue
            }
        }
    }

    @Test func anInfinityDiffersFromEverythingElse() {
        #expect(worst([.infinity], [1], relative: 1, absolute: 1e9) != nil)
        #expect(worst([1], [.infinity], relative: 1, absolute: 1e9) != nil)
        #expect(worst([.infinity], [-.infinity], relative: 1, absolute: 1e9) != nil)
    }

    @Test func expectCloseFailsWhereTheValuesDiffer() {
        expectClose([Float(1)], [1], relative: 0, absolute: 0, what: "equal")
        withKnownIssue { expectClose([Float(1)], [2], relative: 0.1, absolute: 0.1, what: "different") }
        withKnownIssue { expectClose([Float.nan], [2], relative: 0.1, absolute: 0.1, what: "not a number") }
        withKnownIssue { expectClose([1, 2], [1], relative: 1, absolute: 1, what: "two for one") }
    }

    @Test func theReportNamesTheValuesTheIndexAndBothNumbers() {
        withKnownIssue {
            expectClose([0, 2.5], [0, 1.0], shape: [1, 2], relative: 0, absolute: 0.1, what: "grad.W")
        } matching: { issue in
            let text = issue.comments.map(\.rawValue).joined()
            let parts = ["grad.W", "1 of 2", "[0, 1]", "2.5", "1.0", "error 1.5", "allowed 0.1"]
            return parts.allSatisfy { text.contains($0) }
        }
    }

    @Test func multiIndexCountsRowMajor() {
        let all = (0..<6).map { multiIndex($0, shape: [2, 3]) }
        #expect(all == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
        #expect(multiIndex(23, shape: [2, 3, 4]) == [1, 2, 3])
        #expect(multiIndex(0, shape: []) == [])
    }
}

struct UlpDistanceTests {
    @Test func neighborsAreOneUnitApart() {
        for value: Float in [1.25, 1.5, -3, 1e-20, 1e20, .leastNormalMagnitude, .leastNonzeroMagnitude, 0] {
            #expect(ulpDistance(value, Double(value)) == 0)
            #expect(ulpDistance(value.nextUp, Double(value)) == 1)
            #expect(ulpDistance(value, Double(value.nextUp)) == 1)
        }
    }

    @Test func aRoundedValueIsAtMostHalfAUnitAway() {
        for step in 1...1000 {
            let exact = 1e-3 * Double(step) * .pi
            #expect(ulpDistance(Float(exact), exact) <= 0.5)
        }
    }

    @Test func theUnitBelongsToTheExactValue() {
        // Under 1 the unit is half of what it is above.
        #expect(ulpDistance(1, 1 - 0x1p-24) == 1)
        #expect(ulpDistance(1, 1 + 0x1p-23) == 1)
    }

    @Test func subnormalNumbersAreCountedInTheSmallestUnit() {
        #expect(ulpDistance(0, 0x1p-149) == 1)
        #expect(ulpDistance(0, 0x1p-160) == 0x1p-11)
        #expect(ulpDistance(.leastNonzeroMagnitude, 0) == 1)
    }

    @Test func infinitiesAndNotANumberAgreeWithThemselvesOnly() {
        #expect(ulpDistance(.infinity, .infinity) == 0)
        #expect(ulpDistance(.infinity, 1e300) == 0, "an overflow that single precision cannot avoid")
        #expect(ulpDistance(.infinity, -.infinity) == .infinity)
        #expect(ulpDistance(1, .infinity) == .infinity)
        #expect(ulpDistance(.infinity, Double(Float.greatestFiniteMagnitude)) == 1)
        #expect(ulpDistance(.nan, .nan) == 0)
        #expect(ulpDistance(.nan, 1) == .infinity)
        #expect(ulpDistance(1, .nan) == .infinity)
    }

    @Test func theWorstOfManyIsFound() {
        let worst = worstUlpDistance([1, Float(2).nextUp, 3], [1, 2, 3 + 0x1p-24])
        #expect(worst?.index == 1)
        #expect(worst?.ulps == 1)
        #expect(worstUlpDistance([], []) == nil)
    }
}
