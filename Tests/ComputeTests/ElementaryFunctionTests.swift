import CKernels
import Compute
import Foundation
import TestSupport
import Testing

enum ElementaryFunction: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case exp, tanh, sigmoid

    var testDescription: String { rawValue }

    func exact(_ x: Double) -> Double {
        switch self {
        case .exp: Foundation.exp(x)
        case .tanh: Foundation.tanh(x)
        case .sigmoid: 1 / (1 + Foundation.exp(-x))
        }
    }

    /// The largest error in units in the last place. A search through all 2^32 floats found 1.011 (exp), 1.290 (tanh)
    /// and 2.219 (sigmoid) on AVX-512 and AVX2, no more on SSE2; among subnormal results 0.751.
    var bound: Double {
        switch self {
        case .exp: 1.05
        case .tanh: 1.35
        case .sigmoid: 2.25
        }
    }

    func callAsFunction(_ kernels: ck_kernels, _ x: [Float]) -> [Float] {
        var y = [Float](repeating: untouched, count: x.count)
        switch self {
        case .exp: kernels.exp(Int64(x.count), x, &y)
        case .tanh: kernels.tanh(Int64(x.count), x, &y)
        case .sigmoid: kernels.sigmoid(Int64(x.count), x, &y)
        }
        return y
    }
}

struct ElementaryFunctionTests {
    /// Every 4093rd float, of both signs and every exponent: 1.05 million, with the subnormal numbers among them.
    static let wholeRange: [Float] = stride(from: UInt32(0), through: .max - 4093, by: 4093).map {
        Float(bitPattern: $0)
    }

    /// All floats within 2000 steps of where something changes: the ranges of the result, the polynomials, zero.
    static let edges: [Float] = {
        let centers: [Float] = [
            88.722839, -87.336545, -88.72284, -103.27893, -103.97208, 89, -89, -104, 104,  // overflow, underflow
            0.625, -0.625, 9.010913, -9.010913, 16.635532, -16.635532, 17.32868,  // tanh and sigmoid reach 1
            0.34657359, -0.34657359, 1, -1, .leastNormalMagnitude, -.leastNormalMagnitude, .greatestFiniteMagnitude,
        ]
        return centers.flatMap { center in
            (-2000...2000).map { Float(bitPattern: center.bitPattern &+ UInt32(bitPattern: Int32($0))) }
        }
    }()

    @Test(arguments: Kernels.available, ElementaryFunction.allCases)
    func errorInUnitsInTheLastPlaceIsBoundedOverTheWholeFloatRange(simd: String, function: ElementaryFunction) throws {
        let kernels = try #require(Kernels.named(simd))
        for (name, x) in [("whole range", Self.wholeRange), ("edges", Self.edges)] {
            let worst = try #require(worstUlpDistance(function(kernels, x), x.map { function.exact(Double($0)) }))
            #expect(
                worst.ulps <= function.bound,
                "\(name): \(worst.ulps) ulp at x = \(x[worst.index]) (\(String(x[worst.index].bitPattern, radix: 16)))")
        }
    }

    @Test(arguments: Kernels.available)
    func specialValuesAreExact(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        let x: [Float] = [0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .nan]
        let expected: [ElementaryFunction: [Float]] = [
            .exp: [1, 1, .infinity, 0, .infinity, 0, .nan],
            .tanh: [0, -0.0, 1, -1, 1, -1, .nan],
            .sigmoid: [0.5, 0.5, 1, 0, 1, 0, .nan],
        ]
        for (function, values) in expected {
            let found = function(kernels, x)
            for n in x.indices {
                if values[n].isNaN {
                    #expect(found[n].isNaN, "\(function)(\(x[n])) = \(found[n])")
                } else {
                    // By bits: tanh keeps the sign of zero.
                    #expect(found[n].bitPattern == values[n].bitPattern, "\(function)(\(x[n])) = \(found[n])")
                }
            }
        }
    }

    /// Where a vector ends does not matter: 0 ... 40 elements from any start give the bits that a long array gives, one
    /// element beyond is neither read into the result nor written, and a function may work in place.
    @Test(arguments: Kernels.available, ElementaryFunction.allCases)
    func shortArraysOfEveryLengthGiveTheSameBits(simd: String, function: ElementaryFunction) throws {
        let kernels = try #require(Kernels.named(simd))
        var samples = Samples(seed: 1)
        let x = samples.normal(64, deviation: 5), whole = function(kernels, x)
        for start in 0..<17 {
            for length in 0...40 {
                let found = function(kernels, Array(x[start..<start + length]))
                #expect(found == Array(whole[start..<start + length]), "start \(start), length \(length)")
                var inPlace = Array(x[start..<start + length]) + [untouched]
                inPlace.withUnsafeMutableBufferPointer { buffer in
                    let base = buffer.baseAddress!
                    switch function {
                    case .exp: kernels.exp(Int64(length), base, base)
                    case .tanh: kernels.tanh(Int64(length), base, base)
                    case .sigmoid: kernels.sigmoid(Int64(length), base, base)
                    }
                }
                #expect(inPlace.last == untouched, "length \(length) wrote beyond its end")
                #expect(inPlace.dropLast() == whole[start..<start + length], "in place, length \(length)")
            }
        }
    }
}
