import Foundation
import Safetensors
import TestSupport
import Testing

/// The fixtures of all test bundles, by the test file that they would be loaded from.
private let bundles = ["NeuralNetworkTests", "HyperNetworksTests", "ExperimentKitTests"].map { bundle in
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("\(bundle)/Some.swift").path
}

private func allFixtures() throws -> [Fixture] {
    try bundles.flatMap { file in
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent().appendingPathComponent("Fixtures").path
        return try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
            .filter { $0.hasSuffix(".safetensors") }
            .map { try Fixture.load(String($0.dropLast(".safetensors".count)), file: file) }
    }
}

struct FixtureTests {
    @Test func aFixtureIsFoundBesideTheTestFileAndRead() throws {
        let fixture = try Fixture.load("crossEntropy", file: bundles[0])
        #expect(fixture.name == "crossEntropy")
        #expect(try fixture.shape("in.logits") == [7, 6])
        #expect(try fixture.floats("in.logits").map(Double.init) == fixture.doubles("in.logits"))
        #expect(try fixture.ints("in.targets").allSatisfy((0..<6).contains))
        #expect(fixture.has("out.loss") && !fixture.has("out.gain"))
        #expect(fixture.keys("grad.") == ["grad.in.logits"])
        #expect(throws: SafetensorsError.self) { try fixture.floats("in.targets") }
        #expect(throws: SafetensorsError.self) { try fixture.shape("out.gain") }
        #expect(throws: SafetensorsError.self) { try Fixture.load("no such case", file: bundles[0]) }
    }

    @Test func metadataIsReadAsTheTypeAskedFor() throws {
        let fixture = try Fixture.load("hyperlstm_ln", file: bundles[1])
        #expect(try fixture.meta("epsilon", as: Float.self) == 1e-3)
        #expect(try fixture.meta("forgetBias", as: Double.self) == 1)
        #expect(try fixture.meta("layerNorm", as: Bool.self))
        #expect(try fixture.meta("embeddingsFrom") == "current")
        #expect(throws: Fixture.MetadataError.self) { try fixture.meta("gain") }
        #expect(throws: Fixture.MetadataError.self) { try fixture.meta("embeddingsFrom", as: Int.self) }
    }

    @Test func comparisonWithAFixtureHoldsShapeAndElements() throws {
        let fixture = try Fixture.load("crossEntropy", file: bundles[0])
        var logits = try fixture.doubles("in.logits")
        try expectClose(logits, shape: [7, 6], fixture, "in.logits", relative: 0, absolute: 0)
        withKnownIssue {
            try expectClose(logits, shape: [6, 7], fixture, "in.logits", relative: 0, absolute: 0)
        }
        logits[3] += 1e-9
        withKnownIssue {
            try expectClose(logits, shape: [7, 6], fixture, "in.logits", relative: 0, absolute: 1e-10)
        }
    }
}

/// What holds for every fixture, so that a comparison with one means something.
struct FixtureContentTests {
    @Test func thereAreFixturesInEveryBundle() throws {
        let names = Set(try allFixtures().map(\.name))
        #expect(names.count >= 92)
        let some = ["matmul", "adam", "lstm", "hyperlstm_ln", "hyperrnn_full", "model_ln_hyperlstm"]
        #expect(names.isSuperset(of: some))
    }

    @Test func everyInputAndParameterIsExactInSinglePrecision() throws {
        for fixture in try allFixtures() {
            for key in fixture.keys("in.") + fixture.keys("param.") + fixture.keys("cotangent.") {
                guard case .float64(let values) = try fixture.file.entry(key).values else { continue }
                #expect(values.allSatisfy { Double(Float($0)) == $0 }, "\(fixture.name): \(key)")
            }
        }
    }

    @Test func everyValueIsFinite() throws {
        for fixture in try allFixtures() {
            for entry in fixture.file.entries {
                guard case .float64(let values) = entry.values else { continue }
                #expect(values.allSatisfy { $0.isFinite }, "\(fixture.name): \(entry.name)")
            }
        }
    }

    @Test func everyFloatInputAndParameterHasAGradientOfItsShapeThatIsNotZero() throws {
        // A case on images without their gradient holds those of its subject alone.
        for fixture in try allFixtures()
        where !fixture.keys("grad.").isEmpty && (!fixture.has("in.images") || fixture.has("grad.in.images")) {
            for key in fixture.keys("in.") + fixture.keys("param.") {
                // Images and the running statistics that a normalization starts from are constants.
                if key == "in.images" || key.hasSuffix("runningMean") || key.hasSuffix("runningVariance") { continue }
                guard try fixture.file.entry(key).dtype == .float64 else { continue }
                #expect(try fixture.shape("grad.\(key)") == fixture.shape(key), "\(fixture.name): \(key)")
                #expect(try fixture.doubles("grad.\(key)").contains { $0 != 0 }, "\(fixture.name): \(key)")
            }
        }
    }

    @Test func everyOutputHasItsCotangentUnlessTheObjectiveIsALoss() throws {
        for fixture in try allFixtures() where !fixture.keys("grad.").isEmpty && !fixture.has("out.loss") {
            // Running statistics are results that no gradient goes through.
            for key in fixture.keys("out.") where !key.hasSuffix("runningMean") && !key.hasSuffix("runningVariance") {
                #expect(try fixture.shape("cotangent.\(key)") == fixture.shape(key), "\(fixture.name): \(key)")
            }
        }
    }

    /// The loss worked out here from the logits, apart from PyTorch.
    @Test func theLossOfTheModelsIsTheMeanCrossEntropyInNats() throws {
        for fixture in try allFixtures() where fixture.name.hasPrefix("model_") {
            let logits = try fixture.doubles("out.logits")
            let targets = try fixture.ints("in.targets")
            let count = logits.count / targets.count
            var loss = 0.0
            for (row, target) in targets.enumerated() {
                let scores = logits[(row * count)..<((row + 1) * count)]
                loss += log(scores.reduce(0) { $0 + exp($1) }) - scores[scores.startIndex + target]
            }
            try expectClose(
                [loss / Double(targets.count)], shape: [], fixture, "out.loss", relative: 1e-14, absolute: 0)
        }
    }
}
