import Datasets
import Foundation
import Testing

/// A folder of this test alone, removed when its last user lets go of it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = (NSTemporaryDirectory() as NSString).appendingPathComponent("datasets-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The folder as a user's option would name it.
    var dataFolder: DataFolder { DataFolder(path: path, origin: .option) }

    /// The path of a file given relative to the folder.
    func path(_ name: String) -> String { (path as NSString).appendingPathComponent(name) }

    /// Writes a file, with the folders it needs, and returns its path.
    @discardableResult
    func write(_ content: [UInt8], to name: String) throws -> String {
        let full = path(name)
        try FileManager.default.createDirectory(
            atPath: (full as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(content).write(to: URL(fileURLWithPath: full))
        return full
    }

    @discardableResult
    func write(_ content: String, to name: String) throws -> String { try write(Array(content.utf8), to: name) }

    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name)))) }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
}

/// The `DatasetError` that `body` throws; a failure of the test if it throws none or another.
func datasetError<T>(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> T
) throws -> DatasetError {
    do {
        _ = try body()
    } catch let error as DatasetError {
        return error
    }
    try #require(Bool(false), "no error was thrown", sourceLocation: sourceLocation)
    throw CancellationError()  // not reached
}

/// `count` bytes without visible structure, the same at every call.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(random.next() >> 56) }
}

/// `count` bytes that compress about as well as text.
func textLike(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(97 + random.next(below: 4) * random.next(below: 4)) }
}

/// The root of the repository.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

/// The folder with the real data sets, where `HYPERNETWORKS_DATA` names one that has `file`; nil otherwise.
func realDataFolder(with file: String) -> DataFolder? {
    let folder = DataFolder.resolve(option: nil)
    guard folder.origin == .environment, FileManager.default.fileExists(atPath: "\(folder.path)/\(file)") else {
        return nil
    }
    return folder
}
