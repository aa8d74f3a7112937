import Datasets
import Foundation
import Testing

/// Damaged copies of a file, the same ones every time: case n of a seed is always the same damage.
public struct Damage {
    /// How many cases a test tries: `HYPERNETWORKS_STRESS_CASES` if set, else few enough for every run of the tests.
    public static func cases(_ few: Int) -> Range<Int> { 0..<(stressCases ?? few) }

    /// Whether the long version runs.
    public static var isStress: Bool { stressCases != nil }

    private static let stressCases = ProcessInfo.processInfo.environment["HYPERNETWORKS_STRESS_CASES"].flatMap(Int.init)

    private var random: SplitMix64

    /// Numbers that make sizes overflow, wrap or ask for everything.
    private static let extremes: [UInt64] = [
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff_ffff_ffff,
        0x8000_0000_0000_0000, 0xffff_ffff_ffff_ffff,
    ]
    /// The same as texts, and what opens without closing.
    private static let tokens = [
        "-1", "0", "1e999", "9223372036854775807", "-9223372036854775808", "99999999999999999999", "NaN", "null", "\"",
        "[", "{", "]", "}", ",", ":", "\u{0}", "\n", "\\u0000", "\\", "&a", "*a", "!!", "- - - ", "999999999",
    ].map { Array($0.utf8) }

    public init(case number: Int, seed: UInt64 = 0) {
        random = SplitMix64(
            seed: (UInt64(truncatingIfNeeded: number) &+ 1) &* 0x9e37_79b9_7f4a_7c15 &+ seed &* 0xd1b5_4a32_d192_ed03)
    }

    /// A number in `0 ..< bound`, by the remainder: `SplitMix64.next(below:)` would give other damage.
    public mutating func below(_ bound: Int) -> Int { bound < 1 ? 0 : Int(random.next() % UInt64(bound)) }

    /// The bytes with one to three damages: a bit, a byte, a number, a run lost, doubled or overwritten, the end lost.
    public mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        for _ in 0...below(3) {
            let place = below(result.count), length = 1 + below(min(64, max(1, result.count - place)))
            let run = place..<min(result.count, place + length)
            switch below(9) {
            case 0 where !result.isEmpty: result[place] ^= 1 << UInt8(below(8))
            case 1 where !result.isEmpty: result[place] = UInt8(truncatingIfNeeded: random.next())
            case 2:
                let number = Self.extremes[below(Self.extremes.count)], width = [1, 2, 4, 8][below(4)]
                let isLittle = below(2) == 0
                for (offset, target) in (place..<min(result.count, place + width)).enumerated() {
                    let shift = 8 * (isLittle ? offset : width - 1 - offset)
                    result[target] = UInt8(truncatingIfNeeded: number >> UInt64(shift))
                }
            case 3: result.removeSubrange(run)
            case 4: result.insert(contentsOf: result[run], at: place)
            case 5: for target in run { result[target] = UInt8(truncatingIfNeeded: random.next()) }
            case 6: result.removeLast(below(result.count))
            case 7: result.insert(contentsOf: Self.tokens[below(Self.tokens.count)], at: place)
            default: result.replaceSubrange(run, with: Self.tokens[below(Self.tokens.count)])
            }
        }
        return result
    }
}

/// The most memory that this process has held so far, in bytes; 0 but in `make stress`, which runs the tests that ask
/// alone: beside others this would be the memory of all.
public func peakMemory() -> Int {
    guard Damage.isStress else { return 0 }
    var usage = rusage()
    #if canImport(Glibc)
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    #else
        getrusage(RUSAGE_SELF, &usage)
        return usage.ru_maxrss
    #endif
}

/// Reads a damaged file, and expects that to end within 10 seconds, in whatever way.
///
/// - Parameter what: The case, for the message.
public func expectEnd<Result>(of what: String, _ read: () throws -> Result) rethrows -> Result {
    let start = ContinuousClock.now
    defer { #expect(ContinuousClock.now - start < .seconds(10), "\(what) takes forever") }
    return try read()
}
