import Datasets
import ExperimentKit
import Foundation

/// An experiment's own folder in the checkout.
///
/// - Throws: `UserError` outside a checkout.
func experimentFolder(_ experiment: String) throws -> URL { try projectFolder().experiment(experiment) }

/// The checkout.
///
/// - Throws: `UserError` outside of one.
public func projectFolder() throws -> ProjectFolder {
    if let project = ProjectFolder.locate() { return project }
    throw UserError(
        description: "no checkout of the project from the working directory and from the program upward: name it with"
            + " --project DIR")
}

/// Checks that a command overwrites nothing but what it has written itself: another file may be a run's record or its
/// only checkpoint.
///
/// - Parameters:
///   - what: What the command writes, for the message.
///   - isOwn: Whether the file that is there is such a one.
/// - Throws: `UserError`; `RecordError.unreadable` where the system does not say what is there.
public func requireReplaceable(_ file: URL, by what: String, isOwn: () throws -> Bool) throws {
    guard try Files.exists(file), try !isOwn() else { return }
    throw UserError(
        description: "\(file.path): there already, and no \(what): name another file with --output, or remove it")
}

/// Refuses folders that the environment names in other bytes than UTF-8: as texts they would be other folders.
///
/// - Throws: `UserError`.
func requireReadableVariables() throws {
    for name in [ProjectFolder.variable, DataFolder.environmentVariable] {
        guard let value = getenv(name), String(validatingCString: value) == nil else { continue }
        throw UserError(
            description: "\(name), '\(String(cString: value))', is not UTF-8 text: rename the folder, or name it"
                + " through a symbolic link")
    }
}
