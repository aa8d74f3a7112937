import ArgumentParser
import Datasets
import ExperimentKit
import Foundation

/// The figure that `verify` reads again with committed weights, or why there is none.
public enum VerifiedReading {
    case read(Double)
    /// Read in part, so that there is nothing to compare it with.
    case readPart(Double, of: String)
    /// Not read because the data are not there.
    case unread(String)
    /// Weights or data that are there and cannot be read: why.
    case failed(String)
}

/// One line of what `verify` prints: a reading beside the record's figure.
struct VerifiedFigure {
    let name: String
    let metric: Metric
    let recorded: Double
    /// The greatest difference that rounding explains.
    let tolerance: Double
    let reading: VerifiedReading

    /// Whether the reading differs from the record by more than rounding.
    var differs: Bool {
        guard case .read(let value) = reading else { return false }
        // A NaN lies within no tolerance.
        return !(abs(value - recorded) <= tolerance)
    }

    var hasFailed: Bool { if case .failed = reading { true } else { false } }

    fileprivate var cells: [String] {
        let start = [name, metric.axis, metric.digits(recorded)]
        switch reading {
        case .read(let value):
            return start + [
                metric.digits(value), signed(value - recorded, metric.decimals), differs ? "DIFFERS" : "the same",
            ]
        case .readPart(let value, let part): return start + [metric.digits(value), "-", part]
        case .unread(let reason): return start + ["-", "-", reason]
        case .failed(let reason): return start + ["-", "-", "FAILED: \(reason)"]
        }
    }
}

/// The work of every experiment's `verify`: reads the figures of the committed weights whose records have one, and
/// prints them beside the records'.
///
/// - Parameters:
///   - data: Where the test splits are looked for.
///   - tolerance: The greatest difference that rounding explains, in the unit of the experiment's metric.
///   - read: Reads the test split with one set of weights, as its record says that it was read. What it throws fails
///     this set alone.
/// - Throws: `UserError` if a figure differs from its record or could not be read, or if none of them was; after a stop
///   `ExitCode`, once the figures that were read by then are printed.
public func verifyCommittedWeights<Work: Experiment>(
    of experiment: Work.Type, data: DataOptions, threads: ThreadOptions, tolerance: Double,
    read: (CommittedRun, _ recorded: SplitEvaluation) throws -> VerifiedReading
) throws {
    var damages: [any Error] = []
    let weights = CommittedRun.withWeights(in: try experimentFolder(Work.program)) { damages.append($0) }
    try threads.configure()
    catchSignals()
    let (figures, stop) = verifiedFigures(of: weights, metric: Work.metric, tolerance: tolerance, read: read)
    try writeResult(
        alignedColumns(
            [["weights", "test figure", "record", "this machine", "difference", "status"]] + figures.map(\.cells),
            width: terminalWidth(of: STDOUT_FILENO)))
    if let stop { throw ExitCode(128 + stop.signal) }
    try requireRecordedFigures(figures, damages: damages, data: data.folder)
}

/// The figures of all weights, or those that were read before a stop.
func verifiedFigures(
    of weights: [CommittedRun], metric: Metric, tolerance: Double,
    read: (CommittedRun, SplitEvaluation) throws -> VerifiedReading
) -> (figures: [VerifiedFigure], stop: Interrupted?) {
    var figures: [VerifiedFigure] = []
    for kept in weights {
        guard let test = kept.record.test, let recorded = metric.value(test) else { continue }
        let reading: VerifiedReading
        do {
            reading = try read(kept, test)
        } catch let stop as Interrupted {
            return (figures, stop)
        } catch DatasetError.missing(let title, _, _, _) {
            reading = .unread("\(title) is not in the data folder")
        } catch {
            reading = .failed("\(error)")
        }
        figures.append(
            VerifiedFigure(
                name: kept.name, metric: metric, recorded: recorded, tolerance: tolerance, reading: reading))
    }
    return (figures, nil)
}

/// - Parameter damages: Why the records of other weights could not be read.
func requireRecordedFigures(_ figures: [VerifiedFigure], damages: [any Error], data: DataFolder) throws {
    var problems = damages.map { "\($0)" }
    for (words, found) in [
        ("not what the records say", figures.filter(\.differs)), ("not readable", figures.filter(\.hasFailed)),
    ] where !found.isEmpty {
        problems.append("\(words): \(found.map(\.name).joined(separator: ", "))")
    }
    guard problems.isEmpty else { throw UserError(description: problems.joined(separator: "; ")) }
    let read = figures.count { if case .unread = $0.reading { false } else { true } }
    guard read > 0 || figures.isEmpty else {
        throw UserError(
            description: "no figure could be read: the data are not in \(data.path); "
                + "`\(data.downloadCommand(for: []))` downloads them, or name another folder with --data")
    }
}
