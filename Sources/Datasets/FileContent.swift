import Foundation

/// The whole content of a file, decompressed if its name ends in `.gz`.
///
/// Browsers unpack what they download and keep the name: a file without gzip's mark is read as it is where its content
/// says that it is the one.
///
/// - Parameter isContent: whether bytes are what the file is to hold, in order and whole as far as that can be told.
/// - Throws: those of ``GzipReader``; `DatasetError.otherFormat` for a file that is something else.
func readContent(_ path: String, maximumBytes: Int, isContent: ([UInt8]) -> Bool) throws -> [UInt8] {
    guard path.hasSuffix(".gz") else {
        let content = try FileBytes.readAll(path: path, maximumBytes: maximumBytes)
        if let format = FileFormat(of: content), !isContent(content) {
            throw DatasetError.otherFormat(path: path, found: format.name)
        }
        return content
    }
    let start = try FileBytes.beginning(of: path)
    if start.starts(with: FileFormat.gzip.mark) { return try readGzip(path: path, maximumBytes: maximumBytes) }
    let content = try FileBytes.readAll(path: path, maximumBytes: maximumBytes)
    if isContent(content) { return content }
    if let format = FileFormat(of: content) { throw DatasetError.otherFormat(path: path, found: format.name) }
    // Says what stands where the mark should be.
    return try readGzip(path: path, maximumBytes: maximumBytes)
}

/// A format of files that people have under the name of a data file.
enum FileFormat: CaseIterable {
    case gzip, zip, bzip2, xz, zstandard, webPage, tar, pickle

    /// The bytes that mark it: at its start, in a tar archive at byte 257; unused for a web page and a pickle.
    var mark: [UInt8] {
        switch self {
        case .gzip: [0x1f, 0x8b]
        case .zip: [0x50, 0x4b, 3, 4]
        case .bzip2: Array("BZh".utf8)
        case .xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]
        case .zstandard: [0x28, 0xb5, 0x2f, 0xfd]
        case .webPage: Array("<".utf8)
        case .tar: Array("ustar".utf8)
        case .pickle: [0x80]
        }
    }

    var name: String {
        switch self {
        case .gzip: "a gzip file"
        case .zip: "a zip archive"
        case .bzip2: "a bzip2 file"
        case .xz: "an xz file"
        case .zstandard: "a Zstandard file"
        case .webPage: "a web page, such as a server's message that the file is elsewhere"
        case .tar: "a tar archive that is not compressed, as a browser leaves it"
        case .pickle: "a file pickled by Python"
        }
    }

    /// The format that bytes look like; nil for any other.
    init?(of bytes: [UInt8]) {
        let found = Self.allCases.first { format in
            switch format {
            case .tar: bytes.dropFirst(257).starts(with: format.mark)
            case .webPage:
                ["<!doctype html", "<html", "<?xml"].contains { mark in
                    String(decoding: bytes.prefix(64), as: UTF8.self).lowercased()
                        .trimmingCharacters(in: .whitespacesAndNewlines).hasPrefix(mark)
                }
            case .pickle: bytes.count > 1 && bytes[0] == 0x80 && (2...5).contains(bytes[1])
            default: bytes.starts(with: format.mark)
            }
        }
        guard let found else { return nil }
        self = found
    }
}
