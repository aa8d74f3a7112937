import Foundation
import Testing

/// How a program ended.
public struct ProgramOutcome: Sendable {
    /// 128 and the signal's number where one ended it; 127 where there is no such program.
    public let status: Int32
    public let output: String
    public let errors: String
}

/// Runs a program to its end.
///
/// - Parameters:
///   - command: The program, with its path or to be found by PATH, and its arguments.
///   - input: What it reads; nothing without it.
///   - environment: Its variables; without them those of this process.
///   - directory: Where it works; without it where this process does.
public func execute(
    _ command: [String], input: [UInt8] = [], environment: [String: String]? = nil, in directory: URL? = nil
) throws -> ProgramOutcome {
    // Files take any amount of output; a pipe that nobody reads would stop the program.
    let folder = try TemporaryFolder()
    func handle(_ name: String) throws -> FileHandle { try FileHandle(forWritingTo: folder.write([], to: name)) }
    let process = Process(), output = try handle("output"), errors = try handle("errors")
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    if let environment { process.environment = environment }
    if let directory { process.currentDirectoryURL = directory }
    process.standardInput = try FileHandle(forReadingFrom: folder.write(input, to: "input"))
    (process.standardOutput, process.standardError) = (output, errors)
    try process.run()
    process.waitUntilExit()
    try output.close()
    try errors.close()
    let wasKilled = process.terminationReason == .uncaughtSignal
    return ProgramOutcome(
        status: (wasKilled ? 128 : 0) + process.terminationStatus,
        output: String(decoding: try folder.read("output"), as: UTF8.self),
        errors: String(decoding: try folder.read("errors"), as: UTF8.self))
}

/// A program of the package, which the build puts beside the tests; on macOS these lie deeper, in a bundle.
public func builtProgram(_ name: String) throws -> URL {
    let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    let folders = sequence(first: tests.deletingLastPathComponent()) { $0.deletingLastPathComponent() }.prefix(5)
    return try #require(
        folders.map { $0.appendingPathComponent(name) }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) },
        "no program `\(name)` above \(tests.path)")
}

/// What `python3` prints; nil if it fails or is not installed.
public func python(_ arguments: [String], input: [UInt8] = []) -> String? {
    guard let outcome = try? execute(["python3", "-X", "utf8"] + arguments, input: input), outcome.status == 0 else {
        return nil
    }
    return outcome.output
}
