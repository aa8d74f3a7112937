import Foundation

/// The whole content of a file, decompressed if its name ends in `.gz`.
///
/// Browsers may decompress a download and keep its name: a `.gz` file without gzip's magic number is read as it is if
/// `isContent` recognizes its content.
///
/// - Parameter isContent: Whether bytes are the content that the file should hold, as far as that can be told.
/// - Throws: Those of ``GzipReader``; `DatasetError.otherFormat` for a file that is something else.
func readContent(_ path: String, maximumBytes: Int, isContent: ([UInt8]) -> Bool) throws -> [UInt8] {
    guard path.hasSuffix(".gz") else {
        let content = try FileBytes.readAll(path: path, maximumBytes: maximumBytes)
        if let format = formatName(of: content), !isContent(content) {
            throw DatasetError.otherFormat(path: path, found: format)
        }
        return content
    }
    let start = try FileBytes.beginning(of: path)
    if isGzip(start) { return try readGzip(path: path, maximumBytes: maximumBytes) }
    let content = try FileBytes.readAll(path: path, maximumBytes: maximumBytes)
    if isContent(content) { return content }
    if let format = formatName(of: content) { throw DatasetError.otherFormat(path: path, found: format) }
    // Names what stands where the magic number should be.
    return try readGzip(path: path, maximumBytes: maximumBytes)
}

/// The format that bytes look like, of those that people have under the name of a data file; nil for any other.
func formatName(of bytes: [UInt8]) -> String? {
    if isGzip(bytes) { return "a gzip file" }
    if isZip(bytes) { return "a zip archive" }
    if bytes.starts(with: "BZh".utf8) { return "a bzip2 file" }
    if bytes.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]) { return "an xz file" }
    if bytes.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return "a Zstandard file" }
    let text = String(decoding: bytes.prefix(64), as: UTF8.self).lowercased()
        .trimmingCharacters(in: .whitespacesAndNewlines)
    if ["<!doctype html", "<html", "<?xml"].contains(where: { text.hasPrefix($0) }) {
        return "a web page, such as a server's message that the file is elsewhere"
    }
    if bytes.dropFirst(257).starts(with: "ustar".utf8) {
        return "a tar archive that is not compressed, as a browser leaves it"
    }
    if bytes.count > 1 && bytes[0] == 0x80 && (2...5).contains(bytes[1]) { return "a file pickled by Python" }
    return nil
}

func isGzip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1f, 0x8b]) }

func isZip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x50, 0x4b, 3, 4]) }
