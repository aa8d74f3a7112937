import Compute
import Datasets
import Foundation
import NeuralNetwork
import Safetensors

/// The files of a checkpoint folder.
///
/// | file | holds |
/// |---|---|
/// | `model.safetensors` | parameters and running statistics by their names in the model; metadata: configuration, step |
/// | `optimizer.safetensors` | Adam's moments, `<parameter>.m` and `<parameter>.v`, or Nesterov's velocities |
/// | `carried.safetensors` | tensors carried between steps: the recurrent state, [B, units] each |
/// | `state.json` | step, best so far, data position, random numbers' position, seconds |
/// | `config.yaml` | the resolved configuration of the run |
/// | `SHA256SUMS` | the sums of the files above, as `sha256sum -c` reads them |
///
/// Each file is checked against its sum when it is read. Checkpoints from before `SHA256SUMS` have none. Later ones
/// name it in `state.json`, so one that has lost it is reported as damaged.
///
/// The weights read in Python as `safetensors.numpy.load_file("model.safetensors")`.
public enum CheckpointFile {
    public static let model = "model.safetensors"
    public static let optimizer = "optimizer.safetensors"
    public static let carried = "carried.safetensors"
    public static let state = "state.json"
    public static let configuration = "config.yaml"
    public static let sums = "SHA256SUMS"

    /// The files that have a sum.
    static let all = [model, optimizer, carried, state, configuration]
}

/// Everything that goes into one checkpoint.
struct CheckpointContent {
    let model: [(name: String, tensor: Tensor)]
    let optimizer: [(name: String, tensor: Tensor)]
    let carried: [(name: String, tensor: Tensor)]
    let metadata: [String: String]
    let state: [UInt8]
    let configurationYAML: String

    /// Writes the files into a folder that nobody reads yet.
    func write(to folder: URL) throws {
        try SafetensorsFile(tensors: model, metadata: .init(sorting: metadata)).write(
            to: folder.appendingPathComponent(CheckpointFile.model).path)
        try SafetensorsFile(tensors: optimizer).write(to: folder.appendingPathComponent(CheckpointFile.optimizer).path)
        try SafetensorsFile(tensors: carried).write(to: folder.appendingPathComponent(CheckpointFile.carried).path)
        try writeFileAtomically(path: folder.appendingPathComponent(CheckpointFile.state).path, bytes: state)
        try writeFileAtomically(
            path: folder.appendingPathComponent(CheckpointFile.configuration).path,
            bytes: [UInt8](configurationYAML.utf8))
        let sums = try CheckpointFile.all.map {
            "\(try Checksum.sha256(ofFile: folder.appendingPathComponent($0).path))  \($0)\n"
        }
        try writeFileAtomically(
            path: folder.appendingPathComponent(CheckpointFile.sums).path, bytes: [UInt8](sums.joined().utf8))
    }
}

/// One checkpoint on the disk.
public struct Checkpoint: Sendable {
    /// The folder.
    public let url: URL
    /// The file of weights: the checkpoint's own, or one that somebody put beside it or that stands alone.
    public let weightsURL: URL

    public var path: String { url.path }

    /// The checkpoint that a path on the command line means: a checkpoint folder itself, any file of weights, or a run
    /// folder, of which the best one is taken, or the latest where there is no best yet.
    ///
    /// - Throws: `CheckpointError.noCheckpoint`; `.file` for an index that cannot be read; `RecordError.unreadable` for
    ///   a path that cannot be looked at.
    public init(at path: URL) throws {
        if path.pathExtension == "safetensors" {
            self.init(url: path.deletingLastPathComponent(), weights: path)
            return
        }
        if try Files.exists(path.appendingPathComponent(CheckpointFile.model)) {
            self.init(url: path)
            return
        }
        let store = try CheckpointStore(runFolder: path)
        guard let checkpoint = store.best ?? store.latest else { throw CheckpointError.noCheckpoint(path: path.path) }
        self = checkpoint
    }

    /// A folder that holds the files of a checkpoint.
    public init(url: URL) { self.init(url: url, weights: url.appendingPathComponent(CheckpointFile.model)) }

    private init(url: URL, weights: URL) { (self.url, weightsURL) = (url, weights) }

    /// The weights, with the texts about them. Whoever needs more than one thing of them keeps the file: it is read
    /// whole and checked against its checksum.
    ///
    /// - Throws: As `tensorFile`.
    public func weights() throws -> SafetensorsFile { try tensorFile(weightsURL.lastPathComponent) }

    /// The resolved configuration of the run, decoded no further.
    ///
    /// - Throws: As `check`; `CheckpointError.file` for a file that cannot be read; `ConfigurationError`.
    public func configuration() throws -> ConfigurationNode {
        let file = url.appendingPathComponent(CheckpointFile.configuration)
        try check(CheckpointFile.configuration)
        let text: String
        do {
            text = try String(contentsOf: file, encoding: .utf8)
        } catch {
            throw CheckpointError.file(path: file.path, reason: "cannot be read: \(error.localizedDescription)")
        }
        return try ConfigurationNode(yaml: text, path: file.path)
    }

    func state<State: Decodable>(_ type: State.Type) throws -> State {
        let file = url.appendingPathComponent(CheckpointFile.state)
        try check(CheckpointFile.state)
        do {
            return try StableJSON.decode(type, from: [UInt8](Data(contentsOf: file)))
        } catch {
            throw CheckpointError.file(
                path: file.path, reason: "no readable state of a run: \(StableJSON.fault(error))")
        }
    }

    /// The step after which it was written; nil where the weights stand without a state, as committed ones do.
    public var step: Int? {
        struct State: Decodable {
            struct Training: Decodable { let step: Int }
            let training: Training
        }
        return (try? state(State.self)).map(\.training.step).flatMap { $0 < 0 ? nil : $0 }
    }

    /// The tensors of one of the checkpoint's files.
    ///
    /// - Throws: As `tensorFile`.
    public func tensors(_ name: String) throws -> [NamedTensor] {
        let file = try tensorFile(name)
        return try file.entries.map {
            NamedTensor(name: $0.name, shape: $0.shape, values: try file.floats($0.name))
        }
    }

    /// One of the checkpoint's files, or weights that somebody put beside them.
    ///
    /// - Throws: As `check`; `SafetensorsError`.
    public func tensorFile(_ name: String) throws -> SafetensorsFile {
        try check(name)
        return try SafetensorsFile(path: url.appendingPathComponent(name).path)
    }

    /// Checks a file against its checksum, where the checkpoint has one.
    ///
    /// - Throws: `CheckpointError.file` for another sum, and for sums that the state names and that are not there;
    ///   `RecordError.unreadable` for a folder that cannot be looked at.
    func check(_ name: String) throws {
        struct Names: Decodable { let checksums: String? }
        let sums = url.appendingPathComponent(CheckpointFile.sums), file = url.appendingPathComponent(name)
        guard try Files.exists(sums) else {
            let state = try? Data(contentsOf: url.appendingPathComponent(CheckpointFile.state))
            let names = state.flatMap { try? StableJSON.decode(Names.self, from: [UInt8]($0)) }
            if let missing = names?.checksums {
                throw CheckpointError.file(
                    path: url.appendingPathComponent(missing).path, reason: "missing: the checkpoint is damaged")
            }
            return
        }
        do {
            let lines = try String(contentsOf: sums, encoding: .utf8).split(separator: "\n")
            guard let line = lines.first(where: { $0.hasSuffix("  \(name)") }) else {
                // Weights that somebody put beside the checkpoint's own.
                if !CheckpointFile.all.contains(name) { return }
                throw CheckpointError.file(path: sums.path, reason: "damaged: expected a line of \(name), found none")
            }
            let expected = String(line.dropLast(name.utf8.count + 2))
            let found = try Checksum.sha256(ofFile: file.path)
            guard found == expected else {
                throw CheckpointError.file(
                    path: file.path,
                    reason: "damaged: expected the SHA-256 \(expected), found \(found);"
                        + " resume from a copy, or begin anew")
            }
        } catch let error as CheckpointError {
            throw error
        } catch {
            throw CheckpointError.file(path: file.path, reason: "cannot be checked: \(error)")
        }
    }

    /// Copies the tensors of a file into those of the same names: all of them, or after an error none.
    ///
    /// - Parameters:
    ///   - targets: What the file must hold, by name, and nothing else.
    ///   - name: One of the checkpoint's files; nil for its weights.
    /// - Throws: `CheckpointError.otherModel` naming the first tensor that does not fit, `.file` for another sum;
    ///   `SafetensorsError` where the file cannot be read.
    public func restore(_ targets: [(name: String, tensor: Tensor)], from name: String? = nil) throws {
        try Self.restore(targets, from: try name.map(tensorFile) ?? weights())
    }

    /// The same from a file that was read before.
    public static func restore(
        _ targets: [(name: String, tensor: Tensor)], from file: SafetensorsFile
    ) throws(CheckpointError) {
        do {
            try file.copy(to: targets)
        } catch {
            throw .otherModel(error)
        }
    }
}
