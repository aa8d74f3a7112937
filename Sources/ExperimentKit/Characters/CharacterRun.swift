import Compute
import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork
import Safetensors

/// One run of one configuration with one seed: training, selection by validation, the reported figures, the record.
///
/// Its folder `<out>/<configuration>/<seed>` holds
///
///     config.yaml     the resolved configuration        record.json     what was run, where, and what came out
///     steps.jsonl     a line for each logged step       checkpoints/    the latest and the best (not for git)
public final class CharacterRun {
    /// How a call of `run()` ended.
    public enum End: Equatable, Sendable {
        case finished
        case interrupted(signal: Int32)
    }

    public let folder: URL
    public let configuration: CharacterConfiguration
    public private(set) var record: RunRecord
    private let corpus: CharacterCorpus
    private let resolvedYAML: String
    private let progress: any ProgressReporter
    private let interruption: Interruption
    private let isResumed: Bool

    private var recordURL: URL { folder.appendingPathComponent("record.json") }
    private var log: StepLog { StepLog(url: folder.appendingPathComponent("steps.jsonl")) }

    /// The folder of a run.
    public static func folder(in out: URL, configuration: String, seed: Int) -> URL {
        out.appendingPathComponent(configuration, isDirectory: true).appendingPathComponent("\(seed)", isDirectory: true)
    }

    // MARK: - Beginning and resuming

    /// Begins a run: makes its folder, with the resolved configuration and a first record.
    ///
    /// - Throws: `RecordError.runExists` if the folder already holds one; `RecordError.unwritable`;
    ///   `ConfigurationError` if the configuration does not decode.
    public init(
        beginning file: ConfigurationFile, seed: Int, corpus: CharacterCorpus, out: URL, code: RunRecord.Code,
        progress: any ProgressReporter, interruption: Interruption
    ) throws {
        configuration = try CharacterConfiguration(file.root)
        folder = Self.folder(in: out, configuration: file.name, seed: seed)
        self.corpus = corpus
        self.progress = progress
        self.interruption = interruption
        isResumed = false
        resolvedYAML = file.root.yaml
        record = RunRecord(
            configuration: file, decoded: configuration, seed: seed, code: code,
            data: RunRecord.Data(corpus, name: configuration.corpus),
            parameterCount: configuration.model.parameterCount(vocabularySize: corpus.vocabulary.count))
        if let existing = try? RunRecord(contentsOf: recordURL) {
            throw RecordError.runExists(path: folder.path, step: existing.training.stepsDone)
        }
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try writeFileAtomically(
                path: folder.appendingPathComponent("config.yaml").path, bytes: [UInt8](resolvedYAML.utf8))
        } catch {
            throw RecordError.unwritable(path: folder.path, reason: "\(error)")
        }
        try record.write(to: recordURL)
    }

    /// The configuration of a run in a folder, so that its corpus can be opened.
    ///
    /// - Throws: `RecordError.noRun`, `ConfigurationError`.
    public static func configuration(of folder: URL) throws -> CharacterConfiguration {
        let url = folder.appendingPathComponent("config.yaml")
        guard FileManager.default.fileExists(atPath: url.path),
            FileManager.default.fileExists(atPath: folder.appendingPathComponent("record.json").path)
        else { throw RecordError.noRun(path: folder.path) }
        return try CharacterConfiguration(try ConfigurationFile(contentsOf: url).root)
    }

    /// Goes on with the run in a folder from its latest checkpoint; the folder's own `config.yaml` says how.
    ///
    /// - Throws: `RecordError.noRun`; `CheckpointError.otherData` if the corpus is not the one it was begun with.
    public init(
        resuming folder: URL, corpus: CharacterCorpus, progress: any ProgressReporter, interruption: Interruption
    ) throws {
        configuration = try Self.configuration(of: folder)
        self.folder = folder
        self.corpus = corpus
        self.progress = progress
        self.interruption = interruption
        isResumed = true
        resolvedYAML = try String(contentsOf: folder.appendingPathComponent("config.yaml"), encoding: .utf8)
        record = try RunRecord(contentsOf: folder.appendingPathComponent("record.json"))
        let found = RunRecord.Data(corpus, name: configuration.corpus)
        guard found.files == record.data.files else {
            throw CheckpointError.otherData(
                what: "the checksums of \(record.data.displayName)",
                expected: record.data.files.map { $0.sha256.prefix(12) }.joined(separator: " "),
                found: found.files.map { $0.sha256.prefix(12) }.joined(separator: " "))
        }
    }

    // MARK: - Running

    /// Trains to the end, chooses the checkpoint by validation, reads the reported splits, completes the record.
    ///
    /// - Throws: `TrainingError.notFinite` (the record says so); `CheckpointError`, `RecordError`.
    public func run() throws -> End {
        if record.status == .finished { return .finished }
        let seed = UInt64(record.seed)
        let model = CharacterModel(
            configuration: configuration.model, vocabularySize: corpus.vocabulary.count, seed: seed)
        let evaluator = CharacterEvaluator(
            sequenceLength: configuration.training.sequenceLength, interruption: interruption, progress: progress)
        let task = try CharacterTask(
            model: model, configuration: configuration, corpus: corpus, seed: seed, evaluator: evaluator)
        let training = configuration.training
        let adam = Adam(
            parameters: model.parameters, beta1: Float(training.adam.beta1), beta2: Float(training.adam.beta2),
            epsilon: Float(training.adam.epsilon))
        let checkpoints = CheckpointStore(runFolder: folder)
        let loop = TrainingLoop(
            task: task, optimizer: adam,
            settings: TrainingLoopSettings(
                steps: training.steps, learningRate: training.learningRate, clipNorm: training.clipNorm,
                validate: configuration.evaluation.validate, patience: training.patience, logEvery: training.logEvery,
                checkpointEvery: training.checkpointEvery),
            checkpoints: checkpoints, stepLog: log, progress: progress, interruption: interruption,
            configurationYAML: resolvedYAML, modelMetadata: try modelMetadata(),
            onMilestone: { [self] state in try update(from: state) })
        // A run killed before its first checkpoint starts over, which is the same as going on from step 0.
        if isResumed, checkpoints.latest != nil {
            try loop.restore()
            progress.report(.note("resumed at step \(grouped(loop.state.step)) of \(grouped(training.steps))"))
        }
        let environment = RunRecord.Environment.current
        if record.environments.last != environment { record.environments.append(environment) }
        record.status = .running
        record.stopReason = nil
        try update(from: loop.state)

        let end: TrainingEnd
        do {
            end = try loop.run()
        } catch let error as TrainingError {
            record.status = .notFinite
            record.stopReason = "\(error)"
            try record.write(to: recordURL)
            throw error
        }
        if case .interrupted(let signal) = end { return try stop(signal: signal) }
        record.training.stoppedEarly = end == .stoppedEarly
        do {
            try report(model, evaluator: evaluator, checkpoints: checkpoints)
        } catch let interrupted as Interrupted {
            return try stop(signal: interrupted.signal)
        }
        return .finished
    }

    /// Reads the reported figures with the best checkpoint: validation, then the test split, once.
    private func report(_ model: CharacterModel, evaluator: CharacterEvaluator, checkpoints: CheckpointStore) throws {
        guard let best = checkpoints.best else { throw CheckpointError.noCheckpoint(path: folder.path) }
        try best.restoreParameters(model.parameters)
        let streams = configuration.evaluation.reportedStreams
        let step = record.training.selectedStep ?? record.training.stepsDone
        let validation = try evaluator.evaluate(
            model, symbols: corpus.validation, streams: streams, name: "validation")
        progress.report(.evaluated(split: "validation", step: step, result: validation, isBest: false))
        let test = try evaluator.evaluate(model, symbols: corpus.test, streams: streams, name: "test")
        progress.report(.evaluated(split: "test", step: step, result: test, isBest: false))
        record.validation = validation
        record.test = test
        record.training.wallSeconds += validation.seconds + test.seconds
        record.status = .finished
        try record.write(to: recordURL)
    }

    private func stop(signal: Int32) throws -> End {
        record.status = .interrupted
        record.stopReason = "signal \(signal)"
        try record.write(to: recordURL)
        return .interrupted(signal: signal)
    }

    private func update(from state: TrainingState) throws {
        record.training.stepsDone = state.step
        record.training.selectedStep = state.best?.step
        record.training.selectionValidation = state.best?.validation
        record.training.trainingSeconds = state.trainingSeconds
        record.training.secondsPerStep = state.step > 0 ? state.trainingSeconds / Double(state.step) : nil
        record.training.wallSeconds = state.wallSeconds
        try record.write(to: recordURL)
    }

    /// What the weights' file says of itself: the model's configuration and the bytes of the vocabulary in order.
    private func modelMetadata() throws -> [String: String] {
        let json = String(decoding: try StableJSON.encodeLine(configuration.model), as: UTF8.self)
        return [
            "model": json.trimmingCharacters(in: .newlines),
            "vocabulary": corpus.vocabulary.bytes.map(String.init).joined(separator: " "),
            "corpus": corpus.name,
        ]
    }
}
