import Foundation
import Safetensors

/// The weights of a committed run: `runs/CONFIG/SEED/model.safetensors` beside its record. The folder can be given
/// wherever a checkpoint is asked for.
public struct CommittedWeights {
    /// The best checkpoint's weights may be kept up to this many bytes; in half precision a model of Penn Treebank is
    /// within it.
    public static let greatestSize = 12_000_000

    public let folder: URL
    public let record: RunRecord

    /// `CONFIG`, and the seed where it is not 0.
    public var name: String { record.seed == 0 ? record.configuration : "\(record.configuration)/\(record.seed)" }

    /// The words of the row that the run is of.
    public var row: String { Self.rowName(record.configuration, budget: record.budget) }

    /// Whether the weights were rounded to half precision.
    public func isHalfPrecision() throws -> Bool {
        try SafetensorsFile(path: folder.appendingPathComponent(CheckpointFile.model).path).entries
            .contains { $0.dtype == .float16 }
    }

    /// All of an experiment, by configuration and seed.
    ///
    /// - Throws: `RecordError`.
    public static func all(in experiment: URL) throws -> [CommittedWeights] {
        let configurations = RunFolder.folders(in: experiment.appendingPathComponent("runs", isDirectory: true))
        return try configurations.flatMap(RunFolder.folders).compactMap { run in
            guard FileManager.default.fileExists(atPath: run.appendingPathComponent(CheckpointFile.model).path)
            else { return nil }
            return CommittedWeights(folder: run, record: try RunRecord(contentsOf: RunFolder(url: run).record))
        }
    }

    /// One a row of the paper: the run with the most steps, then the best validation; in the order of the names.
    public static func longestOfEachRow(in experiment: URL) throws -> [CommittedWeights] {
        let all = try all(in: experiment)
        var seen: Set<String> = []
        return all.map(\.row).filter { seen.insert($0).inserted }.compactMap { longest($0, among: all) }
    }

    /// The weights that a name means: a configuration, `CONFIG/SEED`, or a row by the words of its configuration
    /// without the table and the budget, such as `hyper-wide-resnet-40-1`: of several the run with the most steps, then
    /// the one with the best validation.
    public static func named(_ name: String, among all: [CommittedWeights]) -> CommittedWeights? {
        if let exact = all.first(where: { $0.name == name || "\($0.record.configuration)/\($0.record.seed)" == name }) {
            return exact
        }
        return longest(name, among: all)
    }

    private static func longest(_ row: String, among all: [CommittedWeights]) -> CommittedWeights? {
        all.filter { $0.row == row }.max { left, right in
            func rank(_ record: RunRecord) -> (Int, Double, Int) {
                (record.training.stepsDone, -(record.validation?.lossNats ?? .infinity), -record.seed)
            }
            return rank(left.record) < rank(right.record)
        }
    }

    /// `table3-layer-norm-hyperlstm-quick` to `layer-norm-hyperlstm`.
    static func rowName(_ configuration: String, budget: String) -> String {
        let budgetWords = budget.replacingOccurrences(of: " ", with: "-")
        var name = configuration.replacing(/^[a-z0-9]+-/, with: "")
        if name.hasSuffix("-\(budgetWords)") { name.removeLast(budgetWords.count + 1) }
        if name.hasPrefix(budgetWords + "-") { name.removeFirst(budgetWords.count + 1) }
        // Runs that chose a rate.
        return name.replacing(/^peak-[\d.]+-/, with: "")
    }

    /// Puts a finished run among the committed records: record, configuration, log, and the best checkpoint's weights.
    ///
    /// - Parameters:
    ///   - run: The run's folder.
    ///   - experiment: The experiment's folder in the checkout.
    ///   - half: Whether to round the weights to half precision.
    ///   - replace: Whether another record in its place may be overwritten.
    /// - Throws: `KeepError`, `RecordError`, `CheckpointError`, `SafetensorsError`.
    public static func keep(_ run: URL, in experiment: URL, half: Bool, replace: Bool) throws -> CommittedWeights {
        let source = RunFolder(url: run)
        guard source.holdsRecord else { throw RecordError.noRun(path: run.path) }
        let record = try RunRecord(contentsOf: source.record)
        guard record.status == .finished else {
            throw KeepError.unfinished(path: run.path, status: record.status.rawValue)
        }
        let folder = experiment.appendingPathComponent("runs").appendingPathComponent(record.configuration)
            .appendingPathComponent("\(record.seed)", isDirectory: true)
        let existing = RunFolder(url: folder)
        if !replace, existing.holdsRecord, try RunRecord(contentsOf: existing.record) != record {
            throw KeepError.otherRecord(path: folder.path)
        }

        let model = try Checkpoint(at: run).url.appendingPathComponent(CheckpointFile.model)
        let weights = try SafetensorsFile(path: model.path)
        var kept = SafetensorsFile(metadata: weights.metadata)
        for entry in weights.entries {
            let values = try weights.floats(entry.name)
            kept.append(
                entry.name, shape: entry.shape, half ? .float16(values.map { Float16($0) }) : .float32(values))
        }
        let bytes = kept.encoded()
        guard bytes.count <= greatestSize else {
            throw KeepError.tooLarge(path: model.path, bytes: bytes.count, half: half)
        }
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for file in [source.configuration, source.log, source.record] {
                try writeFileAtomically(
                    path: folder.appendingPathComponent(file.lastPathComponent).path,
                    bytes: [UInt8](try Data(contentsOf: file)))
            }
            try writeFileAtomically(path: folder.appendingPathComponent(CheckpointFile.model).path, bytes: bytes)
        } catch {
            throw RecordError.unwritable(path: folder.path, reason: "\(error)")
        }
        return CommittedWeights(folder: folder, record: record)
    }
}

/// Why a run cannot be put among the committed records.
public enum KeepError: Error, Equatable, CustomStringConvertible {
    case unfinished(path: String, status: String)
    case otherRecord(path: String)
    case tooLarge(path: String, bytes: Int, half: Bool)

    public var description: String {
        switch self {
        case .unfinished(let path, let status):
            return "\(path): the run's status is '\(status)', expected 'finished': resume it first"
        case .otherRecord(let path):
            return "\(path) holds the record of another run: --replace overwrites it"
        case .tooLarge(let path, let bytes, let half):
            return
                "\(path): \(grouped(bytes)) bytes of weights, at most \(grouped(CommittedWeights.greatestSize)) are kept"
                + (half ? "" : ": --half rounds them to half precision")
        }
    }
}
