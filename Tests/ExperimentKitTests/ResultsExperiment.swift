import Foundation
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

/// An experiment folder with the paper's configurations of two rows, and whatever records a test puts in.
struct ResultsExperiment {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        for name in ["table3-lstm", "table3-layer-norm-hyperlstm"] {
            let yaml = try String(
                contentsOf: committedConfigurations.appendingPathComponent("\(name).yaml"), encoding: .utf8)
            try folder.write(yaml, to: "configs/\(name).yaml")
        }
    }

    func add(
        _ name: String, seed: Int, test: Double, validation: Double? = nil, overrides: [String] = [],
        status: RunRecord.Status = .finished,
        official: Bool = true, validations: [(Int, Double)] = [], changes: [String] = []
    ) throws {
        let file = try ConfigurationFile(
            contentsOf: folder.url.appendingPathComponent("configs/\(name).yaml"), overrides: overrides)
        var record = try RunRecord.example(
            of: file, seed: seed,
            data: DataDescription(
                name: official ? "ptb" : "ptb-unofficial",
                displayName: official ? "Penn Treebank" : "another treebank", official: official, files: [],
                notes: []))
        func evaluation(_ bits: Double) -> SplitEvaluation {
            SplitEvaluation(lossNats: bits * log(2), predictions: 1, streams: 1, seconds: 1)
        }
        record.status = status
        if !changes.isEmpty { record.change(changes, from: file.root, to: file.root) }
        record.training.stepsDone = 1000
        if status == .finished { record.test = evaluation(test) }
        if status == .finished || validation != nil { record.validation = evaluation(validation ?? test + 0.03) }
        let path = "runs/\(file.name)/\(seed)"
        let url = try folder.write(file.root.yaml, to: "\(path)/config.yaml")
        try record.write(to: url.deletingLastPathComponent().appendingPathComponent("record.json"))
        let stepLog = StepLog(url: url.deletingLastPathComponent().appendingPathComponent("steps.jsonl"))
        let interval = try CharacterConfiguration(file.root).loop.logEvery
        for step in [1] + Array(stride(from: interval, through: record.training.stepsDone, by: interval)) {
            try stepLog.append(StepRecord(step: step, seconds: 1, lossNats: 1))
            for (validated, bits) in validations where validated > step - interval && validated <= step {
                try stepLog.append(StepRecord(step: validated, seconds: 1, validation: evaluation(bits)))
            }
        }
    }

    var results: ExperimentResults<CharacterExperiment> {
        get throws { try ExperimentResults(experiment: folder.url) }
    }
    var section: String { get throws { try results.section } }

    /// The table row of a section that starts with `name`.
    func row(_ name: String) throws -> String {
        try #require(try section.split(separator: "\n").map(String.init).first { $0.hasPrefix("| \(name) |") })
    }

    /// The line of the summary about a row of Table 3.
    func summary(_ name: String) throws -> String {
        try #require(
            try results.summary.split(separator: "\n").map(String.init).first {
                $0.hasPrefix("| Table 3: \(name) |")
            })
    }
}
