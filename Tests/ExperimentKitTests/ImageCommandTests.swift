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
        let run = try ImageTestRun()
        let data = try ImageTestRun.dataFolder().path, out = run.folder.url.appendingPathComponent("runs").path
        let config = run.folder.url.appendingPathComponent("tiny.yaml").path
        let trained = try Self.program.run(["train", config, "--data", data, "--out", out, "--threads", "2"])
        #expect(trained.status == 0, "\(trained.errors)")
        #expect(trained.output.contains("generated sample"))
        let folder = "\(out)/tiny/3"
        let record = try RunRecord(
            contentsOf: URL(fileURLWithPath: folder).appendingPathComponent("record.json"))
        #expect(record.status == .finished)

        let error = "test: error \(fixed(try #require(record.test?.errorPercent), 2)) %"
        let evaluated = try Self.program.run(["evaluate", folder, "--data", data, "--threads", "2"])
        #expect(evaluated.status == 0 && evaluated.output.contains(error), "\(evaluated.output)\(evaluated.errors)")
        let plain = run.folder.url.appendingPathComponent("plain.safetensors").path
        let baked = try Self.program.run(["bake", folder, "--output", plain])
        #expect(baked.status == 0, "\(baked.errors)")
        #expect(baked.output.contains("\(grouped(record.parameterCount)) parameters with the hypernetwork"))
        let again = try Self.program.run(
            ["evaluate", plain, "--config", config, "--data", data, "--threads", "2"])
        #expect(again.status == 0 && again.output.contains(error), "\(again.output)\(again.errors)")
        #expect(again.output.contains("kernels owned"))
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

    @Test func aSignalWritesACheckpointAndResumeGoesOn() throws {
        let run = try ImageTestRun()
        let data = try ImageTestRun.dataFolder().path, out = run.folder.url.appendingPathComponent("runs").path
        let (process, _, errors) = try Self.program.start([
            "train", run.folder.url.appendingPathComponent("tiny.yaml").path, "--data", data, "--out", out, "--threads",
            "2", "--set", "training.steps=2000", "--set", "training.learningRate=0.001",
        ])
        let index = URL(fileURLWithPath: "\(out)/tiny/3/checkpoints/index.json")
        while process.isRunning, !FileManager.default.fileExists(atPath: index.path) { usleep(1000) }
        kill(process.processIdentifier, SIGTERM)
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 143 && process.terminationReason == .exit)
        #expect(text.contains("static-hypernet resume \(out)/tiny/3"), "\(text)")
    }

    /// Within 4 GB of addresses, whatever the machine has.
    @Test(arguments: [
        ("model.widening=400", "model.widening"), ("model.widening=1000000000", "model.widening"),
        ("model.blocks=4096", "model.blocks"), ("model.blocks=1000000000", "model.blocks"),
        ("training.batch=10000000", "training.batch"),
    ])
    func whatTheDataOrTheMemoryDoNotAllowIsRefusedByItsKeyBeforeAFolderIsMade(override: String, key: String) throws {
        for configuration in ["sample-cifar-wide-resnet", "sample-cifar-hyper-wide-resnet"] {
            let folder = try TemporaryFolder(), out = folder.url.appendingPathComponent("runs").path
            let outcome = try Self.program.run(
                ["train", configuration, "--set", override, "--out", out, "--threads", "2"],
                before: "ulimit -v 4000000;")
            #expect(outcome.status == 1 && outcome.errors.contains(key), "\(override): \(outcome.errors)")
            #expect(!FileManager.default.fileExists(atPath: out))
        }
    }

    @Test func badArgumentsAreAnsweredInWordsAndWithAStatus() throws {
        let cases: [(arguments: [String], words: [String])] = [
            (
                ["train", "table2-wide-resnet-40"],
                ["no configuration 'table2-wide-resnet-40'", "table2-wide-resnet-40-"]
            ),
            (["train", "table7-convnet", "--threads", "0"], ["--threads", "from 1 to 256"]),
            (
                ["train", "table7-convnet", "--set", "training.stpes=3"],
                ["unknown key 'training.stpes'", "'training.steps'"]
            ),
            (["train", "table7-convnet", "--data", "/"], ["MNIST is not in the data folder /"]),
            (["resume", "/nonexistent"], ["/nonexistent", "no run"]),
            (["bake", "/nonexistent"], ["/nonexistent", "no checkpoint"]),
            (["evaluate", "/nonexistent.safetensors"], ["/nonexistent.safetensors", "No such file"]),
            (["reproduce", "--experiment", "ptb"], ["cifar", "mnist"]),
            (
                ["reproduce", "--experiment", "mnist", "--profile", "paper", "table2-wide-resnet-40-1"],
                ["'table2-wide-resnet-40-1' is of CIFAR-10, not of MNIST: leave out --experiment"]
            ),
        ]
        for (arguments, words) in cases {
            let outcome = try Self.program.run(arguments)
            #expect(outcome.status != 0 && outcome.output.isEmpty, "\(arguments)")
            for word in words { #expect(outcome.errors.contains(word), "\(arguments): \(outcome.errors)") }
        }
    }

    @Test func theListShowsEveryConfiguration() throws {
        let outcome = try Self.program.run(["list"])
        for url in try ConfigurationFile.all(in: committedImageConfigurations) {
            let name = url.deletingPathExtension().lastPathComponent
            #expect(outcome.output.contains("\n\(name) "), "\(name)")
        }
    }
}
