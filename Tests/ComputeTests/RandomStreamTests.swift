import CKernels
import Compute
import Foundation
import Testing

/// Philox4x32-10 word by word, as the paper (Salmon, Moraes, Dror, Shaw, SC 2011) writes it down.
private func philox4x32(counter: [UInt32], key: [UInt32]) -> [UInt32] {
    var c = counter, k = key
    for _ in 0..<10 {
        let p0 = UInt64(c[0]) * 0xD251_1F53, p1 = UInt64(c[2]) * 0xCD9E_8D57
        c = [
            UInt32(p1 >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: p1), UInt32(p0 >> 32) ^ c[3] ^ k[1],
            UInt32(truncatingIfNeeded: p0),
        ]
        k = [k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85]
    }
    return c
}

/// The bits of element `position`: in block b of 64 elements, element e is word e div 16 of counter 16 b + e mod 16.
private func reference(seed: UInt64, stream: UInt64, position: UInt64) -> UInt32 {
    func words(_ x: UInt64) -> [UInt32] { [UInt32(truncatingIfNeeded: x), UInt32(x >> 32)] }
    let element = position % 64
    return philox4x32(counter: words(position / 64 * 16 + element % 16) + words(stream), key: words(seed))[
        Int(element / 16)]
}

private func bits(_ kernels: ck_kernels, _ count: Int, seed: UInt64, stream: UInt64, position: UInt64) -> [UInt32] {
    var result = [UInt32](repeating: 0, count: count + 1)
    kernels.random_bits(Int64(count), seed, stream, position, &result)
    #expect(result[count] == 0, "nothing is written beyond the end")
    return Array(result.dropLast())
}

@Suite struct RandomBitsTests {
    /// The vectors of the authors' library Random123 (kat_vectors, philox4x32 10).
    @Test func theWordByWordGeneratorGivesTheKnownAnswersOfRandom123() {
        #expect(
            philox4x32(counter: [0, 0, 0, 0], key: [0, 0]) == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
        #expect(
            philox4x32(counter: [.max, .max, .max, .max], key: [.max, .max])
                == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
        #expect(
            philox4x32(
                counter: [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], key: [0xa409_3822, 0x299f_31d0])
                == [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1])
    }

    @Test(arguments: Kernels.available)
    func theFirstCounterOfTheKernelsGivesTheKnownAnswer(simd: String) throws {
        let block = bits(try #require(Kernels.named(simd)), 64, seed: 0, stream: 0, position: 0)
        #expect([block[0], block[16], block[32], block[48]] == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
    }

    @Test(arguments: Kernels.available)
    func everyInstructionSetGivesTheWordByWordBits(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        var samples = Samples(seed: 11)
        // Where the counter's low word wraps (element 2^34), and the last elements that a position can name.
        var positions: [UInt64] = [0, 1, 63, 64, (1 << 34) - 70, 1 << 34, UInt64.max - 200]
        positions += (0..<20).map { _ in samples.bits64() >> 1 }
        for position in positions {
            let seed = samples.bits64(), stream = samples.bits64()
            let expected = (0..<200).map { reference(seed: seed, stream: stream, position: position + $0) }
            #expect(
                bits(kernels, 200, seed: seed, stream: stream, position: position) == expected,
                "seed \(seed), stream \(stream), position \(position)")
        }
    }

    @Test(arguments: Kernels.available)
    func aRangeDrawnInPiecesIsTheRangeDrawnAtOnce(simd: String) throws {
        let kernels = try #require(Kernels.named(simd))
        let whole = bits(kernels, 2000, seed: 5, stream: 6, position: 37)
        for length in [1, 3, 16, 63, 64, 65, 250] {
            var pieces: [UInt32] = []
            while pieces.count < 2000 {
                pieces += bits(
                    kernels, min(length, 2000 - pieces.count), seed: 5, stream: 6, position: 37 + UInt64(pieces.count))
            }
            #expect(pieces == whole, "pieces of \(length)")
        }
    }

    @Test(arguments: Kernels.available, [Float(0.1), 0.5, 0.65, 0.9, 1])
    func aMaskKeepsWhatLiesBelowTheKeepProbability(simd: String, keep: Float) throws {
        let kernels = try #require(Kernels.named(simd)), count = 1000
        var mask = [Float](repeating: .nan, count: count)
        kernels.dropout_mask(Int64(count), keep, 3, 4, 21, &mask)
        let expected = bits(kernels, count, seed: 3, stream: 4, position: 21)
            .map { Double($0) * 0x1p-32 < Double(keep) ? 1 / keep : 0 }
        #expect(mask == expected)
    }

    /// Element 6,153,212,243 is the first under seed 0 and stream 0 with all 32 bits set: the largest fraction there
    /// is.
    @Test(arguments: Kernels.available)
    func keepProbabilityOneDropsNothingNotEvenTheLargestFraction(simd: String) throws {
        let kernels = try #require(Kernels.named(simd)), position: UInt64 = 6_153_212_243
        try #require(bits(kernels, 1, seed: 0, stream: 0, position: position) == [.max])
        var mask: [Float] = [.nan]
        kernels.dropout_mask(1, 1, 0, 0, position, &mask)
        #expect(mask == [1])
    }
}

/// Statistics of fixed seeds: they hold or fail the same way every time. Five standard deviations of the estimate would
/// pass one in two million seeds by chance for a right generator.
@Suite struct RandomStreamTests {
    @Test(arguments: [Float(0.1), 0.5, 0.75, 0.9])
    func aMaskKeepsTheExpectedFraction(keep: Float) {
        let count = 1 << 20
        var random = RandomStream(seed: 12, stream: 1)
        let mask = DropoutMask(keep: keep, count: count, random: &random).tensor([count]).floats
        let kept = mask.count { $0 != 0 }, p = Double(keep)
        #expect(abs(Double(kept) - p * Double(count)) <= 5 * (Double(count) * p * (1 - p)).squareRoot())
        #expect(Set(mask) == [0, 1 / keep])
    }

    @Test func aMaskIsTheSameWheneverAndInWhateverPartsItIsWritten() {
        var random = RandomStream(seed: 13, stream: 2, position: 5)
        let mask = DropoutMask(keep: 0.7, count: 500, random: &random), whole = mask.tensor([500]).floats
        #expect(mask.tensor([20, 25]).floats == whole)
        for (first, count) in [(0, 1), (1, 63), (64, 64), (100, 400), (499, 1)] {
            var part = [Float](repeating: .nan, count: count)
            mask.write(first: first, count: count, to: &part)
            #expect(part == Array(whole[first..<first + count]), "\(count) from \(first)")
        }
        var again = RandomStream(seed: 13, stream: 2, position: 5)
        #expect(DropoutMask(keep: 0.7, count: 500, random: &again).tensor([500]).floats == whole)
        #expect(again == random)
    }

    @Test func masksOfOneStreamShareNoElements() {
        var random = RandomStream(seed: 14, stream: 3)
        var end: UInt64 = 0
        for count in [1, 63, 64, 65, 1000, 7] {
            let start = random.reserve(count)
            #expect(start >= end && start % 64 == 0 && random.position == start + UInt64(count), "\(count) elements")
            end = start + UInt64(count)
        }
        let first = DropoutMask(keep: 0.5, count: 1000, random: &random).tensor([1000]).floats
        let second = DropoutMask(keep: 0.5, count: 1000, random: &random).tensor([1000]).floats
        // Of independent masks half the elements agree: 500 ± 5 · √250.
        #expect(abs(zip(first, second).count { $0 == $1 } - 500) <= 79)
    }

    @Test func aGivenMaskIsWrittenAsItIs() {
        let factors: [Float] = [0, 1.25, 1.25, 0, 2, 7]
        let mask = DropoutMask(factors: Tensor(factors, shape: [2, 3]))
        #expect(mask.tensor([6]).floats == factors)
        var part: [Float] = [0, 0]
        mask.write(first: 3, count: 2, to: &part)
        #expect(part == [0, 2])
    }

    @Test func aStoredPositionContinuesTheStream() throws {
        var random = RandomStream(seed: .max, stream: 1 << 63)
        _ = random.bits(77)
        var restored = try JSONDecoder().decode(RandomStream.self, from: JSONEncoder().encode(random))
        #expect(restored == random)
        #expect(restored.bits(100) == random.bits(100))
        var inOne = RandomStream(seed: .max, stream: 1 << 63)
        #expect(inOne.bits(177) != random.bits(177))
        var fromStart = RandomStream(seed: .max, stream: 1 << 63)
        #expect(fromStart.bits(77) + fromStart.bits(100) == Array(inOneBits(seed: .max, stream: 1 << 63, 177)))
    }

    private func inOneBits(seed: UInt64, stream: UInt64, _ count: Int) -> [UInt32] {
        var random = RandomStream(seed: seed, stream: stream)
        return random.bits(count)
    }

    @Test func seedsAndStreamsGiveUnrelatedBits() {
        var seen: Set<[UInt32]> = []
        for seed in [0, 1, 2, 1 << 32, 1 << 63] as [UInt64] {
            for stream in [0, 1, 2, 1 << 32, 1 << 63] as [UInt64] {
                seen.insert(inOneBits(seed: seed, stream: stream, 4))
            }
        }
        #expect(seen.count == 25)
    }

    @Test func normalNumbersHaveTheMomentsOfTheNormalDistribution() {
        let count = 1 << 18, n = Double(count)
        var random = RandomStream(seed: 15, stream: 4)
        let x = random.normal(count).map(Double.init)
        func moment(_ power: Int) -> Double { x.reduce(0) { $0 + pow($1, Double(power)) } / n }
        // Variances of the estimates: 1, 2, 15 and 96 over n (E x⁴ − 1, E x⁶, E x⁸ − 9).
        #expect(abs(moment(1)) <= 5 * (1 / n).squareRoot())
        #expect(abs(moment(2) - 1) <= 5 * (2 / n).squareRoot())
        #expect(abs(moment(3)) <= 5 * (15 / n).squareRoot())
        #expect(abs(moment(4) - 3) <= 5 * (96 / n).squareRoot())
        // The distribution function at some points, and neighbors without correlation.
        for edge in [-2.5, -1, -0.3, 0.5, 1.5, 3] {
            let expected = erfc(-edge / 2.0.squareRoot()) / 2
            let found = Double(x.count { $0 < edge }) / n
            #expect(
                abs(found - expected) <= 5 * (expected * (1 - expected) / n).squareRoot(), "P(x < \(edge)) = \(found)")
        }
        for lag in [1, 2, 16, 64] {
            let products = (0..<count - lag).reduce(0.0) { $0 + x[$1] * x[$1 + lag] } / n
            #expect(abs(products) <= 5 * (1 / n).squareRoot(), "lag \(lag)")
        }
        #expect(random.position == UInt64(2 * count))
    }

    @Test func uniformNumbersFillTheUnitIntervalEvenly() {
        let count = 1 << 18, bins = 64
        var random = RandomStream(seed: 16, stream: 5), histogram = [Int](repeating: 0, count: bins)
        for x in random.uniform(count) {
            #expect(x >= 0 && x < 1)
            histogram[Int(x * Float(bins))] += 1
        }
        let expected = Double(count) / Double(bins)
        let chiSquare = histogram.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        // χ² with 63 degrees of freedom: mean 63, standard deviation √126.
        #expect(abs(chiSquare - 63) <= 5 * 126.0.squareRoot(), "χ² = \(chiSquare)")
    }

    @Test func wholeNumbersBelowABoundAreEquallyFrequent() {
        let count = 70_000, bound = 7
        var random = RandomStream(seed: 17, stream: 6), histogram = [Int](repeating: 0, count: bound)
        for _ in 0..<count { histogram[random.integer(below: bound)] += 1 }
        let expected = Double(count) / Double(bound), deviation = (expected * (1 - 1 / Double(bound))).squareRoot()
        for (number, found) in histogram.enumerated() {
            #expect(abs(Double(found) - expected) <= 5 * deviation, "\(number): \(found)")
        }
        #expect(random.integer(below: 1) == 0)
        #expect((0..<100).allSatisfy { _ in (0..<1 << 31).contains(random.integer(below: 1 << 31)) })
    }
}
