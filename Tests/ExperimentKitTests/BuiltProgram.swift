import ExperimentKit
import Foundation
import TestSupport
import Testing

/// A program of the package, as the build has put it beside the tests.
struct BuiltProgram {
    let name: String

    var url: URL {
        get throws { try builtProgram(name) }
    }

    /// Another checkout of the user's is none of these tests'; one that needs the variable sets it in `before`.
    private var environment: [String: String] {
        ProcessInfo.processInfo.environment.filter { $0.key != ProjectFolder.variable }
    }

    /// The program in a shell, so that `before` can set limits or variables.
    private func command(_ arguments: [String], before: String) throws -> [String] {
        try ["/bin/bash", "-c", before + " exec \"$0\" \"$@\"", url.path] + arguments
    }

    /// Starts it in the checkout, with pipes for its output and its errors.
    func start(_ arguments: [String], before: String = "") throws -> (Process, Pipe, Pipe) {
        let command = try command(arguments, before: before)
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardOutput = output
        process.standardError = errors
        process.currentDirectoryURL = checkout.url
        process.environment = environment
        try process.run()
        return (process, output, errors)
    }

    /// Runs it to its end in the checkout.
    func run(_ arguments: [String], before: String = "") throws -> ProgramOutcome {
        try execute(try command(arguments, before: before), environment: environment, in: checkout.url)
    }

    /// Expects calls with these arguments to fail, each with these words among its errors and without output.
    func expectRefusals(_ calls: [(arguments: [String], words: [String])]) throws {
        for (arguments, words) in calls {
            let outcome = try run(arguments)
            #expect(outcome.status != 0 && outcome.output.isEmpty, "\(arguments)")
            for word in words { #expect(outcome.errors.contains(word), "\(arguments): \(outcome.errors)") }
        }
    }
}
