import Foundation

/// A folder of this test alone, removed when its last user lets go of it.
public final class TemporaryFolder: Sendable {
    public let url: URL

    public init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("hypernetworks-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    public var path: String { url.path }

    /// The path of a file given relative to the folder.
    public func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    /// Writes a file, with the folders it needs.
    @discardableResult
    public func write(_ content: [UInt8], to name: String) throws -> URL {
        let file = url.appendingPathComponent(name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(content).write(to: file)
        return file
    }

    @discardableResult
    public func write(_ content: String, to name: String) throws -> URL { try write(Array(content.utf8), to: name) }

    /// Writes a program for the shell that can be called.
    @discardableResult
    public func writeScript(_ text: String, to name: String) throws -> URL {
        let file = try write("#!/bin/bash\n\(text)\n", to: name)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        return file
    }

    public func read(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: url.appendingPathComponent(name)))
    }

    public func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
}

/// Calls `body` with the path of a fresh folder, and removes it afterwards.
public func withTemporaryFolder<Result>(_ body: (_ path: String) throws -> Result) throws -> Result {
    let folder = try TemporaryFolder()
    return try withExtendedLifetime(folder) { try body(folder.path) }
}
