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
}
