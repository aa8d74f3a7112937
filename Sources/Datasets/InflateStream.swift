import CZlib
import Foundation

/// Raw DEFLATE (RFC 1951) out of a file, by zlib: the part that gzip and zip have in common.
///
/// Header and trailer are the caller's: zlib would check them too, but cannot say what it expected and found.
final class InflateStream {
    /// The CRC-32 of everything produced since the last ``reset()``.
    private(set) var crc: UInt32 = 0
    /// Bytes produced since the last ``reset()``.
    private(set) var byteCount = 0
    /// Whether the last block has been read to its end.
    private(set) var isAtEnd = false
    // On the heap because zlib keeps a pointer back to the structure it was initialized with.
    private let stream: UnsafeMutablePointer<z_stream>

    init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // Negative window bits: no zlib or gzip wrapper. It can only fail for lack of memory or a foreign zlib.
        let status = inflateInit2_(stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "inflateInit2 returned \(status)")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Makes ready for another DEFLATE stream.
    func reset() {
        inflateReset(stream)
        crc = 0
        byteCount = 0
        isAtEnd = false
    }

    /// Decompresses until `output` is full or the stream ends.
    ///
    /// - Parameter limit: Offset in the file that the stream must not read past; nil for the end of the file.
    /// - Returns: The number of bytes written to `output`, less than its count only at the end of the stream.
    /// - Throws: `DatasetError.truncated`, `.corrupt`, `.unreadable`.
    func read(
        into output: UnsafeMutableRawBufferPointer, from file: FileBytes, limit: Int? = nil
    ) throws -> Int {
        var produced = 0
        while produced < output.count && !isAtEnd {
            var input = try file.available()
            if let limit, file.offset + input.count > limit {
                input = UnsafeMutableRawBufferPointer(rebasing: input[..<(limit - file.offset)])
            }
            guard !input.isEmpty else {
                throw DatasetError.truncated(
                    path: file.path, offset: file.offset, expected: "more compressed data")
            }
            // zlib counts in 32 bits; the buffers of this package are far smaller, but a caller's need not be.
            let room = min(output.count - produced, Int(Int32.max))
            let destination = output.baseAddress!.advanced(by: produced).assumingMemoryBound(to: UInt8.self)
            stream.pointee.next_in = input.baseAddress!.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_in = UInt32(input.count)
            stream.pointee.next_out = destination
            stream.pointee.avail_out = UInt32(room)
            let status = inflate(stream, Z_NO_FLUSH)
            file.consume(input.count - Int(stream.pointee.avail_in))
            let count = room - Int(stream.pointee.avail_out)
            crc = Checksum.crc32(UnsafeRawBufferPointer(start: destination, count: count), continuing: crc)
            produced += count
            byteCount += count
            switch status {
            case Z_OK, Z_BUF_ERROR: break  // needs more input or more room: the loop brings either
            case Z_STREAM_END: isAtEnd = true
            default:
                let reason = stream.pointee.msg.map { String(cString: $0) } ?? "zlib status \(status)"
                throw DatasetError.corrupt(path: file.path, offset: file.offset, reason: reason)
            }
        }
        return produced
    }
}
