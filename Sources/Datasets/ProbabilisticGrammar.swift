import Foundation

/// A probabilistic context-free grammar over bytes with integer weights: what the sample corpus is drawn from, and
/// what its entropy is computed from.
package struct ProbabilisticGrammar: Sendable {
    /// A nonterminal, by its index in ``rules``.
    package struct Nonterminal: Hashable, Sendable {
        package let index: Int
    }

    /// One part of an alternative.
    package enum Part: Sendable {
        case text([UInt8])
        case symbol(Nonterminal)
    }

    /// One way to write a nonterminal; its probability is weight / sum of the nonterminal's weights.
    package struct Alternative: Sendable {
        package let weight: UInt64
        package let parts: [Part]
    }

    /// Mean and information of what a nonterminal derives.
    package struct Expectation: Equatable, Sendable {
        /// Entropy of the derivation, bits.
        package var bits: Double
        /// Expected number of bytes written.
        package var characters: Double
    }

    /// The alternatives of each nonterminal.
    package private(set) var rules: [[Alternative]] = []
    private var totals: [UInt64] = []

    package init() {}

    /// A new nonterminal, to be given its alternatives by ``define(_:_:)`` (apart, since rules may be recursive).
    package mutating func declare() -> Nonterminal {
        rules.append([])
        totals.append(0)
        return Nonterminal(index: rules.count - 1)
    }

    /// Gives a nonterminal its alternatives. A weight of zero removes an alternative.
    package mutating func define(_ symbol: Nonterminal, _ alternatives: [(weight: Int, parts: [Part])]) {
        precondition(rules[symbol.index].isEmpty, "nonterminal \(symbol.index) is defined twice")
        rules[symbol.index] = alternatives.filter { $0.weight > 0 }
            .map { Alternative(weight: UInt64($0.weight), parts: $0.parts) }
        totals[symbol.index] = rules[symbol.index].reduce(0) { $0 + $1.weight }
    }

    /// The probability of an alternative.
    package func probability(of alternative: Alternative, in symbol: Nonterminal) -> Double {
        Double(alternative.weight) / Double(totals[symbol.index])
    }

    /// Entropy and expected length of every nonterminal.
    ///
    /// With p_a the probability of alternative a of X and Y over the nonterminals in it, the chain rule of entropy
    /// and the linearity of expectation give
    ///
    ///     H(X) = Σ_a p_a (−log₂ p_a + Σ_Y H(Y))        L(X) = Σ_a p_a (bytes of text in a + Σ_Y L(Y))
    ///
    /// because the choices in a derivation are independent given the nonterminals they are made for. The system is
    /// linear with non-negative coefficients; iterated from zero it rises to its least solution, which is the
    /// expectation. It is iterated until no number changes any more.
    ///
    /// - Precondition: The expected length is finite (the recursion dies out).
    package func expectations() -> [Expectation] {
        var current = [Expectation](repeating: Expectation(bits: 0, characters: 0), count: rules.count)
        for _ in 0..<100_000 {
            var next = current
            for (index, alternatives) in rules.enumerated() {
                var sum = Expectation(bits: 0, characters: 0)
                for alternative in alternatives {
                    let probability = probability(of: alternative, in: Nonterminal(index: index))
                    var inside = Expectation(bits: -log2(probability), characters: 0)
                    for part in alternative.parts {
                        switch part {
                        case .text(let bytes): inside.characters += Double(bytes.count)
                        case .symbol(let symbol):
                            inside.bits += current[symbol.index].bits
                            inside.characters += current[symbol.index].characters
                        }
                    }
                    sum.bits += probability * inside.bits
                    sum.characters += probability * inside.characters
                }
                next[index] = sum
            }
            if next == current { return current }
            current = next
        }
        preconditionFailure("the grammar's expected length is not finite")
    }

    /// Appends one derivation of `symbol` to `text`.
    ///
    /// - Returns: −log₂ of the derivation's probability, bits.
    package func derive(_ symbol: Nonterminal, with random: inout SplitMix64, into text: inout [UInt8])
        -> Double
    {
        let alternatives = rules[symbol.index]
        let total = totals[symbol.index]
        var draw = random.next(below: total)
        var chosen = 0
        while draw >= alternatives[chosen].weight {
            draw -= alternatives[chosen].weight
            chosen += 1
        }
        var bits = log2(Double(total) / Double(alternatives[chosen].weight))
        for part in alternatives[chosen].parts {
            switch part {
            case .text(let bytes): text += bytes
            case .symbol(let inner): bits += derive(inner, with: &random, into: &text)
            }
        }
        return bits
    }
}
