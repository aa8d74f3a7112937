import Foundation

/// A gzip file (RFC 1952) decompressed as a stream: several members one after another, each with its CRC-32 and
/// length checked, nothing after the last.
///
/// An error is final: every later call throws it again. Stricter than `gzip -d` in one point: bytes after the last
/// member are an error, zeros too, since no data set here is padded.
public final class GzipReader: DecompressedStream {
    /// The file, as given.
    public let path: String
    /// The most bytes of content that this reader hands out, over all members.
    public let maximumBytes: Int
    /// The bytes of content handed out so far.
    public private(set) var byteCount = 0

    private let file: FileBytes
    private let inflater = InflateStream()
    private var isInsideMember = false
    private var isAtEnd = false
    private var failure = FinalError()

    /// Opens the file and reads the header of its first member.
    ///
    /// - Parameter maximumBytes: How long the content may be at most; a longer one throws instead of filling memory.
    /// - Throws: `DatasetError.unreadable`, `.empty`, `.wrongFormat` (not a gzip file), `.unsupported`, `.truncated`.
    public init(path: String, maximumBytes: Int) throws {
        precondition(maximumBytes >= 0, "maximumBytes is \(maximumBytes)")
        self.path = path
        self.maximumBytes = maximumBytes
        file = try FileBytes(path: path)
        try readHeader()
    }

    /// Decompresses until `output` is full or the file ends.
    ///
    /// - Returns: The number of bytes written, less than `output.count` only at the end of the file, 0 after it.
    /// - Throws: `DatasetError.truncated`, `.corrupt`, `.checksumMismatch`, `.lengthMismatch`, `.trailingBytes`,
    ///   `.tooLarge`, `.wrongFormat` and `.unsupported` (a later member's header), `.unreadable`.
    public func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        try failure.remembering { try readMembers(into: output) }
    }

    private func readMembers(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        var produced = 0
        while produced < output.count && !isAtEnd {
            if !isInsideMember { try readHeader() }
            let count = try inflater.read(
                into: UnsafeMutableRawBufferPointer(rebasing: output[produced...]), from: file)
            produced += count
            byteCount += count
            guard byteCount <= maximumBytes else {
                throw DatasetError.tooLarge(path: path, maximumBytes: maximumBytes)
            }
            if inflater.isAtEnd { try readTrailer() }
        }
        return produced
    }

    /// The header of a member: ten fixed bytes, then the optional fields that its flags announce.
    private func readHeader() throws {
        let start = file.offset
        let magic = try file.bytes(2, of: "the gzip magic number 1f 8b")
        guard magic == [0x1f, 0x8b] else {
            throw DatasetError.wrongFormat(
                path: path, offset: start, expected: "the gzip magic number 1f 8b", found: hexadecimal(magic))
        }
        let head = try file.bytes(8, of: "a gzip header")  // method, flags, time (4), extra flags, system
        guard head[0] == 8 else {
            throw DatasetError.unsupported(path: path, feature: "gzip compression method \(head[0])")
        }
        let flags = head[1]
        guard flags & 0xe0 == 0 else {
            throw DatasetError.unsupported(path: path, feature: "reserved gzip flags \(hexadecimal([flags]))")
        }
        if flags & 0x04 != 0 {  // FEXTRA
            let length = littleEndian(try file.bytes(2, of: "a gzip extra field"), at: 0, count: 2)
            _ = try file.bytes(length, of: "a gzip extra field")
        }
        for _ in 0..<((flags & 0x08 != 0 ? 1 : 0) + (flags & 0x10 != 0 ? 1 : 0)) {  // FNAME, FCOMMENT
            while try file.bytes(1, of: "the end of a gzip file name or comment")[0] != 0 {}
        }
        if flags & 0x02 != 0 { _ = try file.bytes(2, of: "a gzip header checksum") }  // FHCRC
        inflater.reset()
        isInsideMember = true
    }

    /// The trailer of a member: CRC-32 and length modulo 2³² of its content. Then the next member or the end.
    private func readTrailer() throws {
        let offset = file.offset
        let trailer = try file.bytes(8, of: "the CRC-32 and length of a gzip member")
        let crc = UInt32(littleEndian(trailer, at: 0, count: 4))
        guard crc == inflater.crc else {
            throw DatasetError.checksumMismatch(
                path: path, offset: offset, algorithm: "CRC-32", expected: hexadecimal(crc: crc),
                found: hexadecimal(crc: inflater.crc))
        }
        let length = littleEndian(trailer, at: 4, count: 4)
        guard length == inflater.byteCount & 0xffff_ffff else {
            throw DatasetError.lengthMismatch(
                path: path, what: "length of the content, stored at byte \(offset + 4)", expected: length,
                found: inflater.byteCount & 0xffff_ffff)
        }
        isInsideMember = false
        let rest = try file.available()
        if rest.isEmpty {
            isAtEnd = true
        } else if rest[0] != 0x1f || (rest.count > 1 && rest[1] != 0x8b) {
            throw DatasetError.trailingBytes(
                path: path, offset: file.offset, count: max(file.byteCount - file.offset, rest.count))
        }
    }
}

/// The whole content of a gzip file.
///
/// - Parameter maximumBytes: How long the content may be at most.
/// - Throws: As ``GzipReader``.
public func readGzip(path: String, maximumBytes: Int) throws -> [UInt8] {
    try GzipReader(path: path, maximumBytes: maximumBytes).readRest()
}
