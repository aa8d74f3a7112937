import Foundation

/// A file that could not be written: which step failed, and the system's reason.
///
/// Unless `operation` is `.synchronizeFolder`, whatever stood at `path` before still stands there, whole.
public struct AtomicFileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The step of an atomic write that failed.
    public enum Operation: String, Sendable {
        /// Taking the place of what is no file: a device or a pipe would be gone.
        case replace
        /// Making the temporary file beside the target.
        case create
        /// Writing its bytes; a full disk shows here as `ENOSPC`.
        case write
        /// Bringing its bytes to the disk; a full disk may show here too.
        case synchronize
        /// Closing it.
        case close
        /// Putting it in the target's place.
        case rename
        /// Bringing the new name to the disk. The new file is in place, but may not outlive a loss of power.
        case synchronizeFolder = "synchronize the folder of"
    }

    /// The file that was to be written, as the caller named it.
    public let path: String
    /// The step that failed.
    public let operation: Operation
    /// The value of `errno`.
    public let code: Int32

    /// Records a failed step of writing the file at `path`.
    public init(path: String, operation: Operation, code: Int32) {
        self.path = path
        self.operation = operation
        self.code = code
    }

    public var description: String { "cannot \(operation.rawValue) \(path): \(reason)" }

    /// The system's words, without the path.
    public var reason: String {
        operation == .replace
            ? "expected a file, found a device, a pipe or a socket" : String(cString: strerror(code))
    }
}

/// Writes a file so that at every moment the path holds the old file or the new one, each whole.
///
/// A temporary file in the same folder takes the bytes, is brought to the disk, and is renamed; then the folder is
/// brought to the disk. After a failure the old file stands as it was and no temporary file is left. The new file has
/// the permissions of the old one, and its owner can write it. A symbolic link at `path` is replaced, not followed.
///
/// - Parameter path: The file to make or replace, no device and no pipe; its folder must exist.
/// - Parameter body: Calls the function that it is given once for each run of bytes, in order.
/// - Throws: `AtomicFileError` when the system refuses a step, or what `body` throws.
public func writeFileAtomically(
    path: String, _ body: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
) throws {
    try writeFileAtomically(path: path, calls: .system, body)
}

/// Writes `bytes` so that at every moment the path holds the old file or the new one, each whole.
///
/// - Parameter path: The file to make or replace; its folder must exist.
/// - Throws: `AtomicFileError` when the system refuses a step.
public func writeFileAtomically(path: String, bytes: [UInt8]) throws {
    try writeFileAtomically(path: path, calls: .system) { append in
        try bytes.withUnsafeBytes(append)
    }
}

/// The system calls behind an atomic write. Tests put others in their place, to see what a full disk leaves behind.
package struct AtomicFileCalls {
    package var write: (_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int
    package var synchronize: (_ descriptor: Int32) -> Int32
    package var close: (_ descriptor: Int32) -> Int32
    package var rename: (_ from: String, _ to: String) -> Int32

    package static var system: AtomicFileCalls {
        AtomicFileCalls(
            write: { Foundation.write($0, $1, $2) },
            synchronize: { fsync($0) },
            close: { Foundation.close($0) },
            rename: { Foundation.rename($0, $1) })
    }
}

package func writeFileAtomically(
    path: String, calls: AtomicFileCalls,
    _ body: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
) throws {
    func failure(_ operation: AtomicFileError.Operation) -> AtomicFileError {
        AtomicFileError(path: path, operation: operation, code: errno)
    }
    // `stat` follows a symbolic link, such as /dev/stdout, to its target.
    var status = stat()
    let isThere = stat(path, &status) == 0
    if isThere, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) {
        throw AtomicFileError(path: path, operation: .replace, code: EEXIST)
    }
    let folder = folder(of: path)
    // Short and free of the target's name, which may already be as long as a name can be.
    let temporary = folder + "/." + String(UInt64.random(in: .min ... .max), radix: 36) + ".tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure(.create) }
    // Before a byte is in it. A file system without permissions refuses, and has none to keep.
    if isThere { _ = fchmod(descriptor, status.st_mode & 0o777 | S_IWUSR) }

    var isOpen = true
    do {
        try body { bytes in
            var written = 0
            while written < bytes.count {
                let count = calls.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                if count > 0 {
                    written += count  // The system may take a part; the rest goes in the next call.
                } else if count == 0 {
                    throw AtomicFileError(path: path, operation: .write, code: ENOSPC)
                } else if errno != EINTR {
                    throw failure(.write)
                }
            }
        }
        while calls.synchronize(descriptor) != 0 {
            guard errno == EINTR else { throw failure(.synchronize) }
        }
        isOpen = false  // After a failed close the descriptor is gone all the same.
        guard calls.close(descriptor) == 0 || errno == EINTR else { throw failure(.close) }
        guard calls.rename(temporary, path) == 0 else { throw failure(.rename) }
    } catch {
        if isOpen { _ = close(descriptor) }
        unlink(temporary)
        throw error
    }

    let folderDescriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folderDescriptor >= 0 else { throw failure(.synchronizeFolder) }
    defer { _ = close(folderDescriptor) }
    while calls.synchronize(folderDescriptor) != 0 {
        // Some file systems cannot synchronize a folder and say so.
        if [EINVAL, ENOTSUP, EOPNOTSUPP, ENOSYS].contains(errno) { break }
        guard errno == EINTR else { throw failure(.synchronizeFolder) }
    }
}

/// The folder that holds the file at `path`, without resolving anything.
private func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
