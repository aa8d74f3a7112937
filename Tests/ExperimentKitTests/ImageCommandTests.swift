import Foundation
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit
@testable import ImageExperiments

/// The built `static-hypernet`, as a user meets it.
@Suite(.serialized) struct ImageCommandTests {
    private static let program = BuiltProgram(name: "static-hypernet")

    @Test func aRunIsTrainedEvaluatedBakedAndEvaluatedAgain() throws {
        let run = try ImageTestRun(), data = run.dataFolder.path
        let trained = try Self.program.run(run.trainArguments())
        #expect(trained.status == 0, "\(trained.errors)")
        #expect(trained.output.contains("generated sample"))
        let folder = run.folder.path("runs/tiny/3")
        let record = try RunRecord(
            contentsOf: URL(fileURLWithPath: folder).appendingPathComponent("record.json"))
        #expect(record.status == .finished)

        let error = "test: error \(fixed(try #require(record.test?.errorPercent), 2)) %"
        let evaluated = try Self.program.run(["evaluate", folder, "--data", data, "--threads", "2"])
        #expect(evaluated.status == 0 && evaluated.output.contains(error), "\(evaluated.output)\(evaluated.errors)")
        let plain = run.folder.path("plain.safetensors")
        let baked = try Self.program.run(["bake", folder, "--output", plain])
        #expect(baked.status == 0, "\(baked.errors)")
        #expect(baked.output.contains("\(grouped(record.parameterCount)) parameters with the hypernetwork"))
        let again = try Self.program.run(
            ["evaluate", plain, "--config", run.folder.path("tiny.yaml"), "--data", data, "--threads", "2"])
        #expect(again.status == 0 && again.output.contains(error), "\(again.output)\(again.errors)")
        #expect(again.output.contains("kernels owned"))
        let output = ["bake", folder, "--output"]
        #expect(try Self.program.run(output + [plain]).status == 0, "a baked network takes the place of another")
        let model = try Checkpoint(at: URL(fileURLWithPath: folder)).weightsURL.path
        for (file, words) in [(model, "there already"), (run.folder.path("plain.st"), "ends in .safetensors")] {
            let refused = try Self.program.run(output + [file])
            #expect(refused.status != 0 && refused.errors.contains(words), "\(refused.errors)")
        }
        #expect(try Self.program.run(["evaluate", folder, "--data", data, "--threads", "2"]).status == 0)
        let twice = try Self.program.run(["bake", plain])
        #expect(twice.status != 0 && twice.errors.contains("nothing to bake"))
        // A file of weights has no folder of its own: the network goes beside it.
        let weights = try run.folder.write("", to: "weights/generated.safetensors")
        let checkpoint = try Checkpoint(at: URL(fileURLWithPath: folder))
        try Data(contentsOf: checkpoint.url.appendingPathComponent(CheckpointFile.model)).write(to: weights)
        let beside = try Self.program.run(["bake", weights.path])
        #expect(beside.status == 0 && beside.output.contains("weights/baked.safetensors: "), "\(beside.errors)")
        // Nor does it know which images its run set aside.
        let validation = try Self.program.run([
            "evaluate", weights.path, "--split", "validation", "--data", data, "--threads", "2",
        ])
        #expect(validation.errors.contains("does not say how its run divided the data"), "\(validation.errors)")
    }

    @Test func nothingIsBakedIntoTheCommittedRecords() throws {
        let folder = try TemporaryFolder()
        let baked = try Self.program.run(
            ["bake", "table7-hyper-convnet-quick", "--threads", "1", "--project", checkout.url.path],
            before: "cd '\(folder.path)';")
        #expect(baked.status == 0 && folder.exists("baked.safetensors"), "\(baked.errors)")
    }

    @Test func aNetworkWithoutAPictureIsNamed() throws {
        let folder = try TemporaryFolder()
        let drawn = try Self.program.run(["figures", "a1-coordinates", "--output", folder.path, "--threads", "1"])
        #expect(drawn.status == 1 && drawn.errors.contains("a1-coordinates: nothing to draw"), "\(drawn.errors)")
    }

    @Test func aSignalWritesACheckpointAndTellsHowToGoOn() throws {
        let run = try ImageTestRun(), folder = run.folder.path("runs/tiny/3")
        let (process, _, errors) = try Self.program.start(
            run.trainArguments(["--set", "training.steps=2000", "--set", "training.learningRate=0.001"]))
        let index = folder + "/checkpoints/index.json"
        while process.isRunning, !FileManager.default.fileExists(atPath: index) { usleep(1000) }
        kill(process.processIdentifier, SIGTERM)
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 143 && process.terminationReason == .exit)
        #expect(text.contains("static-hypernet resume \(folder)"), "\(text)")
    }

    /// Within 4 GB of addresses, whatever the machine has.
    @Test(arguments: [
        ("model.widening=400", "model.widening"), ("model.widening=1000000000", "model.widening"),
        ("model.blocks=4096", "model.blocks"), ("model.blocks=1000000000", "model.blocks"),
        ("training.batch=10000000", "training.batch"),
    ])
    func whatTheDataOrTheMemoryDoNotAllowIsRefusedByItsKeyBeforeAFolderIsMade(override: String, key: String) throws {
        for configuration in ["sample-cifar-wide-resnet", "sample-cifar-hyper-wide-resnet"] {
            let folder = try TemporaryFolder()
            let outcome = try Self.program.run(
                ["train", configuration, "--set", override, "--out", folder.path("runs"), "--threads", "2"],
                before: "ulimit -v 4000000;")
            #expect(outcome.status == 1 && outcome.errors.contains(key), "\(override): \(outcome.errors)")
            #expect(!folder.exists("runs"))
        }
    }

    @Test func badArgumentsAreAnsweredInWordsAndWithAStatus() throws {
        try Self.program.expectRefusals([
            (
                ["train", "table2-wide-resnet-40"],
                ["no configuration 'table2-wide-resnet-40'", "table2-wide-resnet-40-"]
            ),
            (["train", "table7-convnet", "--data", "/"], ["MNIST is not in the data folder /"]),
            (["bake", "/nonexistent"], ["/nonexistent", "no checkpoint"]),
            (["evaluate", "/nonexistent.safetensors"], ["/nonexistent.safetensors", "No such file"]),
            (["reproduce", "--experiment", "ptb"], ["cifar", "mnist"]),
            (
                ["reproduce", "--experiment", "mnist", "--profile", "paper", "table2-wide-resnet-40-1"],
                ["'table2-wide-resnet-40-1' is of CIFAR-10, not of MNIST: leave out --experiment"]
            ),
        ])
    }

    @Test func theListShowsEveryConfiguration() throws {
        try CommittedConfigurations<ImageExperiment>().expectListed()
    }
}
