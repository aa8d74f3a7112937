import Foundation
import Safetensors

/// Files and folders as the suite reads and writes them: what cannot be seen is not taken for absent, and a file is
/// written whole or not at all.
package enum Files {
    /// The names in a folder, in no order; none where there is no folder.
    ///
    /// - Throws: `RecordError.unreadable` where there is one that cannot be read.
    package static func names(in folder: URL) throws -> [String] {
        guard try isFolder(folder) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder.path)
        } catch {
            throw RecordError.unreadable(path: folder.path, reason: error.localizedDescription)
        }
    }

    /// The folders in a folder, in the order of their names, numbers by value.
    ///
    /// - Throws: `RecordError.unreadable`, as `names(in:)`.
    package static func folders(in folder: URL) throws -> [URL] {
        try names(in: folder).filter { !$0.hasPrefix(".") }
            .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
            .map { folder.appendingPathComponent($0, isDirectory: true) }
            .filter(isFolder)
    }

    /// The same of a folder that need not be the suite's; none where it cannot be read.
    package static func readableFolders(in folder: URL) -> [URL] { (try? folders(in: folder)) ?? [] }

    /// Whether there is something at a path.
    ///
    /// - Throws: `RecordError.unreadable` where the system does not say.
    package static func exists(_ url: URL) throws -> Bool { try mode(of: url) != nil }

    private static func isFolder(_ url: URL) throws -> Bool { try mode(of: url).map { $0 & S_IFMT } == S_IFDIR }

    /// The type and permissions of what is at a path, of a link those of what it leads to; nil for nothing.
    private static func mode(of url: URL) throws -> mode_t? {
        var status = stat()
        if stat(url.path, &status) == 0 { return status.st_mode }
        guard errno == ENOENT || errno == ENOTDIR else {
            throw RecordError.readFailure(path: url.path, code: errno)
        }
        return nil
    }

    /// What is at a path in place of a file; nil for a file, and where there is nothing.
    static func otherThanFile(_ url: URL) -> String? {
        guard let type = (try? mode(of: url)).flatMap({ $0 }).map({ $0 & S_IFMT }), type != S_IFREG else { return nil }
        return type == S_IFDIR ? "a folder" : "a pipe or a device"
    }

    /// The content of a file.
    ///
    /// - Throws: `RecordError.unreadable`.
    package static func bytes(of url: URL) throws(RecordError) -> [UInt8] {
        if let other = otherThanFile(url) { throw .unreadable(path: url.path, reason: other) }
        do {
            return [UInt8](try Data(contentsOf: url))
        } catch {
            throw .unreadable(path: url.path, reason: error.localizedDescription)
        }
    }

    /// What `read` gives; nil where it throws, which `damaged` is told.
    static func unlessDamaged<Value>(_ damaged: (any Error) -> Void, _ read: () throws -> Value) -> Value? {
        do {
            return try read()
        } catch {
            damaged(error)
            return nil
        }
    }

    /// Writes a file whole or not at all: what stood there before stays until the new one takes its place.
    ///
    /// - Throws: `RecordError.unwritable`, also where making the bytes throws.
    package static func write(_ bytes: @autoclosure () throws -> [UInt8], to url: URL) throws(RecordError) {
        do {
            try writeFileAtomically(path: url.path, bytes: try bytes())
        } catch let error as AtomicFileError {
            throw .unwritable(path: url.path, reason: error.reason)
        } catch {
            throw .unwritable(path: url.path, reason: "\(error)")
        }
    }

    /// Makes a folder and those above it.
    ///
    /// - Throws: `RecordError.unwritable`, naming the file that stands where a folder is needed.
    package static func makeFolder(_ url: URL) throws {
        var missing: [URL] = [], folder = url.standardizedFileURL
        while try !exists(folder), folder.path != "/" {
            missing.append(folder)
            folder.deleteLastPathComponent()
        }
        guard try isFolder(folder) else {
            throw RecordError.unwritable(
                path: folder.path, reason: "expected a folder, found a file; name another")
        }
        for next in missing.reversed() where mkdir(next.path, 0o777) != 0 && errno != EEXIST {
            throw RecordError.writeFailure(path: next.path, code: errno)
        }
    }
}
