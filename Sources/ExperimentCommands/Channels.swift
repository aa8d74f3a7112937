import ExperimentKit
import Foundation
import Synchronization

/// A result that could not be written to standard output.
public struct ResultError: Error, Equatable, CustomStringConvertible {
    /// The value of `errno`.
    public let code: Int32

    public var description: String {
        "standard output: the result cannot be written: \(String(cString: strerror(code)));"
            + " what the program wrote to files is whole"
    }
}

/// Writes a result to standard output, and a line end after it.
///
/// - Throws: `ResultError` where not all of it could be written.
public func writeResult(_ text: String, terminator: String = "\n") throws {
    try writeResult(bytes: Array((text + terminator).utf8))
}

/// Writes a JSON document as the result: keys sorted, so that two can be compared line by line.
///
/// - Throws: `ResultError` where not all of it could be written.
public func writeResult(_ json: JSONValue) throws { try writeResult(bytes: StableJSON.encode(json)) }

/// Writes bytes as a result to standard output: for what need not be UTF-8.
///
/// - Throws: `ResultError` where not all of them could be written.
public func writeResult(bytes: [UInt8]) throws {
    clearOpenLine()
    if let code = write(bytes, to: STDOUT_FILENO, timeout: -1) { throw ResultError(code: code) }
}

/// A line on standard error for whoever watches; standard output is kept for results, so that they can be piped.
///
/// It may be lost: a full disk, a terminal that is gone or a reader that does not read never stops the work.
public func note(_ text: String) { show(text + "\n") }

/// Shows a text on standard error. One without a line end is progress: whatever comes next takes its place.
func show(_ text: String) { sendMessage(openLine.showing(text)) }

/// Removes progress that is shown, so that nothing stands behind it: before a result, and at the end of the program.
func clearOpenLine() {
    let text = openLine.clearing()
    if !text.isEmpty { sendMessage(text) }
}

private func sendMessage(_ text: String) {
    // A reader that timed out once is not waited for again until it reads.
    let timeout: Int32 = readerStalls.load(ordering: .relaxed) ? 0 : 1000
    let failure = write(Array(text.utf8), to: STDERR_FILENO, timeout: timeout)
    readerStalls.store(failure == ETIMEDOUT, ordering: .relaxed)
}

private let readerStalls = Atomic(false)
let openLine = OpenLine()

/// The last line of a terminal, open as long as it is one without an end.
final class OpenLine: Sendable {
    private let isOpen = Atomic(false)

    /// What to send so that the terminal shows a text, in place of a line that is open.
    func showing(_ text: String) -> String {
        let start = clearing()
        isOpen.store(!text.hasSuffix("\n"), ordering: .relaxed)
        return start + text
    }

    /// What to send so that no line is open: back to its first column, and erased from there on; empty where none is.
    func clearing() -> String { isOpen.exchange(false, ordering: .relaxed) ? "\r\u{1B}[K" : "" }

    /// The terminal itself has written where the next line would begin: `^C`.
    func wasWrittenTo() { isOpen.store(true, ordering: .relaxed) }
}

/// The width of the terminal that a descriptor is; nil where it is none.
public func terminalWidth(of descriptor: Int32) -> Int? {
    var size = winsize()
    guard isatty(descriptor) != 0, ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
}

/// Writes all bytes to a descriptor: pipe, terminal or file, blocking or not.
///
/// - Parameter timeout: Milliseconds to wait until the descriptor can be written to; negative waits forever.
/// - Returns: The value of `errno` that ended it early; nil when all bytes are written.
private func write(_ bytes: [UInt8], to descriptor: Int32, timeout: Int32) -> Int32? {
    bytes.withUnsafeBytes { buffer in
        var written = 0
        while written < buffer.count {
            var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let ready = poll(&state, 1, timeout)
            if ready == 0 { return ETIMEDOUT }
            if ready < 0, errno != EINTR { return errno }
            if ready < 0 { continue }
            // As much as a pipe with room for anything takes without blocking.
            let count = Foundation.write(
                descriptor, buffer.baseAddress.map { $0 + written }, min(buffer.count - written, 512))
            if count >= 0 {
                written += count
            } else if errno != EINTR, errno != EAGAIN {
                return errno
            }
        }
        return nil
    }
}

/// A progress line on standard error, under a name: redrawn on a terminal, else a line now and then.
public func progress<Work: Experiment>(_ label: String, of experiment: Work.Type) -> TextProgress<Work> {
    TextProgress(
        label: label, isTerminal: isatty(STDERR_FILENO) != 0, width: { terminalWidth(of: STDERR_FILENO) }, write: show)
}
