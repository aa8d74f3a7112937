import Datasets
import Foundation
import TestSupport
import Testing

@testable import ExperimentKit

/// What the environment says of folders, as the built `char-hyperlstm` takes it.
@Suite struct SessionTests {
    /// The call that trains the tiny configuration of a test into a folder.
    private func train(_ run: TestRun, _ variables: String) throws -> ProgramOutcome {
        try BuiltProgram(name: "char-hyperlstm").run(
            run.trainArguments(threads: 1, ["--set", "training.steps=2"]), before: variables)
    }

    @Test func aVariableThatNamesNoCheckoutIsNotPassedOver() throws {
        let run = try TestRun()
        let wrong = try train(run, "export \(ProjectFolder.variable)='\(run.folder.path)';")
        #expect(wrong.status == 1 && wrong.output.isEmpty)
        #expect(
            wrong.errors.contains("\(ProjectFolder.variable) expects a checkout of the project")
                && wrong.errors.contains("found none at '\(run.folder.path)'"), "\(wrong.errors)")
        let right = try train(run, "export \(ProjectFolder.variable)='\(checkout.url.path)';")
        #expect(right.status == 0, "\(right.errors)")
    }

    @Test(arguments: [ProjectFolder.variable, DataFolder.environmentVariable])
    func aFolderInOtherBytesThanUTF8IsRefusedByItsVariable(name: String) throws {
        let outcome = try train(try TestRun(), "export \(name)=$'/tmp/\\xff-folder';")
        #expect(outcome.status == 1 && outcome.output.isEmpty)
        #expect(outcome.errors.contains("\(name), '/tmp/") && outcome.errors.contains("not UTF-8"), "\(outcome.errors)")
    }
}
