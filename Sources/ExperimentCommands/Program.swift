import ArgumentParser
import ExperimentKit
import Foundation

/// The status of a call that may succeed later, because another process works on the run: `EX_TEMPFAIL` of sysexits.h.
let busyStatus = ExitCode(75)

/// Runs a program from its command line.
///
/// Nothing that happens to the output channels ends it by a signal: a pipe without a reader and a file size limit are
/// errors of the write that met them. A standard stream that is closed is replaced, lest the next file opened take its
/// number and messages be written into it.
///
/// - Returns: The exit status; 0 only if the result was written whole.
public func runProgram(_ program: (some ParsableCommand).Type) -> Int32 {
    for ignored in [SIGPIPE, SIGXFSZ] { signal(ignored, SIG_IGN) }
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
        // The lowest free number is the closed stream's. Read-only, so that a result written to it is an error.
        _ = open("/dev/null", O_RDONLY)
    }
    defer { clearOpenLine() }
    do {
        try requireReadablePaths()
        try requireReadableVariables()
        var command = try program.parseAsRoot()
        try command.run()
        return ExitCode.success.rawValue
    } catch {
        var status = program.exitCode(for: error)
        if case RecordError.busy = error { status = busyStatus }
        let message = program.fullMessage(for: error)
        guard !message.isEmpty else { return status.rawValue }
        guard status.isSuccess else {
            note(message)
            return status.rawValue
        }
        // The text of `--help` is a result like any other.
        do {
            try writeResult(message)
            return status.rawValue
        } catch {
            note("Error: \(error)")
            return ExitCode.failure.rawValue
        }
    }
}

/// Refuses arguments and a working folder that are not UTF-8: as texts they would name other files.
///
/// - Throws: `UserError`.
private func requireReadablePaths() throws {
    for index in 1..<max(1, Int(CommandLine.argc)) {
        guard let argument = CommandLine.unsafeArgv[index] else { continue }
        guard String(validatingCString: argument) != nil else {
            throw UserError(
                description: "argument \(index), '\(String(cString: argument))', is not UTF-8 text: rename the file or"
                    + " folder, or name it through a symbolic link")
        }
    }
    var folder = [CChar](repeating: 0, count: Int(PATH_MAX))
    if let path = getcwd(&folder, folder.count) {
        guard String(validatingCString: path) != nil else {
            throw UserError(
                description: "the working folder '\(String(cString: path))' is not UTF-8 text: call the program from"
                    + " another")
        }
    }
}
