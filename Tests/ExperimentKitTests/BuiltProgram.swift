import ExperimentKit
import Foundation
import TestSupport
import Testing

/// A program of the package, built beside the one that runs the tests.
struct BuiltProgram {
    let name: String

    var url: URL {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent(name)
    }

    /// Another checkout of the user's is none of these tests'; one that needs the variable sets it in `before`.
    private var environment: [String: String] {
        ProcessInfo.processInfo.environment.filter { $0.key != ProjectFolder.variable }
    }

    /// The program in a shell, so that `before` can set limits or variables.
    private func command(_ arguments: [String], before: String) throws -> [String] {
        try #require(FileManager.default.isExecutableFile(atPath: url.path), "\(url.path) is not built")
        return ["/bin/bash", "-c", before + " exec \"$0\" \"$@\"", url.path] + arguments
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
}
