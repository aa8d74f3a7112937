import Foundation

/// A gzip-compressed tar archive read front to back as a stream: no temporary files, no seeking, one entry at a time.
///
/// Reads the formats that are met: the old one, POSIX ustar and pax (long names, large sizes), GNU (long names, sizes
/// in base 256). Links, folders and devices are reported as entries without content; sparse and multi-volume archives
/// are unsupported. The checksum of every header is checked, gzip checks the content, and after the two blocks of zeros
/// that end an archive nothing but zeros may follow.
///
/// Names are for comparison and messages; nothing is ever written under them.
public final class TarReader {
    /// A member of the archive.
    public struct Entry: Equatable, Sendable {
        /// As the archive has it, bytes that are not UTF-8 replaced.
        public let name: String
        /// Whether it is an ordinary file: no folder, link, device or pipe.
        public let isFile: Bool
        /// Length of its content in bytes.
        public let byteCount: Int
        /// The start of its content, in bytes of the uncompressed archive.
        public let contentOffset: Int
    }

    /// The archive, as given.
    public let path: String
    /// Bytes of the uncompressed archive read so far: what the offsets in errors count.
    public var contentOffset: Int { stream.byteCount }

    private let stream: GzipReader
    /// Bytes of the current entry that have not been read.
    private var left = 0
    /// Zeros that fill up the current entry's last block.
    private var padding = 0
    private var isAtEnd = false
    private var failure = FinalError()

    private static let blockBytes = 512
    /// The longest name or list of pax records that is read: real ones have some hundred bytes.
    private static let maximumNameBytes = 1 << 16

    /// Opens the archive.
    ///
    /// - Parameter maximumBytes: How long the uncompressed archive may be at most.
    /// - Throws: `DatasetError.otherFormat` for a file of another known format, else as `GzipReader.init`.
    public init(path: String, maximumBytes: Int) throws {
        self.path = path
        let start = try FileBytes.beginning(of: path)
        if !isGzip(start), let format = formatName(of: start) {
            throw DatasetError.otherFormat(path: path, found: format)
        }
        stream = try GzipReader(path: path, maximumBytes: maximumBytes)
    }

    /// Goes to the next entry, past what is left of the current one; nil at the end of the archive.
    ///
    /// - Throws: `DatasetError.malformedContent`, `.truncatedContent`, `.unsupported`, and those of ``GzipReader``.
    public func nextEntry() throws -> Entry? {
        try failure.remembering {
            if isAtEnd { return nil }
            try skip(left + padding)
            left = 0
            padding = 0
            return try readEntry()
        }
    }

    /// Reads the current entry's content until `output` is full or the entry ends.
    ///
    /// - Returns: The number of bytes written, less than `output.count` only at the end of the entry, 0 after it.
    /// - Throws: `DatasetError.truncatedContent` and those of ``GzipReader``.
    public func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        try failure.remembering {
            let wanted = min(output.count, left)
            guard wanted > 0 else { return 0 }
            let count = try stream.read(into: UnsafeMutableRawBufferPointer(rebasing: output[..<wanted]))
            left -= count
            guard count == wanted else {
                throw DatasetError.truncatedContent(
                    path: path, contentOffset: contentOffset, expected: "\(left) more bytes of an archived file")
            }
            return count
        }
    }

    // MARK: - Headers

    /// The values of extended headers for the entry that follows them, in place of those of its own header.
    private struct Overrides {
        var name: String?
        var byteCount: Int?
    }

    private func readEntry() throws -> Entry? {
        var overrides = Overrides()
        while true {
            let offset = contentOffset
            let block = try bytes(TarReader.blockBytes, of: "a tar header")
            if block.allSatisfy({ $0 == 0 }) {
                try readEnd()
                return nil
            }
            try checkChecksum(block, offset: offset)
            let type = block[156]
            var byteCount = try number(block, at: 124, count: 12, of: "the size of an archived file", offset: offset)
            switch type {
            case UInt8(ascii: "x"):
                try readPaxRecords(byteCount, offset: offset, into: &overrides)
                continue
            case UInt8(ascii: "g"):
                // Records for all entries: comments and times in practice. A size or name here would be nonsense.
                var global = Overrides()
                try readPaxRecords(byteCount, offset: offset, into: &global)
                guard global.name == nil, global.byteCount == nil else {
                    throw DatasetError.unsupported(path: path, feature: "a name or size in a global pax header")
                }
                continue
            case UInt8(ascii: "L"):
                overrides.name = text(try longContent(byteCount, offset: offset))
                continue
            case UInt8(ascii: "K"):  // the target of a link, which is not followed
                _ = try longContent(byteCount, offset: offset)
                continue
            default: break
            }

            let name = overrides.name ?? headerName(block)
            if let size = overrides.byteCount { byteCount = size }
            guard byteCount <= stream.maximumBytes else {
                throw DatasetError.tooLarge(path: path, maximumBytes: stream.maximumBytes)
            }
            let isFile: Bool
            switch type {
            case UInt8(ascii: "0"), 0, UInt8(ascii: "7"): isFile = !name.hasSuffix("/")
            case UInt8(ascii: "5"): isFile = false
            case UInt8(ascii: "1")...UInt8(ascii: "6"):
                isFile = false
                byteCount = 0  // a hard link may repeat its target's size, without its content
            default:
                throw DatasetError.unsupported(path: path, feature: "tar entries of type '\(escaped([type]))'")
            }
            left = byteCount
            padding = TarReader.padding(byteCount)
            return Entry(name: name, isFile: isFile, byteCount: byteCount, contentOffset: contentOffset)
        }
    }

    /// The bytes of a header summed, its own field counted as blanks. Some old programs summed signed bytes.
    private func checkChecksum(_ block: [UInt8], offset: Int) throws {
        let stored = try number(block, at: 148, count: 8, of: "the checksum of a tar header", offset: offset)
        var (unsigned, signed) = (0, 0)
        for (index, byte) in block.enumerated() {
            let counted = (148..<156).contains(index) ? UInt8(ascii: " ") : byte
            unsigned += Int(counted)
            signed += Int(Int8(bitPattern: counted))
        }
        guard stored == unsigned || stored == signed else {
            throw DatasetError.malformedContent(
                path: path, contentOffset: offset, expected: "a tar header with the checksum \(stored) that it states",
                found: "\(unsigned)")
        }
    }

    /// A number in octal digits between blanks and zeros, or, where GNU tar needs more room, in base 256.
    private func number(_ block: [UInt8], at index: Int, count: Int, of what: String, offset: Int) throws -> Int {
        let field = block[index..<(index + count)]
        func malformed() -> DatasetError {
            .malformedContent(
                path: path, contentOffset: offset + index, expected: what, found: "\"\(escaped(field))\"")
        }
        if field.first! & 0x80 != 0 {
            guard field.first! == 0x80, field.dropFirst().dropLast(7).allSatisfy({ $0 == 0 }) else { throw malformed() }
            return field.suffix(7).reduce(0) { $0 << 8 | Int($1) }
        }
        let digits = field.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != UInt8(ascii: " ") && $0 != 0 }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { throw malformed() }
            value = value << 3 | Int(digit & 7)  // 12 digits are 36 bits
        }
        guard !digits.isEmpty else { throw malformed() }
        return value
    }

    /// The name in a header: of 100 bytes, in ustar behind a prefix of 155.
    private func headerName(_ block: [UInt8]) -> String {
        let name = block[..<100].prefix { $0 != 0 }
        // GNU tar writes "ustar  " and has other fields where the prefix would be.
        guard block[257..<263].elementsEqual(Array("ustar\0".utf8)) else { return text(name) }
        let prefix = block[345..<500].prefix { $0 != 0 }
        return prefix.isEmpty ? text(name) : "\(text(prefix))/\(text(name))"
    }

    /// Records "length key=value\n" of a pax header; the length counts the whole record.
    private func readPaxRecords(_ byteCount: Int, offset: Int, into overrides: inout Overrides) throws {
        let records = try longContent(byteCount, offset: offset)
        var start = 0
        while start < records.count {
            func malformed() -> DatasetError {
                .malformedContent(
                    path: path, contentOffset: offset + TarReader.blockBytes + start,
                    expected: "a pax record \"length key=value\\n\"",
                    found: "\"\(escaped(records[start...].prefix(40)))\"")
            }
            guard let blank = records[start...].firstIndex(of: UInt8(ascii: " ")),
                let length = Int(text(records[start..<blank])), length > blank - start + 1,
                length <= records.count - start, records[start + length - 1] == UInt8(ascii: "\n"),
                let equals = records[blank..<(start + length)].firstIndex(of: UInt8(ascii: "="))
            else { throw malformed() }
            let value = text(records[(equals + 1)..<(start + length - 1)])
            switch text(records[(blank + 1)..<equals]) {
            case "path": overrides.name = value
            case "size":
                guard let size = Int(value), size >= 0 else { throw malformed() }
                overrides.byteCount = size
            case let key where key.hasPrefix("GNU.sparse"):
                throw DatasetError.unsupported(path: path, feature: "sparse files in a tar archive")
            default: break  // times, owners, comments
            }
            start += length
        }
    }

    /// The content of an extended header.
    private func longContent(_ byteCount: Int, offset: Int) throws -> [UInt8] {
        guard byteCount <= TarReader.maximumNameBytes else {
            throw DatasetError.malformedContent(
                path: path, contentOffset: offset + 124,
                expected: "an extended tar header of at most \(TarReader.maximumNameBytes) bytes",
                found: "one of \(byteCount)")
        }
        let content = try bytes(byteCount, of: "an extended tar header")
        try skip(TarReader.padding(byteCount))
        return content
    }

    private static func padding(_ byteCount: Int) -> Int { (blockBytes - byteCount % blockBytes) % blockBytes }

    /// GNU tar ends a long name with a zero; pax does not.
    private func text(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    // MARK: - Bytes

    private func bytes(_ count: Int, of what: String) throws -> [UInt8] {
        let result = try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = try stream.read(into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count))
        }
        guard result.count == count else {
            throw DatasetError.truncatedContent(path: path, contentOffset: contentOffset, expected: what)
        }
        return result
    }

    private func skip(_ count: Int) throws {
        var left = count
        while left > 0 {
            left -= try bytes(min(left, 1 << 18), of: "the rest of an archived file").count
        }
    }

    /// After the first block of zeros: to the end, so that gzip's checksum is compared, and nothing but zeros.
    private func readEnd() throws {
        isAtEnd = true
        while true {
            let offset = contentOffset
            guard let chunk = try stream.nextChunk(chunkBytes: 1 << 16) else { return }
            if let place = chunk.firstIndex(where: { $0 != 0 }) {
                throw DatasetError.malformedContent(
                    path: path, contentOffset: offset + place, expected: "zeros after the end of the tar archive",
                    found: hexadecimal([chunk[place]]))
            }
        }
    }
}
