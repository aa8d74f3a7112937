import Foundation

/// A command of the system that has ended: its status and what it wrote.
public struct SystemCommand {
    public let status: Int32
    public let output: String
    public let errors: String

    /// Runs a command that is looked for on the PATH, to its end. Its messages are in English.
    ///
    /// - Returns: Nil where there is no such command.
    public init?(_ arguments: [String]) {
        let process = Process(), output = Pipe(), errors = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C"]) { _, new in new }
        process.standardOutput = output
        process.standardError = errors
        guard (try? process.run()) != nil else { return nil }
        // Both at once: a program waits when one of its pipes is full.
        nonisolated(unsafe) var errorText = Data()
        let errorsAreRead = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            errorText = errors.fileHandleForReading.readDataToEndOfFile()
            errorsAreRead.signal()
        }
        let text = output.fileHandleForReading.readDataToEndOfFile()
        errorsAreRead.wait()
        process.waitUntilExit()
        // The status of `env` where it does not find the program.
        if process.terminationStatus == 127 { return nil }
        status = process.terminationStatus
        self.output = String(decoding: text, as: UTF8.self)
        self.errors = String(decoding: errorText, as: UTF8.self)
    }
}
