import ArgumentParser
import ExperimentKit
import Foundation

/// The folder or file of weights that an argument means: a path, or the name of committed weights.
///
/// - Throws: `UserError` that lists what there is; `RecordError.otherProgram`.
public func modelLocation(_ argument: String, experiment: String) throws -> URL {
    if FileManager.default.fileExists(atPath: argument) {
        let location = try onlySeed(in: URL(fileURLWithPath: argument))
        // A run's own folder, or its checkpoints/step-….
        for folder in [location, location.deletingLastPathComponent().deletingLastPathComponent()] {
            let record = try? RunRecord(contentsOf: RunFolder(url: folder).record)
            guard let found = record?.experiment, found != experiment else { continue }
            throw RecordError.otherProgram(path: folder.path, expected: experiment, found: found)
        }
        return location
    }
    let weights = try ProjectFolder.locate().map { try CommittedWeights.all(in: $0.experiment(experiment)) } ?? []
    if let found = CommittedWeights.named(argument, among: weights) {
        note("\(argument): \(found.name), \(grouped(found.record.training.stepsDone)) steps, in \(found.folder.path)")
        return found.folder
    }
    // Whatever looks like a path is one; what reads it says what is missing there.
    if argument.contains("/") || argument.hasSuffix(".safetensors") { return URL(fileURLWithPath: argument) }
    let names = weights.map(\.name)
    throw UserError(
        description: "\(argument): neither a path nor committed weights; "
            + (names.isEmpty ? "no weights are committed" : "committed are \(names.joined(separator: ", "))"))
}

/// The same for each argument; without any the committed weights of every row, of several budgets the longest.
public func modelLocations(_ arguments: [String], experiment: String) throws -> [(name: String, url: URL)] {
    if arguments.isEmpty {
        return try CommittedWeights.longestOfEachRow(in: try experimentFolder(experiment)).map { ($0.name, $0.folder) }
    }
    return try arguments.map { ($0, try modelLocation($0, experiment: experiment)) }
}

/// A folder OUT/CONFIG stands for its only seed.
func onlySeed(in folder: URL) throws -> URL {
    let seeds = RunFolder.folders(in: folder).filter {
        Int($0.lastPathComponent) != nil && RunFolder(url: $0).holdsRecord
    }
    guard let first = seeds.first else { return folder }
    guard seeds.count == 1 else {
        throw UserError(
            description: "\(folder.path) holds the seeds \(seeds.map(\.lastPathComponent).joined(separator: ", ")):"
                + " name one, such as \(first.path)")
    }
    return first
}

/// Says that a model has its weights converted from another type of number, if it has, in the words of `evaluate`.
///
/// - Parameter type: The type that the file holds; nil for none but F32.
public func noteConverted(_ model: String, from type: String?) {
    if type != nil { note(model + convertedNote(type)) }
}

/// `keep`: a finished run's record and weights, copied into the experiment's folder.
public struct Keep<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "keep",
            abstract: "Put a finished run's record and weights among the committed ones.")
    }

    @Argument(
        help: ArgumentHelp("The folder of a finished run, OUT/CONFIG/SEED.", valueName: "run"), completion: .runFolders)
    var runFolder: String
    @Flag(help: "Round the weights to half precision: half the bytes, nearly the same figures.")
    var half = false
    @Flag(help: "Overwrite another record in its place.")
    var replace = false
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let kept = try CommittedWeights.keep(
            try onlySeed(in: URL(fileURLWithPath: runFolder, isDirectory: true)),
            in: try experimentFolder(Work.program), half: half, replace: replace)
        note("kept \(kept.name) in \(kept.folder.path); `make figures` brings pictures and documents in step")
    }
}

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
        let start = [
            name, [metric.label, metric.unit].filter { !$0.isEmpty }.joined(separator: ", "), metric.digits(recorded),
        ]
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
///   - tolerance: The greatest difference that rounding explains, in the unit of the experiment's metric.
///   - read: Reads the test split with one set of weights, as its record says that it was read. What it throws fails
///     this set alone.
/// - Throws: `UserError` if a figure differs from its record or could not be read, or if none was; after a stop
///   `ExitCode`, once the figures that were read by then are printed.
public func verifyCommittedWeights<Work: Experiment>(
    of experiment: Work.Type, threads: ThreadOptions, tolerance: Double,
    read: (CommittedWeights, _ recorded: SplitEvaluation) throws -> VerifiedReading
) throws {
    let weights = try CommittedWeights.all(in: try experimentFolder(Work.program))
    try threads.configure()
    catchSignals()
    let (figures, stop) = verifiedFigures(of: weights, metric: Work.metric, tolerance: tolerance, read: read)
    try writeResult(
        alignedColumns([["weights", "test figure", "record", "this machine", "difference", ""]] + figures.map(\.cells)))
    if let stop { throw ExitCode(128 + stop.signal) }
    try requireRecordedFigures(figures)
}

/// The figures of all weights, or those that were read before a stop.
func verifiedFigures(
    of weights: [CommittedWeights], metric: Metric, tolerance: Double,
    read: (CommittedWeights, SplitEvaluation) throws -> VerifiedReading
) -> (figures: [VerifiedFigure], stop: Interrupted?) {
    var figures: [VerifiedFigure] = []
    for kept in weights {
        guard let test = kept.record.test, let recorded = metric.value(test) else { continue }
        let reading: VerifiedReading
        do {
            reading = try read(kept, test)
        } catch let stop as Interrupted {
            return (figures, stop)
        } catch {
            reading = .failed("\(error)")
        }
        figures.append(
            VerifiedFigure(
                name: kept.name, metric: metric, recorded: recorded, tolerance: tolerance, reading: reading))
    }
    return (figures, nil)
}

func requireRecordedFigures(_ figures: [VerifiedFigure]) throws {
    var problems: [String] = []
    for (words, found) in [
        ("not what the records say", figures.filter(\.differs)), ("not readable", figures.filter(\.hasFailed)),
    ] where !found.isEmpty {
        problems.append("\(words): \(found.map(\.name).joined(separator: ", "))")
    }
    guard problems.isEmpty else { throw UserError(description: problems.joined(separator: "; ")) }
    let read = figures.count { if case .unread = $0.reading { false } else { true } }
    guard read > 0 || figures.isEmpty else {
        throw UserError(description: "no figure could be read: `make data`, or set HYPERNETWORKS_DATA")
    }
}
