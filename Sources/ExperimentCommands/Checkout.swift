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
