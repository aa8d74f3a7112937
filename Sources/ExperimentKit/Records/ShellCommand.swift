import Foundation

/// A command line of one of the suite's programs, as it can be typed into the shell that called this one.
///
/// The programs lie beside each other, and need not be on the PATH: where this one was called by a path, so is the
/// other.
///
/// - Parameters:
///   - options: Further arguments.
///   - called: How this program was called.
public func shellCommand(
    _ program: String, _ arguments: String..., options: [String] = [], called: String? = CommandLine.arguments.first
) -> String {
    let folder = called.flatMap { called in called.lastIndex(of: "/").map { called[...$0] } } ?? ""
    return ([folder + program] + arguments + options).map(shellWord).joined(separator: " ")
}

/// A word as a shell reads it back: quoted where it has to be.
private func shellWord(_ text: String) -> String {
    let isPlain = text.wholeMatch(of: /[A-Za-z0-9_.,:=@%\/+-]+/) != nil
    return isPlain ? text : "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
}
