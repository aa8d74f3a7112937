import CZlib
import Foundation

/// The only file in a zip archive (deflated or stored), decompressed as a stream with its sizes and CRC-32 checked.
///
/// The central directory at the end of the archive is the authority; the local header must agree with it. No zip64,
/// no encryption, no multi-disk archives: text8.zip and enwik8.zip need none.
public final class ZipReader: DecompressedStream {
    /// The archive, as given.
    public let path: String
    /// The name of the one file in it, for messages; never used as a path.
    public let entryName: String
    /// The length of its content in bytes, as the central directory states it.
    public let uncompressedBytes: Int
    /// The bytes of content handed out so far.
    public private(set) var byteCount = 0

    private enum Method { case stored, deflated }
    private let file: FileBytes
    private let inflater = InflateStream()
    private let method: Method
    private let endOfData: Int
    private let crc: UInt32
    private let offsetOfCRC: Int
    private var storedCRC: UInt32 = 0
    private var isAtEnd = false
    private var failure = FinalError()

    /// Opens the archive and reads its directory.
    ///
    /// - Parameter maximumBytes: How long the content may be at most.
    /// - Throws: `DatasetError.unreadable`, `.empty`, `.otherFormat`, `.wrongFormat` (not a zip archive), `.truncated`,
    ///   `.trailingBytes`, `.entryCount`, `.encrypted`, `.unsupported`, `.lengthMismatch`, `.corrupt`, `.tooLarge`.
    public init(path: String, maximumBytes: Int) throws {
        precondition(maximumBytes >= 0, "maximumBytes is \(maximumBytes)")
        let file = try FileBytes(path: path)
        let start = Array(try file.available())
        if !isZip(start), let format = formatName(of: start) {
            throw DatasetError.otherFormat(path: path, found: format)
        }
        let directory = try ZipReader.findDirectory(file)
        let record = try DirectoryRecord(file, at: directory.offset, byteCount: directory.byteCount)
        guard record.uncompressedBytes <= maximumBytes else {
            throw DatasetError.tooLarge(path: path, maximumBytes: maximumBytes)
        }
        let startOfData = try ZipReader.startOfData(of: record, file, endOfEntries: directory.offset)
        try file.seek(to: startOfData)

        self.path = path
        self.file = file
        entryName = record.entryName
        uncompressedBytes = record.uncompressedBytes
        method = record.method
        crc = record.crc
        offsetOfCRC = directory.offset + DirectoryRecord.offsetOfCRC
        endOfData = startOfData + record.compressedBytes
    }

    /// The one record of an archive's directory: what it says of the archive's only file.
    private struct DirectoryRecord {
        static let offsetOfCRC = 16

        let entryName: String
        let method: Method
        /// The two bytes that stand for the method.
        let methodBytes: ArraySlice<UInt8>
        let crc: UInt32
        let compressedBytes: Int
        let uncompressedBytes: Int
        /// Where the file's own header begins.
        let localOffset: Int

        /// - Parameter byteCount: Of the whole directory.
        /// - Throws: `DatasetError.wrongFormat`, `.truncated`, `.lengthMismatch`, `.encrypted`, `.unsupported`.
        init(_ file: FileBytes, at offset: Int, byteCount: Int) throws {
            let path = file.path
            try file.seek(to: offset)
            let record = try file.bytes(46, of: "a zip directory record")
            guard record.starts(with: [0x50, 0x4b, 1, 2]) else {
                throw DatasetError.wrongFormat(
                    path: path, offset: offset, expected: "a zip directory record 50 4b 01 02",
                    found: hexadecimal(record[..<4]))
            }
            let flags = littleEndian(record, at: 8, count: 2)
            methodBytes = record[10..<12]
            crc = UInt32(littleEndian(record, at: Self.offsetOfCRC, count: 4))
            compressedBytes = littleEndian(record, at: 20, count: 4)
            uncompressedBytes = littleEndian(record, at: 24, count: 4)
            let nameBytes = littleEndian(record, at: 28, count: 2)
            let extraBytes = littleEndian(record, at: 30, count: 2)
            let commentBytes = littleEndian(record, at: 32, count: 2)
            localOffset = littleEndian(record, at: 42, count: 4)
            entryName = escaped(try file.bytes(nameBytes, of: "a file name in the zip directory"))
            let found = 46 + nameBytes + extraBytes + commentBytes
            guard found == byteCount else {
                throw DatasetError.lengthMismatch(
                    path: path, what: "length of the zip directory", expected: byteCount, found: found)
            }
            // Bit 0: the old cipher; bit 6: strong encryption; bit 13: an encrypted directory.
            guard flags & 0x2041 == 0 else { throw DatasetError.encrypted(path: path, entry: entryName) }
            for field in [compressedBytes, uncompressedBytes, localOffset] where field == 0xffff_ffff {
                throw DatasetError.unsupported(path: path, feature: "zip64")
            }
            switch littleEndian(record, at: 10, count: 2) {
            case 0: method = .stored
            case 8: method = .deflated
            case let other: throw DatasetError.unsupported(path: path, feature: "zip compression method \(other)")
            }
            if method == .stored && compressedBytes != uncompressedBytes {
                throw DatasetError.lengthMismatch(
                    path: path, what: "stored length of \(entryName)", expected: uncompressedBytes,
                    found: compressedBytes)
            }
        }
    }

    /// Where a file's data begin: behind its own header, of which only the length counts.
    ///
    /// - Parameter endOfEntries: Where the directory begins.
    /// - Throws: `DatasetError.corrupt`, `.wrongFormat`, `.truncated`, `.lengthMismatch`.
    private static func startOfData(
        of record: DirectoryRecord, _ file: FileBytes, endOfEntries: Int
    ) throws -> Int {
        let path = file.path, header = record.localOffset
        guard header + 30 <= endOfEntries else {
            throw DatasetError.corrupt(
                path: path, offset: endOfEntries + 42, reason: "\(record.entryName) would start at byte \(header)")
        }
        try file.seek(to: header)
        let local = try file.bytes(30, of: "a zip file header")
        guard local.starts(with: [0x50, 0x4b, 3, 4]) else {
            throw DatasetError.wrongFormat(
                path: path, offset: header, expected: "a zip file header 50 4b 03 04", found: hexadecimal(local[..<4]))
        }
        guard local[8..<10] == record.methodBytes else {
            throw DatasetError.corrupt(
                path: path, offset: header + 8, reason: "the compression method is not the directory's")
        }
        let start = header + 30 + littleEndian(local, at: 26, count: 2) + littleEndian(local, at: 28, count: 2)
        guard start + record.compressedBytes <= endOfEntries else {
            throw DatasetError.lengthMismatch(
                path: path, what: "room for \(record.entryName) before the directory",
                expected: record.compressedBytes, found: max(0, endOfEntries - start))
        }
        return start
    }

    /// Decompresses until `output` is full or the entry ends.
    ///
    /// - Returns: The number of bytes written, less than `output.count` only at the end, 0 after it.
    /// - Throws: `DatasetError.truncated`, `.corrupt`, `.checksumMismatch`, `.lengthMismatch`, `.unreadable`.
    public func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        try failure.remembering { try readEntry(into: output) }
    }

    private func readEntry(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        guard !isAtEnd, !output.isEmpty else { return 0 }
        let produced: Int
        switch method {
        case .deflated: produced = try inflater.read(into: output, from: file, limit: endOfData)
        case .stored: produced = try copyStored(into: output)
        }
        byteCount += produced
        // The stated length bounds the content too: a bomb stops here, one buffer after its lie.
        guard byteCount <= uncompressedBytes else {
            throw DatasetError.lengthMismatch(
                path: path, what: "content of \(entryName), at least", expected: uncompressedBytes, found: byteCount)
        }
        let isComplete = method == .deflated ? inflater.isAtEnd : byteCount == uncompressedBytes
        if isComplete { try checkEntry() }
        return produced
    }

    private func copyStored(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        var produced = 0
        while produced < output.count && byteCount + produced < uncompressedBytes {
            let input = try file.available()
            guard !input.isEmpty else {
                throw DatasetError.truncated(path: path, offset: file.offset, expected: "more of \(entryName)")
            }
            let count = min(input.count, output.count - produced, uncompressedBytes - byteCount - produced)
            let destination = output.baseAddress!.advanced(by: produced)
            destination.copyMemory(from: input.baseAddress!, byteCount: count)
            storedCRC = Checksum.crc32(UnsafeRawBufferPointer(start: destination, count: count), continuing: storedCRC)
            file.consume(count)
            produced += count
        }
        return produced
    }

    private func checkEntry() throws {
        isAtEnd = true
        guard byteCount == uncompressedBytes else {
            throw DatasetError.lengthMismatch(
                path: path, what: "content of \(entryName)", expected: uncompressedBytes, found: byteCount)
        }
        guard file.offset == endOfData else {
            throw DatasetError.corrupt(
                path: path, offset: file.offset,
                reason: "the compressed data ends \(endOfData - file.offset) bytes before its stated end")
        }
        let found = method == .deflated ? inflater.crc : storedCRC
        guard found == crc else {
            throw DatasetError.checksumMismatch(
                path: path, offset: offsetOfCRC, algorithm: "CRC-32", expected: hexadecimal(crc: crc),
                found: hexadecimal(crc: found))
        }
    }

    /// Finds the end record (22 bytes and a comment) at the end of the file, and in it the central directory.
    private static func findDirectory(_ file: FileBytes) throws -> (offset: Int, byteCount: Int) {
        let path = file.path
        let magic = try file.bytes(min(4, file.byteCount), of: "a zip magic number")
        let startsLikeZip = magic.starts(with: [0x50, 0x4b, 3, 4]) || magic.starts(with: [0x50, 0x4b, 5, 6])
        guard startsLikeZip else {
            throw DatasetError.wrongFormat(
                path: path, offset: 0, expected: "the zip magic number 50 4b 03 04", found: hexadecimal(magic))
        }
        let tailOffset = max(0, file.byteCount - (22 + 0xffff))
        try file.seek(to: tailOffset)
        let tail = try file.bytes(file.byteCount - tailOffset, of: "the end of the archive")
        // The last such magic number: a comment could hold another, but text8.zip and enwik8.zip have none.
        let candidates = stride(from: tail.count - 22, through: 0, by: -1)
        guard let at = candidates.first(where: { tail[$0...].starts(with: [0x50, 0x4b, 5, 6]) }) else {
            throw DatasetError.truncated(
                path: path, offset: file.byteCount, expected: "the end record of a zip archive")
        }
        let end = at + 22 + littleEndian(tail, at: at + 20, count: 2)
        guard end <= tail.count else {
            throw DatasetError.truncated(path: path, offset: file.byteCount, expected: "the archive's comment")
        }
        guard end == tail.count else {
            throw DatasetError.trailingBytes(path: path, offset: tailOffset + end, count: tail.count - end)
        }
        let entries = littleEndian(tail, at: at + 10, count: 2)
        let byteCount = littleEndian(tail, at: at + 12, count: 4)
        let offset = littleEndian(tail, at: at + 16, count: 4)
        guard entries != 0xffff, byteCount != 0xffff_ffff, offset != 0xffff_ffff else {
            throw DatasetError.unsupported(path: path, feature: "zip64")
        }
        guard littleEndian(tail, at: at + 4, count: 4) == 0, littleEndian(tail, at: at + 8, count: 2) == entries else {
            throw DatasetError.unsupported(path: path, feature: "zip archives over several disks")
        }
        guard entries == 1 else { throw DatasetError.entryCount(path: path, expected: 1, found: entries) }
        guard offset + byteCount == tailOffset + at else {
            throw DatasetError.lengthMismatch(
                path: path, what: "offset of the end of the zip directory", expected: offset + byteCount,
                found: tailOffset + at)
        }
        return (offset, byteCount)
    }
}

/// The whole content of a zip archive of one file.
///
/// - Parameter maximumBytes: How long the content may be at most.
/// - Throws: As ``ZipReader``.
public func readZip(path: String, maximumBytes: Int) throws -> [UInt8] {
    let reader = try ZipReader(path: path, maximumBytes: maximumBytes)
    return try reader.readRest(expectedBytes: reader.uncompressedBytes)
}
