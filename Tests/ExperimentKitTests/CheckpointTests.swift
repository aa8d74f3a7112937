import Compute
import Foundation
import HyperNetworks
import NeuralNetwork
import Safetensors
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite(.serialized) struct CheckpointTests {
    /// A finished run of ten steps; its folder lives as long as this does.
    private struct FinishedRun {
        let test: TestRun
        let folder: URL

        init(_ overrides: [String] = []) throws {
            test = try TestRun(overrides: ["training.steps=10"] + overrides)
            folder = try test.finished().folder
        }

        func freshModel() throws -> CharacterModel { try test.work().model }
    }

    @Test func theLatestAndTheBestAreKeptAndNothingElse() throws {
        let run = try FinishedRun()
        let names = try FileManager.default.contentsOfDirectory(
            atPath: run.folder.appendingPathComponent("checkpoints").path)
        #expect(Set(names) == ["index.json", "step-0000010"])
    }

    @Test func theWeightsAreASafetensorsFileWithTheModelsNamesAndShapes() throws {
        let run = try FinishedRun()
        let checkpoint = try Checkpoint(at: run.folder)
        let file = try SafetensorsFile(path: checkpoint.url.appendingPathComponent("model.safetensors").path)
        let model = try run.freshModel()
        #expect(file.entries.map(\.name) == model.parameters.map(\.name))
        #expect(file.entries.map(\.shape) == model.parameters.map(\.variable.shape))
        #expect(file.metadata["step"] == "10")
        let moments = try SafetensorsFile(path: checkpoint.url.appendingPathComponent("optimizer.safetensors").path)
        #expect(Set(moments.entries.map(\.name)) == Set(model.parameters.flatMap { ["\($0.name).m", "\($0.name).v"] }))
    }

    @Test func aCheckpointOfAnotherModelIsRefusedWithTensorAndBothShapes() throws {
        let run = try FinishedRun()
        let checkpoint = try Checkpoint(at: run.folder)
        let other = try TestRun(overrides: ["model.units=16"]), model = try other.work().model
        let before = model.parameters.map(\.variable.value.floats)
        let V = other.data.vocabulary.count
        do {
            try checkpoint.restore(model.tensors)
            Issue.record("accepted")
        } catch CheckpointError.otherModel(.wrongShape(let path, let name, let expected, let found)) {
            #expect(path.hasSuffix("model.safetensors") && name == "layer0.W_x")
            #expect(expected == [V, 64] && found == [V, 48])
        }
        #expect(model.parameters.map(\.variable.value.floats) == before, "nothing was written into the model")
    }

    @Test func missingAndUnexpectedTensorsAreNamed() throws {
        let hyper = try FinishedRun()
        let lstm = try FinishedRun([
            "model.cell=lstm", "model.hyperUnits=0", "model.embeddingSize=0", "model.keepHyperRecurrent=1",
        ])
        let (hyperModel, lstmModel) = (try hyper.freshModel(), try lstm.freshModel())
        #expect {
            try Checkpoint(at: hyper.folder).restore(lstmModel.tensors)
        } throws: { error in
            // The bias is called b in the LSTM and b_0 in the HyperLSTM (Eq. 9, 12).
            guard case CheckpointError.otherModel(.missingName(_, "layer0.b", _)) = error else { return false }
            return true
        }
        #expect {
            let shared = lstmModel.tensors.filter { $0.name != "output.b" }
            try Checkpoint(at: lstm.folder).restore(shared)
        } throws: { error in
            guard case CheckpointError.otherModel(.unexpectedName(_, "output.b")) = error else { return false }
            return true
        }
        #expect(throws: CheckpointError.self) {
            try Checkpoint(at: lstm.folder).restore(hyperModel.tensors)
        }
    }

    /// Row n of the weights is the n-th byte's: another order would be other text, without an error.
    @Test func aVocabularyThatIsNotInAscendingOrderIsRefused() throws {
        let run = try FinishedRun(), weights = try Checkpoint(at: run.folder).weights()
        let words = try #require(weights.metadata["vocabulary"]).split(separator: " ").map(String.init)
        for wrong in [Array(words.reversed()), words + ["x12"], words + words.suffix(1), ["-1"] + words] {
            var metadata = weights.metadata
            metadata["vocabulary"] = wrong.joined(separator: " ")
            var file = SafetensorsFile(metadata: metadata)
            for entry in weights.entries {
                file.append(entry.name, shape: entry.shape, .float32(try weights.floats(entry.name)))
            }
            let url = run.folder.appendingPathComponent("other.safetensors")
            try Data(file.encoded()).write(to: url)
            #expect {
                _ = try TrainedCharacterModel(try Checkpoint(at: url))
            } throws: { error in
                "\(error)".contains("the metadata 'vocabulary' expected numbers of bytes")
            }
        }
    }

    /// The index names what is not there: it is said which, and what to do.
    @Test func aCheckpointThatIsGoneIsNamedByTheIndex() throws {
        let run = try FinishedRun(), latest = try #require(try CheckpointStore(runFolder: run.folder).latest)
        try FileManager.default.removeItem(at: latest.url)
        let error = #expect(throws: CheckpointError.self) { try CheckpointStore(runFolder: run.folder) }
        #expect(error?.description.contains("names \(latest.url.lastPathComponent), which is not there") == true)
    }

    @Test func aFolderWithoutACheckpointIsNamed() throws {
        let folder = try TemporaryFolder()
        #expect(throws: CheckpointError.noCheckpoint(path: folder.path)) { try Checkpoint(at: folder.url) }
    }

    /// One bit of any file, at any place, and the sums themselves.
    @Test(arguments: CheckpointFile.all + [CheckpointFile.sums])
    func aDamagedFileOfACheckpointIsRefusedByName(name: String) throws {
        let run = try FinishedRun()
        let checkpoint = try Checkpoint(at: run.folder)
        let file = checkpoint.url.appendingPathComponent(name)
        let bytes = try Data(contentsOf: file)
        for place in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 16)) {
            var damaged = bytes
            damaged[place] ^= 0x08
            try damaged.write(to: file)
            #expect {
                for name in CheckpointFile.all { try checkpoint.check(name) }
            } throws: { error in
                guard case CheckpointError.file = error else { return false }
                return true
            }
        }
        try FileManager.default.removeItem(at: file)
        #expect(throws: CheckpointError.self) { for name in CheckpointFile.all { try checkpoint.check(name) } }
    }

    /// Makes a checkpoint one from before there were checksums.
    private func removeSums(of checkpoint: Checkpoint) throws {
        let state = checkpoint.url.appendingPathComponent(CheckpointFile.state)
        let text = try String(contentsOf: state, encoding: .utf8)
        try Data(text.replacingOccurrences(of: "  \"checksums\" : \"SHA256SUMS\",\n", with: "").utf8).write(to: state)
        try FileManager.default.removeItem(at: checkpoint.url.appendingPathComponent(CheckpointFile.sums))
    }

    @Test func aCheckpointFromBeforeThereWereSumsIsRead() throws {
        let run = try FinishedRun()
        let checkpoint = try Checkpoint(at: run.folder)
        try removeSums(of: checkpoint)
        _ = try TrainedCharacterModel(checkpoint)
        _ = try checkpoint.state(CheckpointState<CharacterExperiment.Position>.self)
    }

    @Test func aTruncatedWeightsFileIsRefused() throws {
        let run = try FinishedRun()
        let file = try Checkpoint(at: run.folder).url.appendingPathComponent("model.safetensors")
        let bytes = try Data(contentsOf: file)
        try bytes.prefix(bytes.count / 2).write(to: file)
        #expect(throws: CheckpointError.self) { try TrainedCharacterModel(try Checkpoint(at: run.folder)) }
    }

    /// Each of these once ended in a precondition of the model or asked for more memory than there is. Where there are
    /// checksums, they find the damage first.
    @Test(arguments: [
        (#""units":12"#, #""units":0"#, "units: expected a whole number from 1 to 65536, found 0"),
        (#""units":12"#, #""units":-7"#, "units: expected"), (#""units":12"#, #""units":60000"#, "weights"),
        (#""layers":1"#, #""layers":900"#, "weights"), (#""layers":1"#, #""layers":0"#, "layers: expected"),
        (#""hyperUnits":6"#, #""hyperUnits":0"#, "hyperUnits: expected"),
        (#""cell":"hyper-lstm""#, #""cell":"lstm""#, "hyperUnits: expected 0"),
        (#""cell":"hyper-lstm""#, #""cell":"transformer""#, "no model of characters"),
        (#""units":12"#, #""units":1e99"#, "no model of characters"),
    ])
    func aDamagedDescriptionOfTheModelIsAnErrorThatNamesIt(good: String, bad: String, message: String) throws {
        let run = try FinishedRun()
        let path = try Checkpoint(at: run.folder).url.appendingPathComponent("model.safetensors").path
        var file = try SafetensorsFile(path: path)
        let model = try #require(file.metadata["model"])
        #expect(model.contains(good))
        file.metadata["model"] = model.replacingOccurrences(of: good, with: bad)
        try file.write(to: path)
        try removeSums(of: try Checkpoint(at: run.folder))
        do {
            _ = try TrainedCharacterModel(try Checkpoint(at: run.folder))
            Issue.record("accepted")
        } catch let error as CheckpointError {
            #expect(error.description.contains(message) && error.description.contains(path), "\(error)")
        }
    }

    @Test func aWriteThatFailsAtItsLastStepLeavesTheEarlierCheckpoint() throws {
        let run = try FinishedRun()
        let store = try CheckpointStore(runFolder: run.folder)
        let model = try #require(store.latest).url.appendingPathComponent(CheckpointFile.model)
        let before = try Data(contentsOf: model)
        // A folder that is not empty cannot be replaced by a file: naming the new checkpoint in the index fails.
        let index = store.url.appendingPathComponent("index.json")
        try FileManager.default.removeItem(at: index)
        try FileManager.default.createDirectory(at: index, withIntermediateDirectories: true)
        try Data().write(to: index.appendingPathComponent("occupied"))
        let content = CheckpointContent(
            model: [], optimizer: [], carried: [], metadata: [:], state: [], configurationYAML: "")
        #expect(throws: CheckpointError.self) { try store.write(content, step: 11, isBest: true) }
        #expect(store.latest?.url.lastPathComponent == "step-0000010")
        #expect(store.best?.url.lastPathComponent == "step-0000010")
        #expect(try Data(contentsOf: model) == before)
    }

    @Test func aDamagedIndexIsNotTakenForNone() throws {
        let run = try FinishedRun()
        let index = run.folder.appendingPathComponent("checkpoints/index.json")
        try Data("{".utf8).write(to: index)
        #expect {
            try CheckpointStore(runFolder: run.folder)
        } throws: { error in
            guard case CheckpointError.file(index.path, _) = error else { return false }
            return true
        }
    }

    /// And what somebody put beside the checkpoints stays.
    @Test func leftoversOfAKilledProcessAreRemovedByTheNextCheckpoint() throws {
        let run = try TestRun(), training = try run.stopped(at: 3)
        let store = try CheckpointStore(runFolder: training.folder)
        let leftover = store.url.appendingPathComponent("step-0000005.partial")
        try FileManager.default.createDirectory(at: leftover, withIntermediateDirectories: true)
        try Data("half".utf8).write(to: leftover.appendingPathComponent("model.safetensors"))
        let orphan = store.url.appendingPathComponent("step-0000005")
        try FileManager.default.createDirectory(at: orphan, withIntermediateDirectories: true)
        try Data("not named by the index".utf8).write(to: orphan.appendingPathComponent("model.safetensors"))
        let copies = ["step-0000003.copy", "step-0000003-best", "before the change", "notes.txt"]
        for name in copies { try Data("mine".utf8).write(to: store.url.appendingPathComponent(name)) }
        #expect(try run.resume(training.folder).run() == .finished)
        #expect(!FileManager.default.fileExists(atPath: leftover.path))
        #expect(!FileManager.default.fileExists(atPath: orphan.path))
        for name in copies {
            #expect(FileManager.default.fileExists(atPath: store.url.appendingPathComponent(name).path), "\(name)")
        }
    }
}
