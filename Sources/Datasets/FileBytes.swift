import Foundation

/// A file read front to back through one large buffer, with its byte offset kept for error messages.
///
/// Parsers take single bytes for headers and whole buffers for content; neither allocates.
final class FileBytes {
    let path: String
    /// Length of the file in bytes when it was opened.
    let byteCount: Int
    private let descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0
    /// Offset in the file of the byte after the last one in the buffer.
    private var offsetOfEnd = 0

    /// - Throws: `DatasetError.unreadable` if the file cannot be opened, `DatasetError.empty` if it has no bytes.
    init(path: String, bufferBytes: Int = 1 << 18) throws {
        // Without waiting: a pipe's open waits for one who writes.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw DatasetError.unreadable(path: path, reason: String(cString: strerror(errno)))
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw DatasetError.unreadable(path: path, reason: reason)
        }
        // Opening a folder succeeds; only reading it fails, so it is told apart here.
        let type = status.st_mode & S_IFMT
        guard type == S_IFREG else {
            close(descriptor)
            throw DatasetError.unreadable(
                path: path, reason: type == S_IFDIR ? "it is a folder" : "it is a pipe or a device, expected a file")
        }
        guard status.st_size > 0 else {
            close(descriptor)
            throw DatasetError.empty(path: path)
        }
        self.path = path
        self.descriptor = descriptor
        byteCount = Int(status.st_size)
        buffer = .allocate(byteCount: bufferBytes, alignment: 64)
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// Offset in the file of the next unread byte.
    var offset: Int { offsetOfEnd - (end - start) }

    /// The bytes read but not yet consumed, at least one unless the file is at its end. Valid until the next call.
    func available() throws -> UnsafeMutableRawBufferPointer {
        if start == end {
            start = 0
            end = 0
            while true {
                let count = read(descriptor, buffer.baseAddress!, buffer.count)
                if count >= 0 {
                    end = count
                    offsetOfEnd += count
                    break
                }
                if errno != EINTR {
                    throw DatasetError.unreadable(path: path, reason: String(cString: strerror(errno)))
                }
            }
        }
        return UnsafeMutableRawBufferPointer(rebasing: buffer[start..<end])
    }

    /// Moves past the first `count` bytes of ``available()``.
    func consume(_ count: Int) {
        precondition(count >= 0 && count <= end - start, "consume \(count) of \(end - start) bytes")
        start += count
    }

    /// The next byte, nil at the end of the file. For headers only.
    func nextByte() throws -> UInt8? {
        if start == end, try available().isEmpty { return nil }
        defer { start += 1 }
        return buffer[start]
    }

    /// The next `count` bytes, for headers. `what` names them in the error.
    ///
    /// - Throws: `DatasetError.truncated` if the file ends before.
    func bytes(_ count: Int, of what: String) throws -> [UInt8] {
        var result = [UInt8]()
        result.reserveCapacity(count)
        while result.count < count {
            guard let byte = try nextByte() else {
                throw DatasetError.truncated(path: path, offset: offset, expected: what)
            }
            result.append(byte)
        }
        return result
    }

    /// Goes to an offset in bytes from the start of the file.
    func seek(to offset: Int) throws {
        guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else {
            throw DatasetError.unreadable(path: path, reason: String(cString: strerror(errno)))
        }
        start = 0
        end = 0
        offsetOfEnd = offset
    }

    /// The first bytes of a file, by which formats are told apart.
    ///
    /// - Throws: `DatasetError.unreadable`, `DatasetError.empty`.
    static func beginning(of path: String) throws -> [UInt8] {
        let file = try FileBytes(path: path)
        return try withExtendedLifetime(file) { Array(try file.available().prefix(512)) }
    }

    /// Reads a whole file as it is.
    ///
    /// - Throws: `DatasetError.unreadable`, `.empty`, and `.tooLarge` above `maximumBytes`.
    static func readAll(path: String, maximumBytes: Int) throws -> [UInt8] {
        let file = try FileBytes(path: path)
        var content = [UInt8]()
        content.reserveCapacity(min(file.byteCount, maximumBytes))
        while true {
            let chunk = try file.available()
            if chunk.isEmpty { return content }
            guard content.count + chunk.count <= maximumBytes else {
                throw DatasetError.tooLarge(path: path, maximumBytes: maximumBytes)
            }
            content.append(contentsOf: chunk)
            file.consume(chunk.count)
        }
    }
}

/// Writes a file whole or not at all: to a neighbor first, then renamed over.
///
/// - Throws: `DatasetError.unwritable`.
func writeAtomically(_ content: [UInt8], to path: String) throws {
    do {
        try Data(content).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
        throw DatasetError.unwritable(path: path, reason: error.localizedDescription)
    }
}

/// Makes a folder and those above it.
///
/// - Throws: `DatasetError.unwritable`.
func makeFolder(_ path: String) throws {
    do {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
        throw DatasetError.unwritable(path: path, reason: error.localizedDescription)
    }
}

/// The unsigned little-endian integer of `count` bytes at `index`, as gzip and zip store all of theirs.
func littleEndian(_ bytes: [UInt8], at index: Int, count: Int) -> Int {
    var value = 0
    for place in 0..<count { value |= Int(bytes[index + place]) << (8 * place) }
    return value
}
