import CKernels
import Compute
import Foundation
import Testing

/// `cross_entropy` and `adam` of each instruction set against double precision, with what their roundings allow.
struct LossAndOptimizerKernelTests {
    @Test(arguments: Kernels.available, [1, 2, 4, 6, 16, 17, 50, 205])
    func crossEntropyAndItsGradientStayWithinTheRoundingBound(simd: String, classes: Int) throws {
        let kernels = try #require(Kernels.named(simd)), rows = 9, scale: Float = 0.125
        var samples = Samples(seed: 22)
        for deviation in [Float(0), 1, 30, 1e4] {
            let logits = samples.normal(rows * classes, deviation: deviation)
            let targets = samples.indices(rows, below: classes)
            var work = logits + [untouched], losses = [Float](repeating: .nan, count: rows), silent = losses,
                kept = logits
            kernels.cross_entropy(Int64(rows), Int64(classes), &work, targets, 1, scale, &losses)
            kernels.cross_entropy(Int64(rows), Int64(classes), &kept, targets, 0, scale, &silent)
            #expect(kept == logits, "without a gradient the logits stay")
            #expect(silent == losses)
            #expect(work.last == untouched)
            for r in 0..<rows {
                let row = logits[r * classes..<(r + 1) * classes].map(Double.init), largest = row.max()!
                let total = row.reduce(0) { $0 + exp($1 - largest) }, target = Int(targets[r])
                let loss = log(total) - (row[target] - largest)
                // exp to 1.05 ulp (2.1 roundings), its argument d rounded once: Σ e^d |d| / Σ e^d ≤ 1 + ln C; the
                // target's own difference and the result once each.
                let sumError = (2.1 + 1 + log(Double(classes))) * rounding
                let lossError = sumError + (abs(row[target] - largest) + loss) * rounding
                #expect(abs(Double(losses[r]) - loss) <= lossError, "loss \(losses[r]), expected \(loss)")
                for j in 0..<classes {
                    let probability = exp(row[j] - largest) / total, s = Double(scale)
                    let expected = (probability - (j == target ? 1 : 0)) * s
                    // The same for the numerator; the factor, the product and the difference once each. Below 2^-126
                    // the numerator is a multiple of 2^-149.
                    let relative = sumError + (2.1 + abs(row[j] - largest) + 3) * rounding
                    let allowed = s * (probability * relative + (j == target ? rounding : 0)) + 0x1p-148
                    let found = Double(work[r * classes + j])
                    #expect(
                        abs(found - expected) <= allowed, "class \(j) of \(classes): \(found), expected \(expected)")
                }
            }
        }
    }

    @Test(arguments: Kernels.available, [1, 3, 4, 8, 15, 16, 17, 100])
    func anAdamStepStaysWithinTheRoundingBound(simd: String, n: Int) throws {
        let kernels = try #require(Kernels.named(simd))
        let (beta1, beta2, stepSize, correction, epsilon) = (
            Float(0.9), Float(0.999), Float(0.003), Float(3.5), Float(1e-6)
        )
        var samples = Samples(seed: 23)
        let x = samples.normal(n), g = samples.normal(n), m = samples.normal(n, deviation: 0.1)
        let v = samples.normal(n).map { $0 * $0 }
        var newX = x + [untouched], newM = m + [untouched], newV = v + [untouched]
        kernels.adam(Int64(n), &newX, g, &newM, &newV, beta1, beta2, stepSize, correction, epsilon)
        #expect(newX.last == untouched && newM.last == untouched && newV.last == untouched)
        for j in 0..<n {
            let gradient = Double(g[j])
            let old = Double(beta1) * Double(m[j]), new = (1 - Double(beta1)) * gradient
            let second = Double(beta2) * Double(v[j]) + (1 - Double(beta2)) * gradient * gradient
            let step = Double(stepSize) / (second.squareRoot() * Double(correction) + Double(epsilon))
            // Roundings: two products and their sum, and one to spare; 1 − β is exact (Sterbenz).
            let firstError = 3 * (abs(old) + abs(new)) * rounding
            #expect(abs(Double(newM[j]) - (old + new)) <= firstError, "first moment \(j)")
            // Three products and the sum, and two to spare.
            #expect(abs(Double(newV[j]) - second) <= 6 * second * rounding, "second moment \(j)")
            // √ halves the 6; root, product, sum, product, quotient: 3 + 5 on the step; and x's own difference.
            let expected = Double(x[j]) - step * (old + new)
            let allowed = step * (firstError + 8 * abs(old + new) * rounding) + abs(expected) * rounding * 1.01
            #expect(abs(Double(newX[j]) - expected) <= allowed, "value \(j): \(newX[j]), expected \(expected)")
        }
    }
}
