/// SplitMix64 (Steele, Lea, Flood 2014): integers only, hence the same numbers on every machine.
///
///     state ← state + 9E3779B97F4A7C15₁₆        output = mix(state)
///
/// For what happens to data: the generated samples, the order of images, crops and mirrors. Initial values and dropout
/// have a generator of their own, `RandomStream`.
///
/// The n-th output depends on seed + n · 9E3779B97F4A7C15₁₆ alone, so it is a counter-based generator too.
package struct SplitMix64: Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// An integer of 0..<`bound`, each exactly equally likely.
    ///
    /// The lowest 2⁶⁴ mod bound outputs are drawn again: what is left is a multiple of the bound.
    package mutating func next(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "next(below: 0)")
        let rejected = (0 &- bound) % bound
        while true {
            let value = next()
            if value >= rejected { return value % bound }
        }
    }
}
