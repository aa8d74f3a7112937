import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct SampleCorpusTests {
    /// Drawn once: three tests look at it.
    static let splits = SampleCorpus.generate()

    @Test func splitMix64_givesThePublishedSequence() {
        // The first outputs for the seed 1234567, as the reference implementation in C prints them.
        var random = SplitMix64(seed: 1_234_567)
        let outputs = (0..<5).map { _ in random.next() }
        #expect(
            outputs == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
    }

    @Test func splitMix64_boundedDrawsAreBelowTheBoundAndUniform() {
        var random = SplitMix64(seed: 3)
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<70_000 { counts[Int(random.next(below: 7))] += 1 }
        for count in counts { #expect(abs(count - 10_000) < 500) }  // 5 standard deviations are 463
        #expect(random.next(below: 1) == 0)
    }

    @Test func sample_committedFilesAreWhatTheProgramWrites() throws {
        for (name, split) in [
            ("train", Self.splits.train), ("valid", Self.splits.validation), ("test", Self.splits.test),
        ] {
            let path = "\(repository)/data/sample/sample.\(name).txt.gz"
            let committed = try readGzip(path: path, maximumBytes: 2_000_000)
            #expect(committed.count == split.text.count)
            #expect(committed == split.text, "\(path)")
        }
    }

    @Test func sample_committedFilesAreSmall() throws {
        let sizes = try ["train", "valid", "test"].map {
            try Data(contentsOf: URL(fileURLWithPath: "\(repository)/data/sample/sample.\($0).txt.gz")).count
        }
        #expect(sizes.reduce(0, +) <= 1_000_000)
    }

    @Test func sample_writeMakesFilesThatOpenAsTheSample() throws {
        let folder = try TemporaryFolder()
        let paths = try SampleCorpus.write(to: folder.dataFolder)
        #expect(paths == ["train", "valid", "test"].map { folder.path("sample/sample.\($0).txt.gz") })
        let corpus = try CharacterCorpus.open(.sample, dataFolder: folder.dataFolder)
        #expect(corpus.source.isOfficial)
        #expect(corpus.vocabulary.decode(corpus.validation) == Self.splits.validation.text)
        // No time stamp: bytes 4 to 7 of a gzip header.
        #expect(try folder.read("sample/sample.test.txt.gz")[4..<8].allSatisfy { $0 == 0 })
    }

    @Test func sample_writeIntoAFileIsUnwritable() throws {
        let folder = try TemporaryFolder()
        try folder.write("a file", to: "sample")
        guard
            case .unwritable(folder.path("sample"), _) = try datasetError({
                try SampleCorpus.write(to: folder.dataFolder)
            })
        else {
            Issue.record("not .unwritable")
            return
        }
    }

    // MARK: The entropy rate

    /// Σ p log p of a source small enough to write out: a geometric number of letters of which one is frequent.
    @Test func grammar_entropyAndLengthOfARecursiveRuleAreTheClosedForm() {
        var grammar = ProbabilisticGrammar()
        let letters = grammar.declare()
        grammar.define(
            letters,
            [
                (2, [.text([1])]), (1, [.text([2]), .symbol(letters)]), (1, [.text([3, 3]), .symbol(letters)]),
            ])
        // A turn has 1.5 bits and 0.5 · 1 + 0.25 · 1 + 0.25 · 2 bytes; there are 1 / 0.5 turns on average.
        let expectation = grammar.expectations()[letters.index]
        #expect(abs(expectation.bits - 3.0) < 1e-12)
        #expect(abs(expectation.characters - 2.5) < 1e-12)
    }

    @Test func sample_entropyRateHasItsDocumentedValue() {
        #expect(abs(SampleCorpus.entropyRateBits - 1.081133497715) < 1e-11)
    }

    /// The measured code length must lie about the computed rate as the central limit theorem says.
    @Test func sample_measuredBitsPerCharacterAgreeWithTheEntropyRate() {
        let rate = SampleCorpus.entropyRateBits
        var random = SplitMix64(seed: 99)
        var (bits, characters, squares) = (0.0, 0.0, 0.0)
        for _ in 0..<20_000 {
            var sentence = [UInt8]()
            let sentenceBits = SampleCorpus.language.grammar.derive(
                SampleCorpus.language.sentence, with: &random, into: &sentence)
            let excess = sentenceBits - rate * Double(sentence.count)
            bits += sentenceBits
            characters += Double(sentence.count)
            squares += excess * excess
        }
        let standardError = squares.squareRoot() / characters
        #expect(standardError < 0.002)
        #expect(abs(bits / characters - rate) < 4 * standardError)
        // The committed splits too: 22,200 and twice 1,110 sentences.
        #expect(abs(Self.splits.train.bitsPerCharacter - rate) < 4 * standardError)
        for split in [Self.splits.validation, Self.splits.test] {
            #expect(abs(split.bitsPerCharacter - rate) < 4 * standardError * (20_000.0 / 1110).squareRoot())
        }
    }

    /// The proof's first step: the probability of a text, summed over every derivation that a parser can find, is
    /// that of the one derivation that wrote it. A second derivation would add to the sum.
    @Test func sample_textDeterminesItsDerivation() {
        let (grammar, start) = SampleCorpus.language
        var random = SplitMix64(seed: 7)
        for _ in 0..<300 {
            var text = [UInt8]()
            let bits = grammar.derive(start, with: &random, into: &text)
            var parser = AllDerivations(grammar: grammar, text: text)
            let ends = parser.ends(of: start, from: 0)
            #expect(
                Array(ends.keys) == [text.count], "a sentence of \(String(decoding: text, as: UTF8.self)) may end early"
            )
            let probability = ends[text.count] ?? 0
            #expect(abs(-log2(probability) - bits) < 1e-9, "\(String(decoding: text, as: UTF8.self))")
        }
    }

    @Test func sample_parserOfTheTestsSeesAnAmbiguity() {
        var grammar = ProbabilisticGrammar()
        let start = grammar.declare()
        grammar.define(start, [(1, [.text([1, 1])]), (3, [.text([1]), .text([1])])])
        var parser = AllDerivations(grammar: grammar, text: [1, 1])
        #expect(parser.ends(of: start, from: 0) == [2: 1.0])  // 1/4 + 3/4, where one derivation has 3/4 at most
    }

    @Test func sample_lineFeedEndsEverySentenceAndStandsNowhereElse() {
        for (split, sentences) in [(Self.splits.train, 22_200), (Self.splits.test, 1110)] {
            #expect(split.text.last == UInt8(ascii: "\n"))
            #expect(split.text.count { $0 == UInt8(ascii: "\n") } == sentences)
        }
    }

    @Test func sample_heldOutSplitsUseTheTrainingVocabulary() throws {
        let vocabulary = Vocabulary(of: Self.splits.train.text)
        #expect(vocabulary.description == "\"\\n (),.?[]abdefgiklmnoprstuvz\"")
        #expect(throws: Never.self) { try vocabulary.encode(Self.splits.validation.text, place: "validation") }
        #expect(throws: Never.self) { try vocabulary.encode(Self.splits.test.text, place: "test") }
    }
}

/// Every derivation of every prefix of a text, by trying all alternatives: the reference for the grammar's sampler.
private struct AllDerivations {
    let grammar: ProbabilisticGrammar
    let text: [UInt8]
    private var known: [Key: [Int: Double]] = [:]

    private struct Key: Hashable {
        let symbol: ProbabilisticGrammar.Nonterminal
        let start: Int
    }

    init(grammar: ProbabilisticGrammar, text: [UInt8]) {
        self.grammar = grammar
        self.text = text
    }

    /// Where a derivation of `symbol` that starts at `start` may end, with the sum of the derivations' probabilities.
    mutating func ends(of symbol: ProbabilisticGrammar.Nonterminal, from start: Int) -> [Int: Double] {
        let key = Key(symbol: symbol, start: start)
        if let ends = known[key] { return ends }
        var result: [Int: Double] = [:]
        for alternative in grammar.rules[symbol.index] {
            var reached = [start: grammar.probability(of: alternative, in: symbol)]
            for part in alternative.parts where !reached.isEmpty {
                var next: [Int: Double] = [:]
                for (position, probability) in reached {
                    switch part {
                    case .text(let bytes):
                        if text[position...].starts(with: bytes) {
                            next[position + bytes.count, default: 0] += probability
                        }
                    case .symbol(let inner):
                        for (end, factor) in ends(of: inner, from: position) {
                            next[end, default: 0] += probability * factor
                        }
                    }
                }
                reached = next
            }
            for (end, probability) in reached { result[end, default: 0] += probability }
        }
        known[key] = result
        return result
    }
}
