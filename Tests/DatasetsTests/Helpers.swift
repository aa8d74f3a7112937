import Datasets
import Foundation
import TestSupport
import Testing

extension TemporaryFolder {
    /// The folder as a user's option would name it.
    var dataFolder: DataFolder { DataFolder(path: path, origin: .option) }
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
