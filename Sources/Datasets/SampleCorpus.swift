import Foundation

/// A small character corpus that a program writes: a language of pseudo-words whose entropy rate is known exactly,
/// so that a model's bits per character can be read against the best that any model can reach.
///
/// ## The language
///
///     sentence     → clause tail(".")  4  |  particle clause tail("?")  1
///     tail(m)      → m "\n"  3            |  ", " conjunction " " clause tail(m)  1
///     clause       → NP(0, c) " " VP(0, c)              class c of three, 5 : 3 : 2
///     NP(d, c)     → adjectives(c) noun(c) relative(d, c)
///     adjectives   → nothing  2           |  adjective + ending(c) " " adjectives  1
///     relative     → nothing              |  " (" VP(d + 1, c) ")"  |  " [" VP(d + 1, c) "]"
///     VP(d, c)     → transitive verb + ending(c) " " NP(d, any class) adverbial  3
///                  | intransitive verb + ending(c) adverbial  2
///     adverbial    → nothing  3           |  " " adverb  1
///
/// Words have Zipf–Mandelbrot frequencies, 1 / (rank + 2). What must be carried over a distance: the ending of the main
/// verb agrees with its subject across a bracketed clause, a bracket closes as it opened, and the sentence ends in
/// a question mark if it began with a particle.
///
/// ## Why the entropy rate is exact
///
/// 1. *A sentence has one derivation.* No two words of the lexicon are spelled alike (the lexicon's making sees to
///    it) and none contains a blank or a mark, so a sentence splits into its words and marks in one way. Read from
///    the left, the next word or mark decides each alternative: a particle or none; an adjective or a noun; a
///    bracket or none; the verb's kind; an adverb or none; a comma or the end. The class c is drawn before the word
///    that shows it, and that word shows it: adjectives by their ending, nouns by their own lexicon.
/// 2. Hence H(sentence) = H(derivation), which ``ProbabilisticGrammar/expectations()`` computes, with E[characters].
/// 3. Every sentence ends with the corpus's only kind of line feed, so n sentences determine their concatenation and
///    it determines them. Sentences are drawn independently: H(n sentences) = n H(sentence).
/// 4. By the law of large numbers −log₂ P(text) / characters tends to H(sentence) / E[characters] with certainty,
///    and no predictor does better in the long run: that is ``entropyRateBits``.
///
/// A split is a fixed number of sentences rather than of characters, which would favor short last sentences.
public enum SampleCorpus {
    /// One split as drawn.
    public struct Split: Equatable, Sendable {
        /// The text, one sentence a line.
        public let text: [UInt8]
        /// The code length of this very text under the true source, bits per character: it scatters about
        /// ``SampleCorpus/entropyRateBits`` by the luck of the draw.
        public let bitsPerCharacter: Double
    }

    /// The three splits, drawn independently of each other.
    public struct Splits: Equatable, Sendable {
        public let train: Split
        public let validation: Split
        public let test: Split
    }

    /// The entropy rate of the source, bits per character: the least loss that any model can have on average.
    public static let entropyRateBits: Double = {
        let expectation = language.grammar.expectations()[language.sentence.index]
        return expectation.bits / expectation.characters
    }()

    /// Draws the corpus: the same bytes at every call on every machine, about 1.0 M, 50 k and 50 k characters.
    public static func generate() -> Splits {
        Splits(
            train: draw(sentences: trainSentences, seed: 0x7472_6169_6e),
            validation: draw(sentences: heldOutSentences, seed: 0x7661_6c69_64),
            test: draw(sentences: heldOutSentences, seed: 0x7465_7374))
    }

    /// Draws the corpus and writes it as `sample/sample.{train,valid,test}.txt.gz` under a data folder.
    ///
    /// - Returns: The paths written.
    /// - Throws: `DatasetError.unwritable`.
    @discardableResult
    public static func write(to folder: DataFolder) throws -> [String] {
        let splits = generate()
        try makeFolder(folder.appending("sample"))
        return try [("train", splits.train), ("valid", splits.validation), ("test", splits.test)].map { name, split in
            let path = folder.appending("sample/sample.\(name).txt.gz")
            try writeAtomically(gzipCompressed(split.text), to: path)
            return path
        }
    }

    /// MD5 of the three texts: whether a file is still the one that this program writes.
    package static let md5: [DataSplit: String] = [
        .train: "26fb6e80df1c23a79b5aa9a675df48d8",
        .validation: "b786c3755ac503848596cad9c53d7d0a",
        .test: "af427cc44e21bcec8ca47a956441a4f2",
    ]

    private static let trainSentences = 22_200
    private static let heldOutSentences = 1_110

    /// The grammar and its start symbol.
    package static let language = makeLanguage()

    private static func draw(sentences: Int, seed: UInt64) -> Split {
        var random = SplitMix64(seed: seed)
        var text = [UInt8]()
        text.reserveCapacity(64 * sentences)
        var bits = 0.0
        for _ in 0..<sentences {
            bits += language.grammar.derive(language.sentence, with: &random, into: &text)
        }
        return Split(text: text, bitsPerCharacter: bits / Double(text.count))
    }

    /// Endings of adjectives and verbs, by class.
    private static let endings = ["as", "il", "um"]
    private static let classWeights = [5, 3, 2]
    /// Weights of no, a round and a square bracket after a noun, by depth. The last depth has none: the recursion ends.
    private static let relativeWeights = [[14, 4, 2], [17, 2, 1], [1, 0, 0]]

    private static func makeLanguage() -> (grammar: ProbabilisticGrammar, sentence: ProbabilisticGrammar.Nonterminal) {
        typealias Part = ProbabilisticGrammar.Part
        typealias Nonterminal = ProbabilisticGrammar.Nonterminal
        var grammar = ProbabilisticGrammar()
        var lexicon = Lexicon()

        func literal(_ text: String) -> Part { .text(Array(text.utf8)) }
        /// A nonterminal that writes one of `words` (most frequent first) and, after it, `ending`.
        func words(_ words: [String], ending: String = "") -> Part {
            let symbol = grammar.declare()
            grammar.define(
                symbol,
                words.enumerated().map { rank, word in (weight: 1_000_000 / (rank + 3), [literal(word + ending)]) })
            return .symbol(symbol)
        }

        // The lexicon, shortest and most frequent words first in each list.
        let particles = words(lexicon.stems(2, endings: [""]))
        let conjunctions = words(lexicon.stems(4, endings: [""]))
        let adverbs = words(lexicon.stems(30, endings: [""]))
        let nouns = endings.map { _ in words(lexicon.stems(50, endings: [""])) }
        let adjectiveStems = lexicon.stems(60, endings: endings)
        let transitiveStems = lexicon.stems(60, endings: endings)
        let intransitiveStems = lexicon.stems(40, endings: endings)
        let adjectives = endings.map { words(adjectiveStems, ending: $0) }
        let transitives = endings.map { words(transitiveStems, ending: $0) }
        let intransitives = endings.map { words(intransitiveStems, ending: $0) }

        let adverbial = grammar.declare()
        grammar.define(adverbial, [(3, []), (1, [literal(" "), adverbs])])
        let adjectiveLists: [Nonterminal] = adjectives.map { adjective in
            let list = grammar.declare()
            grammar.define(list, [(2, []), (1, [adjective, literal(" "), .symbol(list)])])
            return list
        }

        // From the deepest level up: a noun phrase may hold a verb phrase of the next level in brackets.
        var nounPhrases: [Nonterminal] = []
        var verbPhrases: [Nonterminal] = []
        for weights in relativeWeights.reversed() {
            let deeper = verbPhrases
            nounPhrases = endings.indices.map { c in
                let relative = grammar.declare()
                let inside = deeper.isEmpty ? [] : [Part.symbol(deeper[c])]
                grammar.define(
                    relative,
                    [
                        (weights[0], []),
                        (weights[1], [literal(" (")] + inside + [literal(")")]),
                        (weights[2], [literal(" [")] + inside + [literal("]")]),
                    ])
                let phrase = grammar.declare()
                grammar.define(phrase, [(1, [.symbol(adjectiveLists[c]), nouns[c], .symbol(relative)])])
                return phrase
            }
            let object = grammar.declare()
            grammar.define(object, endings.indices.map { c in (classWeights[c], [.symbol(nounPhrases[c])]) })
            verbPhrases = endings.indices.map { c in
                let phrase = grammar.declare()
                grammar.define(
                    phrase,
                    [
                        (3, [transitives[c], literal(" "), .symbol(object), .symbol(adverbial)]),
                        (2, [intransitives[c], .symbol(adverbial)]),
                    ])
                return phrase
            }
        }

        let clause = grammar.declare()
        grammar.define(
            clause,
            endings.indices.map { c in
                (classWeights[c], [.symbol(nounPhrases[c]), literal(" "), .symbol(verbPhrases[c])])
            })
        let tails: [Part] = [".", "?"].map { mark in
            let tail = grammar.declare()
            grammar.define(
                tail,
                [
                    (3, [literal(mark + "\n")]),
                    (1, [literal(", "), conjunctions, literal(" "), .symbol(clause), .symbol(tail)]),
                ])
            return .symbol(tail)
        }
        let sentence = grammar.declare()
        grammar.define(
            sentence,
            [(4, [.symbol(clause), tails[0]]), (1, [particles, literal(" "), .symbol(clause), tails[1]])])
        return (grammar, sentence)
    }
}

/// Pseudo-words of one to three syllables, no two of which are spelled alike with any of their endings.
private struct Lexicon {
    private var random = SplitMix64(seed: 0x6c65_7869_636f_6e)
    private var spelled: Set<String> = []
    private static let consonants = Array("bdfgklmnprstvz")
    private static let vowels = Array("aeiou")

    /// `count` new stems, the more frequent the shorter.
    mutating func stems(_ count: Int, endings: [String]) -> [String] {
        (0..<count).map { rank in
            let syllables = rank < 4 ? 1 : rank < 24 ? 2 : 3
            while true {
                let stem = word(syllables: syllables)
                let forms = endings.map { stem + $0 }
                if spelled.isDisjoint(with: forms) {
                    spelled.formUnion(forms)
                    return stem
                }
            }
        }
    }

    /// Syllables of consonant and vowel; the last is closed by a consonant with probability 1/2.
    private mutating func word(syllables: Int) -> String {
        var word = ""
        for _ in 0..<syllables {
            word.append(pick(Lexicon.consonants))
            word.append(pick(Lexicon.vowels))
        }
        if random.next(below: 2) == 0 { word.append(pick(Lexicon.consonants)) }
        return word
    }

    private mutating func pick(_ letters: [Character]) -> Character {
        letters[Int(random.next(below: UInt64(letters.count)))]
    }
}
