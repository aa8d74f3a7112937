import Foundation
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
