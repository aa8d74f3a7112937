import ExperimentKit
import Foundation

/// The folder or file of weights that an argument means: a path, or the name of committed weights.
///
/// - Throws: `UserError` that lists what there is; `RecordError.otherProgram`.
public func modelLocation<Work: Experiment>(_ argument: String, of experiment: Work.Type) throws -> URL {
    if FileManager.default.fileExists(atPath: argument) {
        let location = try onlySeed(in: URL(fileURLWithPath: argument))
        if let run = owningRun(of: location), run.record.experiment != Work.program {
            throw RecordError.otherProgram(
                path: run.folder.path, expected: Work.program, found: run.record.experiment)
        }
        return location
    }
    let weights = ProjectFolder.locate().map { committedWeights(in: $0.experiment(Work.program)) } ?? []
    if let found = CommittedRun.named(argument, among: weights, tables: Work.tables) {
        note("\(argument): \(found.name), \(grouped(found.record.training.stepsDone)) steps, in \(found.folder.path)")
        return found.folder
    }
    // Whatever looks like a path is one; what reads it says what is missing there.
    if argument.contains("/") || argument.hasSuffix(".safetensors") { return URL(fileURLWithPath: argument) }
    let names = weights.map(\.name)
    let nearest =
        nearestName(to: argument, among: names + weights.map(\.row)).map { "the nearest name is '\($0)'; " } ?? ""
    throw UserError(
        description: "\(argument): neither a path nor committed weights; \(nearest)"
            + (names.isEmpty ? "no weights are committed" : "committed are \(names.joined(separator: ", "))"))
}

/// The same for each argument; without any the committed weights of every row, of several budgets the longest.
///
/// - Throws: `UserError` also where two have one short name, by which files are called.
public func modelLocations<Work: Experiment>(
    _ arguments: [String], of experiment: Work.Type
) throws -> [(name: String, url: URL)] {
    if arguments.isEmpty {
        let weights = committedWeights(in: try experimentFolder(Work.program))
        return CommittedRun.longestOfEachRow(among: weights).map { ($0.name, $0.folder) }
    }
    for (index, argument) in arguments.enumerated() {
        guard let other = arguments[..<index].first(where: { shortName($0) == shortName(argument) }) else { continue }
        throw UserError(
            description: "\(other) and \(argument) are both called \(shortName(argument)), and so would their pictures"
                + " be: draw one at a time, with an --output of its own")
    }
    return try arguments.map { ($0, try modelLocation($0, of: experiment)) }
}

/// The committed weights of an experiment; those whose record is damaged are named and left out.
private func committedWeights(in experiment: URL) -> [CommittedRun] {
    CommittedRun.withWeights(in: experiment) { note("left out: \($0)") }
}

/// The run that a folder of weights belongs to: the folder is its own, or its checkpoints/step-….
func owningRun(of folder: URL) -> (folder: URL, record: RunRecord)? {
    [folder, folder.deletingLastPathComponent().deletingLastPathComponent()].lazy.compactMap { folder in
        (try? RunRecord(contentsOf: RunFolder(url: folder).record)).map { (folder, $0) }
    }.first
}

/// A folder OUT/CONFIG stands for its only seed.
///
/// - Throws: `UserError` where it has several; `RecordError.unreadable`.
func onlySeed(in folder: URL) throws -> URL {
    let seeds = try Files.folders(in: folder).filter {
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

/// The last part of a path or name with words in it, for titles and file names: `table3-lstm` of `runs/table3-lstm/0`,
/// and of `.` in that folder; `mine` of `mine.safetensors`.
public func shortName(_ model: String) -> String {
    let parts = URL(fileURLWithPath: model).standardizedFileURL.path.split(separator: "/").filter {
        Int($0) == nil && $0 != "checkpoints" && !$0.hasPrefix("step-") && $0 != CheckpointFile.model
    }
    return parts.last.map { $0.replacingOccurrences(of: ".safetensors", with: "") } ?? model
}
