import Foundation
import HyperNetworks
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite(.serialized) struct CharacterEvaluatorTests {
    private func evaluate(_ run: TestRun, sequenceLength: Int, streams: Int = 1) throws -> SplitEvaluation {
        try CharacterEvaluator(
            sequenceLength: sequenceLength, interruption: Interruption(), progress: SilentProgress()
        ).evaluate(try run.work().model, symbols: run.data.test, streams: streams, name: "test")
    }

    @Test func theWholeSplitAsOneSequenceIsTheMeanOfItsCharactersOneByOne() throws {
        let run = try TestRun(), model = try run.work().model
        var state = model.zeroState(batch: 1)
        let weights = model.packedWeights(batch: 1)
        var total = 0.0
        for (symbol, next) in zip(run.data.test, run.data.test.dropFirst()) {
            let logits = model.step(symbols: [Int32(symbol)], state: &state, weights: weights).floats.map(Double.init)
            total += log(logits.reduce(0) { $0 + exp($1) }) - logits[Int(next)]
        }
        let result = try evaluate(run, sequenceLength: 10)
        #expect(result.predictions == run.data.test.count - 1 && result.streams == 1)
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
        #expect(result.streams == 4 && result.predictions == 4 * ((run.data.test.count - 1) / 4))
    }

    @Test func aStopIsHeardInTheMiddleOfASplit() throws {
        let run = try TestRun()
        let interruption = Interruption()
        interruption.request(signal: 2)
        let evaluator = CharacterEvaluator(sequenceLength: 5, interruption: interruption, progress: SilentProgress())
        #expect(throws: Interrupted(signal: 2)) {
            try evaluator.evaluate(try run.work().model, symbols: run.data.test, streams: 1, name: "test")
        }
    }
}
