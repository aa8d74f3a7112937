import Foundation
import Safetensors

/// A committed run, `runs/CONFIG/SEED` of an experiment. Where it has weights, `model.safetensors` beside its record,
/// the folder can be given wherever a checkpoint is asked for.
public struct CommittedRun {
    /// The best checkpoint's weights may be kept up to this many bytes; in half precision a model of one layer of 1000
    /// units is within it.
    public static let greatestSize = 12_000_000

    public let folder: URL
    public let record: RunRecord

    /// `CONFIG`, and the seed where it is not 0.
    public var name: String { record.seed == 0 ? record.configuration : "\(record.configuration)/\(record.seed)" }

    /// The words of the row that the run is of.
    public var row: String { Self.rowName(record.configuration, budget: record.budget) }

    /// All of an experiment, by configuration and seed.
    ///
    /// - Parameter damaged: Told of those whose record or folder cannot be read, which are left out.
    public static func all(in experiment: URL, damaged: (any Error) -> Void) -> [CommittedRun] {
        runs(in: experiment, damaged: damaged) { RunFolder(url: $0).holdsRecord }
    }

    /// Those that have weights.
    public static func withWeights(in experiment: URL, damaged: (any Error) -> Void) -> [CommittedRun] {
        runs(in: experiment, damaged: damaged) {
            FileManager.default.fileExists(atPath: $0.appendingPathComponent(CheckpointFile.model).path)
        }
    }

    private static func runs(
        in experiment: URL, damaged: (any Error) -> Void, where isWanted: (URL) -> Bool
    ) -> [CommittedRun] {
        let runs = experiment.appendingPathComponent("runs", isDirectory: true)
        return RunFolder.seeds(in: runs, damaged: damaged).filter(isWanted).compactMap { run in
            Files.unlessDamaged(damaged) {
                CommittedRun(folder: run, record: try RunRecord(contentsOf: RunFolder(url: run).record))
            }
        }
    }

    /// One a row of the paper and data set: the run with the most steps, then the best validation; in the order of the
    /// names. Runs on a generated sample are of no row.
    public static func longestOfEachRow(among all: [CommittedRun]) -> [CommittedRun] {
        // Losses on different data cannot be compared.
        func key(_ run: CommittedRun) -> [String] { [run.row, run.record.data.name] }
        return all.filter { !$0.record.data.isSample }.inGroups { key($0) == key($1) }.compactMap(longest(among:))
    }

    /// The run that a name means: a configuration, or a row by the words of its configuration without the table and the
    /// budget, such as `hyper-wide-resnet-40-1`, either with `/SEED`: of several the run with the most steps, then the
    /// one with the best validation.
    ///
    /// - Parameter tables: Those of the paper: of a row on several data sets the one of the first table is meant.
    public static func named(_ name: String, among all: [CommittedRun], tables: [PaperTable]) -> CommittedRun? {
        if let exact = all.first(where: { $0.name == name }) { return exact }
        func isNamed(_ run: CommittedRun, _ word: String) -> Bool {
            name == word || name == "\(word)/\(run.record.seed)"
        }
        if let run = longest(among: all.filter { isNamed($0, $0.record.configuration) }) { return run }
        /// The first table of a run's data.
        func table(_ run: CommittedRun) -> Int {
            tables.firstIndex { DataDescription.isName(run.record.data.name, of: $0.dataName) } ?? tables.count
        }
        let ofRow = all.filter { isNamed($0, $0.row) }
        let first = ofRow.map(table).min()
        return longest(among: ofRow.filter { table($0) == first })
    }

    /// The run with the most planned steps (one that stopped early counts in full); then the fewest wrong predictions,
    /// where they are counted; then the lowest validation loss; then the lowest seed.
    private static func longest(among runs: [CommittedRun]) -> CommittedRun? {
        runs.max { left, right in
            func rank(_ record: RunRecord) -> (Int, Int, Double, Int) {
                (
                    record.training.stepsPlanned, -(record.validation?.wrong ?? 0),
                    -(record.validation?.lossNats ?? .infinity), -record.seed
                )
            }
            return rank(left.record) < rank(right.record)
        }
    }

    /// `table3-layer-norm-hyperlstm-quick` to `layer-norm-hyperlstm`.
    static func rowName(_ configuration: String, budget: String) -> String {
        // The name of a run that searched for a rate holds `peak-RATE`, at the end or before the row's words; its
        // budget may end in `peak`, which the name does not repeat.
        let budgetWords = budget.replacingOccurrences(of: " ", with: "-").replacing(/-peak$/, with: "")
        var name = configuration.replacing(/^[a-z0-9]+-/, with: "").replacing(/-peak-[\d.]+$/, with: "")
        if name.hasSuffix("-\(budgetWords)") { name.removeLast(budgetWords.count + 1) }
        if name.hasPrefix(budgetWords + "-") { name.removeFirst(budgetWords.count + 1) }
        return name.replacing(/^peak-[\d.]+-/, with: "")
    }

    /// Puts a finished run among the committed records: record, configuration, log, and the best checkpoint's weights,
    /// which are checked against their checksum, or none.
    ///
    /// - Parameters:
    ///   - run: The run's folder.
    ///   - experiment: The experiment's folder in the checkout.
    ///   - half: Whether to round the weights to half precision.
    ///   - replace: Whether another record, or other weights, in its place may be overwritten.
    ///   - withoutWeights: Whether to keep record, configuration and log alone.
    /// - Throws: `KeepError`, `RecordError`, `CheckpointError`, `SafetensorsError`.
    public static func keep(
        _ run: URL, in experiment: URL, half: Bool, replace: Bool, withoutWeights: Bool = false
    ) throws -> CommittedRun {
        let source = RunFolder(url: run)
        guard source.holdsRecord else { throw RecordError.noRun(path: run.path) }
        let record = try RunRecord(contentsOf: source.record)
        guard record.status == .finished else {
            throw KeepError.unfinished(path: run.path, status: record.status.rawValue)
        }
        let folder = RunFolder.url(
            of: record.configuration, seed: record.seed, in: experiment.appendingPathComponent("runs"))
        let existing = RunFolder(url: folder)
        if !replace, existing.holdsRecord, try RunRecord(contentsOf: existing.record) != record {
            throw KeepError.otherRecord(path: folder.path)
        }

        let weights = withoutWeights ? nil : try encodedWeights(of: run, half: half)
        // All of them are read before anything is written.
        var files = try [source.configuration, source.log, source.record].map {
            (name: $0.lastPathComponent, bytes: try Files.bytes(of: $0))
        }
        if let weights { files.append((CheckpointFile.model, weights)) }
        let weightsInPlace = folder.appendingPathComponent(CheckpointFile.model)
        let hasWeights = try Files.exists(weightsInPlace)
        if hasWeights, !replace {
            let earlier = try Files.bytes(of: weightsInPlace)
            guard earlier == weights else {
                throw KeepError.otherWeights(
                    path: weightsInPlace.path, bytes: earlier.count, found: weights?.count ?? 0)
            }
        }
        try Files.makeFolder(folder)
        // Weights of the run before would stand beside the record of this one.
        if hasWeights, weights == nil {
            do {
                try FileManager.default.removeItem(at: weightsInPlace)
            } catch {
                throw RecordError.unwritable(path: weightsInPlace.path, reason: error.localizedDescription)
            }
        }
        for file in files { try Files.write(file.bytes, to: folder.appendingPathComponent(file.name)) }
        return CommittedRun(folder: folder, record: record)
    }

    /// The best checkpoint's weights as the file that is kept.
    private static func encodedWeights(of run: URL, half: Bool) throws -> [UInt8] {
        let weights = try Checkpoint(at: run).weights()
        var kept = SafetensorsFile(metadata: weights.metadata)
        for entry in weights.entries {
            let values = try weights.floats(entry.name)
            if let value = values.first(where: { half ? !Float16($0).isFinite : !$0.isFinite }) {
                throw KeepError.notFinite(path: weights.errorPath, name: entry.name, value: value, half: half)
            }
            kept.append(
                entry.name, shape: entry.shape, half ? .float16(values.map { Float16($0) }) : .float32(values))
        }
        let bytes = kept.encoded()
        guard bytes.count <= greatestSize else {
            throw KeepError.tooLarge(path: weights.errorPath, bytes: bytes.count, half: half)
        }
        return bytes
    }
}

/// Why a run cannot be put among the committed records.
public enum KeepError: Error, Equatable, CustomStringConvertible {
    case unfinished(path: String, status: String)
    case otherRecord(path: String)
    /// The run's record is there already, with weights that differ, as those in the other precision do.
    case otherWeights(path: String, bytes: Int, found: Int)
    case tooLarge(path: String, bytes: Int, half: Bool)
    /// A weight is not finite as the type of number that is to be kept.
    case notFinite(path: String, name: String, value: Float, half: Bool)

    public var description: String {
        switch self {
        case .unfinished(let path, let status):
            return "\(path): the run's status is '\(status)', expected 'finished': resume it first"
        case .otherRecord(let path):
            return "\(path) holds the record of another run: --replace overwrites it"
        case .otherWeights(let path, let bytes, 0):
            return "\(path): \(grouped(bytes)) bytes of weights of this run are there already: --replace removes them"
        case .otherWeights(let path, let bytes, let found):
            return "\(path): \(grouped(bytes)) bytes of weights of this run are there already, and differ from the"
                + " \(grouped(found)) to be kept (was the first copy made with or without --half or"
                + " --without-weights?): --replace overwrites them"
        case .tooLarge(let path, let bytes, let half):
            let advice = half ? "--without-weights keeps the record alone" : "--half rounds them to half precision"
            return
                "\(path): \(grouped(bytes)) bytes of weights, at most \(grouped(CommittedRun.greatestSize)) are kept:"
                + " \(advice)"
        case .notFinite(let path, let name, let value, let half):
            return
                "\(path): \(name): expected finite weights"
                + (half ? " of at most 65,504, the greatest number in half precision" : "") + ", found \(value)"
                + (half && value.isFinite ? ": keep them without --half" : "")
        }
    }
}
