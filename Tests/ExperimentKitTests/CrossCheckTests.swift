import Foundation
import TestSupport
import Testing

@testable import ExperimentKit

/// The page of the cross-check, made from runs of another program.
@Suite struct CrossCheckTests {
    /// Two models of one run; the second was not finite in the end.
    private static let independentRun = """
        {"configuration": "table3-layer-norm-hyperlstm", "set": [], "device": "a GPU", "products": "TF32",
         "versions": {"torch": "2.11", "cuda": null}, "stepsDone": 1000, "stepsPlanned": 4000,
         "millisecondsPerStep": 20, "seconds": 30,
         "models": [
          {"peak": 0.004, "seed": 0, "curve": [[500, 2.0, 1.8], [1000, null, null]], "steps": [[1, 3.5, 400], [10, 3.0, 9]],
           "valid": {"bits": null, "streams": 16, "predictions": 5}, "test": {"bits": null, "streams": 16, "predictions": 5}},
          {"peak": 0.002, "seed": 0, "curve": [[500, 2.0, 1.9], [1000, 1.8, 1.7]], "steps": [[1, 3.4, 400], [10, 3.2, 9]],
           "valid": {"figure": 1.69, "streams": 16, "predictions": 5}, "test": {"figure": 1.66, "streams": 16, "predictions": 5}}],
         "weights": {"file": "a.safetensors", "peak": 0.002, "seed": 0}}
        """

    /// The lines of `docs/cross-check.md` that `results` makes from a folder.
    private static func crossCheck(_ experiment: ResultsExperiment) throws -> [Substring] {
        let project = ProjectFolder(url: experiment.folder.url)
        let path = "docs/cross-check.md"
        try experiment.folder.write(
            "By hand.\n<!-- char-hyperlstm: begin -->\n<!-- char-hyperlstm: end -->\n", to: path)
        let results = try experiment.results
        #expect(try results.staleFiles(project: project).contains(path))
        _ = try results.write(project: project)
        #expect(try !results.staleFiles(project: project).contains(path))
        return try String(contentsOf: project.url.appendingPathComponent(path), encoding: .utf8).split(separator: "\n")
    }

    @Test func anIndependentRunStandsBesideTheSuitesOwnAndThePapersCurve() throws {
        let experiment = try ResultsExperiment()
        // A third model, with the better test figure and not the better validation, which is what is set in bold.
        let third = #"""
            {"peak": 0.001, "seed": 0, "curve": [[500, 2.2, 2.1], [1000, 2.0, 1.8]], "steps": [[1, 3.6, 400], [10, 3.3, 9]],
             "valid": {"figure": 1.71, "streams": 16, "predictions": 5}, "test": {"figure": 1.64, "streams": 16, "predictions": 5}}
            """#
        try experiment.folder.write(
            Self.independentRun.replacingOccurrences(of: #""models": ["#, with: #""models": [\#(third),"#),
            to: "cross-check/a.json")
        try experiment.add(
            "table3-layer-norm-hyperlstm", seed: 3, test: 1.65,
            overrides: [
                "budget=1000 steps", "training.steps=1000",
                "training.learningRate={peak: 0.002, final: 0, warmUpSteps: 9, totalSteps: 1000}",
            ], validations: [(500, 1.85), (1000, 1.68)])
        let lines = try Self.crossCheck(experiment)
        let link = "[independent, seed 0](../experiments/char-hyperlstm/cross-check/a.json)"
        let heading = try #require(
            lines.firstIndex(of: "#### Layer Norm HyperLSTM, 1000 units: `table3-layer-norm-hyperlstm`"))
        // Of 1, 2, 5, 10, … up to 1,000 these two are the nearest that the run validated at.
        #expect(lines[heading + 1].contains("| step 500 | step 1,000 | validation |"))
        #expect(
            lines[(heading + 3)..<(heading + 8)] == [
                "| \(link) | 0.001 | 2.1000 | 1.8000 | 1.7100 | 1.6400 | 16 streams | 0.020 (3 models at once) |",
                "| \(link) | 0.002 | 1.9000 | 1.7000 | **1.6900** | 1.6600 | 16 streams | 0.020 (3 models at once) |",
                "| \(link) | 0.004 | 1.8000 | - | - | - | 16 streams | 0.020 (3 models at once) |",
                "| [this suite, seed 3](../experiments/char-hyperlstm/runs/table3-layer-norm-hyperlstm/3/record.json)"
                    + " | 0.002 | 1.8500 | 1.6800 | 1.6800 | 1.6500 | one sequence | - |",
                "| author's plot, probably Layer Norm HyperLSTM | - | 1.809 | 1.630 | - | - | - | - |",
            ])
        #expect(lines.contains { $0.contains("| 1,000 of 4,000 | a GPU | TF32 |") })
        let figure = "experiments/char-hyperlstm/figures/cross-check-table3-layer-norm-hyperlstm.svg"
        #expect(lines.contains { $0.hasSuffix("(../\(figure))") } && lines.first == "By hand.")
        let svg = try String(contentsOf: experiment.folder.url.appendingPathComponent(figure), encoding: .utf8)
        for name in ["peak 0.002", "peak 0.004", "this suite, peak 0.002, seed 3", "author's plot"] {
            #expect(svg.contains(">\(name)"))
        }
    }

    /// The full settings that went on with another rate stand beside those that did not.
    @Test func anIndependentRunWhoseRateWasChangedOnTheWayStandsBesideTheOthers() throws {
        let experiment = try ResultsExperiment()
        let change = "training.learningRate={peak: 0.002, final: 0}"
        try experiment.folder.write(
            Self.independentRun.replacingOccurrences(
                of: #""set": []"#, with: #""resumedAt": 750, "set": ["\#(change)"]"#), to: "cross-check/b.json")
        let lines = try Self.crossCheck(experiment)
        let label = "| 0.002, changed from step 750 on | 1.9000 |"
        #expect(lines.contains { $0.hasPrefix("| [independent") && $0.contains(label) })
        #expect(lines.contains { $0.contains("| from step 750 on: `\(change)` |") })
    }

    /// Of two models with one peak rate the one whose weights were kept is told by its changes.
    @Test func aModelWithSettingsOfItsOwnSaysWhich() throws {
        let experiment = try ResultsExperiment()
        let changes = #""set": ["model.keepOutput=0.8", "model.keepInput=0.7"]"#
        let (beside, of) = (#""peak": 0.002, "seed": 0, "curve""#, #""peak": 0.002, "seed": 0}"#)
        try experiment.folder.write(
            Self.independentRun.replacingOccurrences(of: "0.004", with: "0.002").replacingOccurrences(
                of: #"\#(beside): [[500, 2.0, 1.9]"#,
                with: #""peak": 0.002, "seed": 0, \#(changes), "curve": [[500, 2.0, 1.9]"#
            ).replacingOccurrences(of: of, with: #""peak": 0.002, "seed": 0, \#(changes)}"#), to: "cross-check/a.json")
        let result = SplitEvaluation(lossNats: 1.6905 * log(2), predictions: 50, streams: 16, seconds: 1)
        let json = try StableJSON.text(result)
        try experiment.folder.write(
            #"{"split": "validation", "result": \#(json)}"#, to: "cross-check/a/validation.json")
        let lines = try Self.crossCheck(experiment)
        #expect(lines.contains { $0.contains("a.json) | 0.002 | 1.8000 |") })
        #expect(
            lines.contains { $0.contains("a.json) | 0.002, keepOutput 0.8, keepInput 0.7 | 1.9000 |") })
        #expect(
            lines.contains { $0.contains("of [peak 0.002, seed 0, keepOutput 0.8, keepInput 0.7](") })
        #expect(lines.contains("| validation | 16 streams | 1.6900 | 1.6905 | +0.00050 |"))
        #expect(
            lines.contains {
                $0.contains("| `model.keepOutput=0.8`, `model.keepInput=0.7` (one model) | 2 |")
            })
    }

    @Test func weightsOfAnIndependentRunAndItsRoundingHaveTables() throws {
        let experiment = try ResultsExperiment()
        try experiment.folder.write(Self.independentRun, to: "cross-check/a.json")
        try experiment.folder.write(
            Self.independentRun.replacingOccurrences(of: "TF32", with: "float32")
                .replacingOccurrences(of: #""set": []"#, with: #""set": ["training.steps=10"]"#)
                .replacingOccurrences(of: "[10, 3.0, 9]", with: "[10, 3.002, 9]"), to: "cross-check/b.json")
        for (split, streams, nats) in [("validation", 16, 1.6905 * log(2)), ("test", 1, 1.6 * log(2))] {
            let result = SplitEvaluation(lossNats: nats, predictions: 50, streams: streams, seconds: 1)
            let json = try StableJSON.text(result)
            try experiment.folder.write(
                #"{"split": "\#(split)", "result": \#(json)}"#, to: "cross-check/a/\(split).json")
        }
        let lines = try Self.crossCheck(experiment)
        #expect(lines.contains("| validation | 16 streams | 1.6900 | 1.6905 | +0.00050 |"))
        #expect(lines.contains("| test | one sequence | - | 1.6000 | - |"))
        #expect(lines.contains("| 1 | +0.0000 | +0.0000 |") && lines.contains("| 10 | −0.0020 | +0.0000 |"))
        #expect(lines.contains { $0.contains("Of 4 differences 0 are above zero; their mean is −0.0005,") })
        // The run with a changed setting is no other run of the configuration.
        #expect(lines.count { $0.hasPrefix("| [independent, seed 0]") } == 2)
        #expect(lines.contains { $0.hasPrefix("| [b](") && $0.contains("| `training.steps=10` |") })
    }

    @Test func aDamagedIndependentRunIsNamed() throws {
        let experiment = try ResultsExperiment()
        for (text, reason) in [
            ("{", "a.json"), (Self.independentRun.replacingOccurrences(of: "[500, 2.0, 1.8]", with: "[]"), "a.json"),
            (
                Self.independentRun.replacingOccurrences(of: "\"stepsDone\": 1000", with: "\"stepsDone\": \(Int.max)"),
                "'stepsDone' expected a whole number"
            ),
            (
                Self.independentRun.replacingOccurrences(of: "\"set\": []", with: "\"set\": [], \"resumedAt\": -1"),
                "'resumedAt' expected a whole number"
            ),
            (
                Self.independentRun.replacingOccurrences(of: "\"stepsPlanned\": 4000", with: "\"stepsPlanned\": -1"),
                "'stepsPlanned' expected a whole number"
            ),
            (
                Self.independentRun.replacingOccurrences(of: "[1000, null, null]", with: "[\(Int.max), null, null]"),
                "'models: step' expected a whole number"
            ),
            (
                Self.independentRun.replacingOccurrences(of: "table3-layer-norm-hyperlstm", with: "table9"),
                "'configuration' expected a name in configs/, found 'table9'"
            ),
        ] {
            try experiment.folder.write(text, to: "cross-check/a.json")
            let error = #expect(throws: RecordError.self) { try experiment.results }
            #expect(error?.description.contains(reason) == true)
        }
    }
}
