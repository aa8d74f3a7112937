import ExperimentKit
import Foundation
import Testing

/// A program of the package, built beside the one that runs the tests.
struct BuiltProgram {
    struct Output {
        let status: Int32
        let text: String
        let errors: String
    }

    let name: String

    var url: URL {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent(name)
    }

    /// A process of the program, in a shell so that limits can be set before it starts.
    func start(_ arguments: [String], before: String = "") throws -> (Process, Pipe, Pipe) {
        try #require(FileManager.default.isExecutableFile(atPath: url.path), "\(url.path) is not built")
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", before + " exec \"$0\" \"$@\"", url.path] + arguments
        process.standardOutput = output
        process.standardError = errors
        process.currentDirectoryURL = checkout.url
        // Another checkout of the user's is none of this test's; one that needs the variable sets it in `before`.
        process.environment = ProcessInfo.processInfo.environment.filter { $0.key != ProjectFolder.variable }
        try process.run()
        return (process, output, errors)
    }

    func run(_ arguments: [String], before: String = "") throws -> Output {
        let (process, output, errors) = try start(arguments, before: before)
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let errorText = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let status =
            process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
        return Output(
            status: status, text: String(decoding: text, as: UTF8.self),
            errors: String(decoding: errorText, as: UTF8.self))
    }
}
