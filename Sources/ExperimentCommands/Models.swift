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
    @Flag(help: "Round the weights to half precision: half the bytes, the figures to about three digits.")
    var half = false
    @Flag(help: "Overwrite another record in its place.")
    var replace = false
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let kept = try CommittedWeights.keep(
            try onlySeed(in: URL(fileURLWithPath: runFolder, isDirectory: true)),
            in: try experimentFolder(Work.program), half: half, replace: replace)
        note("kept \(kept.name) in \(kept.folder.path); `make results figures` brings the documents in step")
    }
}

/// One line of what `verify` prints: a figure read again from committed weights, beside the record's.
public struct VerifiedFigure {
    /// The result of the reading, or why there is none.
    public enum Outcome {
        case read(Double)
        /// Read in part, so that there is nothing to compare it with.
        case readPart(Double, of: String)
        /// Not read: why.
        case unread(String)
    }

    public let name: String
    public let unit: String
    public let recorded: Double
    public let decimals: Int
    /// The greatest difference that rounding explains.
    public let tolerance: Double
    public let outcome: Outcome

    public init(
        name: String, unit: String, recorded: Double, decimals: Int, tolerance: Double, outcome: Outcome
    ) {
        self.name = name
        self.unit = unit
        self.recorded = recorded
        self.decimals = decimals
        self.tolerance = tolerance
        self.outcome = outcome
    }

    /// Whether the reading differs from the record by more than rounding.
    var differs: Bool {
        guard case .read(let value) = outcome else { return false }
        // A NaN lies within no tolerance.
        return !(abs(value - recorded) <= tolerance)
    }

    fileprivate var cells: [String] {
        switch outcome {
        case .read(let value):
            let difference = value - recorded
            return [
                name, unit, fixed(recorded, decimals), fixed(value, decimals),
                (difference < 0 ? "−" : "+") + fixed(abs(difference), decimals), differs ? "DIFFERS" : "the same",
            ]
        case .readPart(let value, let part):
            return [name, unit, fixed(recorded, decimals), fixed(value, decimals), "-", part]
        case .unread(let reason): return [name, unit, fixed(recorded, decimals), "-", "-", reason]
        }
    }
}

/// The work of every experiment's `verify`: reads the committed weights' figures and prints them beside the records'.
///
/// - Parameter read: Reads the figure of one set of weights; nil where its record has none.
/// - Throws: `UserError` if a figure differs from its record, or none could be read.
public func verifyCommittedWeights<Work: Experiment>(
    of experiment: Work.Type, threads: ThreadOptions, read: (CommittedWeights) throws -> VerifiedFigure?
) throws {
    let weights = try CommittedWeights.all(in: try experimentFolder(Work.program))
    try threads.configure()
    catchSignals()
    let figures = try weights.compactMap(read)
    try writeResult(
        alignedColumns([["weights", "test figure", "record", "this machine", "difference", ""]] + figures.map(\.cells)))
    try requireRecordedFigures(figures)
}

private func requireRecordedFigures(_ figures: [VerifiedFigure]) throws {
    let different = figures.filter(\.differs).map(\.name)
    guard different.isEmpty else {
        throw UserError(description: "not what the records say: \(different.joined(separator: ", "))")
    }
    let read = figures.count { if case .unread = $0.outcome { false } else { true } }
    guard read > 0 || figures.isEmpty else {
        throw UserError(description: "no figure could be read: `make data`, or set HYPERNETWORKS_DATA")
    }
}
