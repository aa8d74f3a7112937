import Compute
import HyperNetworks
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite struct SamplerTests {
    @Test func drawingFollowsTheSoftmax() {
        // p = 1/4, 1/2, 1/4.
        let logits: [Float] = [0, 0.6931472, 0]
        let drawn = stride(from: 0.005, to: 1, by: 0.01).map {
            TrainedCharacterModel.draw(logits, temperature: 1, uniform: $0)
        }
        #expect(drawn.filter { $0 == 0 }.count == 25 && drawn.filter { $0 == 1 }.count == 50)
    }

    @Test func temperatureSharpensAndZeroTakesTheLikeliest() {
        let logits: [Float] = [0, 0.6931472, 0]
        // At temperature 1/2 the weights are 1 : 4 : 1.
        let drawn = stride(from: 0.005, to: 1, by: 0.01).map {
            TrainedCharacterModel.draw(logits, temperature: 0.5, uniform: $0)
        }
        #expect(drawn.filter { $0 == 1 }.count == 66 || drawn.filter { $0 == 1 }.count == 67)
        #expect(TrainedCharacterModel.draw(logits, temperature: 0, uniform: 0.99) == 1)
    }

    @Test func largeLogitsDoNotOverflow() {
        #expect(TrainedCharacterModel.draw([1000, 0, -1000], temperature: 1, uniform: 0.999) == 0)
    }

    @Test func aSampleGoesOnFromAllThatWasReadAndAnotherSeedDrawsAnother() throws {
        let run = try TestRun(overrides: ["training.steps=2"])
        let trained = try TrainedCharacterModel(try Checkpoint(at: try run.finished().folder))
        var read: [UInt8] = [], last: RecurrentState?
        let drawn = try trained.sample(prompt: "she ", length: 30, temperature: 1, seed: 5) {
            read.append($0)
            last = $1
        }
        #expect(read == Array("she ".utf8) + drawn.dropLast())
        // All of it read at once leads to the same state, but for rounding.
        var whole = trained.model.zeroState(batch: 1), noDropout: RandomStream?
        let symbols = try trained.vocabulary.encode(read, place: "the sample").map { Int32($0) }
        _ = trained.model.logits(inputs: symbols, batch: 1, state: &whole, dropout: &noDropout)
        for (ours, expected) in zip(try #require(last).tensors, whole.tensors) {
            expectClose(
                ours.tensor.floats, expected.tensor.floats.map(Double.init), relative: 1e-4, absolute: 1e-5,
                what: ours.name)
        }
        #expect(try trained.sample(prompt: "she ", length: 30, temperature: 1, seed: 6) != drawn)
    }
}
