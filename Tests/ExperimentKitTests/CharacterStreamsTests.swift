import Foundation
import HyperNetworks
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite struct CharacterStreamsTests {
    /// A text whose character k is k modulo 251, so that every position can be told.
    private func text(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 251) } }

    @Test func oneEpochOfPennTreebankIs392Steps() throws {
        let streams = try CharacterStreams(
            symbols: [UInt8](repeating: 0, count: 5_017_482), batch: 128, sequenceLength: 100, name: "ptb")
        #expect(streams.sequencesPerEpoch == 392)
        #expect(streams.streamLength == 39_199)
        #expect(streams.length(ofSequence: 391) == 99)
    }

    @Test func streamsAreContiguousAndTargetsAreTheNextCharacters() throws {
        let symbols = text(100)
        let streams = try CharacterStreams(symbols: symbols, batch: 3, sequenceLength: 10, name: "text")
        // L = 33: three whole sequences and one of three characters.
        #expect(streams.streamLength == 33 && streams.sequencesPerEpoch == 4 && streams.predictions == 99)
        var read: [[Int32]] = Array(repeating: [], count: 3)
        var predicted: [[Int32]] = read
        for index in 0..<4 {
            let (inputs, targets) = streams.sequence(index)
            #expect(inputs.count == streams.length(ofSequence: index) * 3 && targets.count == inputs.count)
            for (place, symbol) in inputs.enumerated() {
                read[place % 3].append(symbol)
                predicted[place % 3].append(targets[place])
            }
        }
        for b in 0..<3 {
            #expect(read[b] == (b * 33..<b * 33 + 33).map { Int32($0) })
            #expect(predicted[b] == (b * 33 + 1...b * 33 + 33).map { Int32($0) })
        }
    }

    @Test func oneStreamPredictsEveryCharacterButTheFirst() throws {
        let streams = try CharacterStreams(symbols: text(101), batch: 1, sequenceLength: 7, name: "text")
        #expect(streams.predictions == 100)
        #expect((0..<streams.sequencesPerEpoch).flatMap { streams.sequence($0).targets }.count == 100)
    }

    @Test func aTextTooShortForTheStreamsIsRefused() {
        #expect(throws: CorpusError.tooShort(name: "the test split", characters: 5, streams: 5)) {
            try CharacterStreams(symbols: text(5), batch: 5, sequenceLength: 1, name: "the test split")
        }
    }
}

@Suite(.serialized) struct CharacterEvaluatorTests {
    private func model(_ run: TestRun) throws -> CharacterModel {
        CharacterModel(
            configuration: try run.configuration.model, vocabularySize: run.corpus.vocabulary.count, seed: 1)
    }

    private func evaluate(_ run: TestRun, sequenceLength: Int, streams: Int = 1) throws -> SplitEvaluation {
        try CharacterEvaluator(
            sequenceLength: sequenceLength, interruption: Interruption(), progress: SilentProgress()
        ).evaluate(try model(run), symbols: run.corpus.test, streams: streams, name: "test")
    }

    @Test func theWholeSplitAsOneSequenceIsTheMeanOfItsCharactersOneByOne() throws {
        let run = try TestRun()
        let model = try model(run)
        var state = model.zeroState(batch: 1)
        let weights = model.packedWeights(batch: 1)
        var total = 0.0
        for (symbol, next) in zip(run.corpus.test, run.corpus.test.dropFirst()) {
            let logits = model.step(symbols: [Int32(symbol)], state: &state, weights: weights).floats.map(Double.init)
            total += log(logits.reduce(0) { $0 + exp($1) }) - logits[Int(next)]
        }
        let result = try evaluate(run, sequenceLength: 10)
        #expect(result.predictions == run.corpus.test.count - 1 && result.streams == 1)
        #expect(abs(result.lossNats - total / Double(result.predictions)) < 1e-5)
        #expect(abs(result.bits - result.lossNats / 0.6931471805599453) < 1e-12)
    }

    @Test func theFigureDoesNotDependOnTheLengthOfTheSequences() throws {
        let run = try TestRun()
        let figures = try [1, 7, 100, 1000].map { try evaluate(run, sequenceLength: $0).lossNats }
        for figure in figures { #expect(abs(figure - figures[0]) < 1e-5) }
    }

    @Test func streamsAreReadAndRecordedAsSuch() throws {
        let run = try TestRun()
        let result = try evaluate(run, sequenceLength: 10, streams: 4)
        #expect(result.streams == 4 && result.predictions == 4 * ((run.corpus.test.count - 1) / 4))
    }

    @Test func aStopIsHeardInTheMiddleOfASplit() throws {
        let run = try TestRun()
        let interruption = Interruption()
        interruption.request(signal: 2)
        let evaluator = CharacterEvaluator(sequenceLength: 5, interruption: interruption, progress: SilentProgress())
        #expect(throws: Interrupted(signal: 2)) {
            try evaluator.evaluate(try model(run), symbols: run.corpus.test, streams: 1, name: "test")
        }
    }
}
