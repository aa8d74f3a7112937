import Datasets
import Foundation
import TestSupport

@testable import CharacterExperiments
@testable import ExperimentKit

/// The checkout that this test was compiled in.
let checkout = ProjectFolder(
    url: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent())

let committedConfigurations = checkout.experiment("char-hyperlstm").appendingPathComponent("configs")

/// A model of characters small enough to train within a second, and a corpus to go with it.
typealias TestRun = ExperimentTest<CharacterExperiment>
typealias CharacterRun = TrainingRun<CharacterExperiment>

extension ExperimentTest where Work == CharacterExperiment {
    /// Every kind of model state that a checkpoint must hold: dropout everywhere, a hyper cell, carried state, an epoch
    /// that ends within the run.
    static var yaml: String {
        """
        # Command:  none
        budget: tiny
        reproduces: null
        data: {corpus: sample}
        model:
          cell: hyper-lstm
          layers: 1
          units: 12
          layerNorm: true
          hyperUnits: 6
          embeddingSize: 2
          keepInput: 0.9
          keepOutput: 0.9
          keepRecurrent: 0.9
          keepHyperRecurrent: 0.9
        training:
          batch: 4
          sequenceLength: 10
          steps: 40
          carryState: true
          adam: {beta1: 0.9, beta2: 0.999, epsilon: 1.0e-8}
          learningRate: 0.01
          clipNorm: 1.0
          patience: null
          seeds: [0]
          logEvery: 1
          checkpointEvery: 5
        evaluation:
          validateAt: 8
          validationStreams: 2
          validationCharacters: null
          reportedStreams: 1
        deviations:
          hyperStateForEmbeddings: current
          forgetBias: 1
          hyperLayerNorm: match-main
          layerNormEpsilon: 0.001
        """
    }

    static func text(characters: Int) -> String {
        let line = "she sells sea shells by the shore; the shells she sells are sea shells\n"
        return String(String(repeating: line, count: characters / line.count + 1).prefix(characters))
    }

    init(overrides: [String] = []) throws {
        folder = try TemporaryFolder()
        try folder.write(Self.text(characters: 1300), to: "data/sample/sample.train.txt")
        try folder.write(String(Self.text(characters: 215).suffix(200)), to: "data/sample/sample.valid.txt")
        // Begins elsewhere in the line, so that no split begins like another.
        try folder.write(String(Self.text(characters: 157).suffix(150)), to: "data/sample/sample.test.txt")
        let url = try folder.write(Self.yaml, to: "tiny.yaml")
        file = try ConfigurationFile(contentsOf: url, overrides: overrides)
        dataFolder = DataFolder(path: folder.path("data"), origin: .option)
        data = try CharacterCorpus.open(.sample, dataFolder: dataFolder)
    }
}

extension RunRecord {
    /// The record of a run of characters, as it is when the run begins.
    static func example(
        of file: ConfigurationFile, seed: Int = 0, data: DataDescription, commit: String = "test"
    ) throws -> RunRecord {
        RunRecord(
            experiment: CharacterExperiment.program, configuration: file,
            decoded: try CharacterConfiguration(file.root), unit: CharacterExperiment.unit, seed: seed,
            code: Code(commit: commit, treeDirty: nil), data: data, parameterCount: 1)
    }
}

extension RunRecord.Sitting {
    static func example(
        fromStep: Int = 0, commit: String = "a", treeDirty: Bool? = nil, program: String? = "b", simd: String = "avx2",
        core: String? = "Haswell", threads: Int = 4, processes: Int = 1
    ) -> RunRecord.Sitting {
        RunRecord.Sitting(
            began: "", fromStep: fromStep, code: RunRecord.Code(commit: commit, treeDirty: treeDirty), version: nil,
            programSHA256: program, cpu: "A", cores: 8, memoryGiB: 16, simd: simd, blasCore: core, threads: threads,
            processes: processes)
    }
}

extension TemporaryFolder {
    /// Gives the folder the parts that a program knows a checkout by.
    func makeCheckout() throws {
        for mark in ProjectFolder.marks {
            try FileManager.default.createDirectory(
                at: url.appendingPathComponent(mark), withIntermediateDirectories: true)
        }
    }
}
