import CZlib
import Foundation

/// A gzip member without a time stamp or file name, so that equal content gives an equal file (with one version of
/// zlib; another may compress otherwise).
///
/// - Parameter level: zlib's, from 0 (stored) over 1 (fast) to 9 (small).
package func gzipCompressed(_ content: [UInt8], level: Int32 = 9) -> [UInt8] {
    var stream = z_stream()
    // 16 more window bits ask zlib for a gzip wrapper; its default header has the time 0 and no name.
    let initialized = deflateInit2_(
        &stream, level, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
    precondition(initialized == Z_OK, "deflateInit2 returned \(initialized)")
    defer { deflateEnd(&stream) }
    precondition(content.count <= Int(UInt32.max), "\(content.count) bytes are more than one call can take")
    var input = content
    let bound = Int(deflateBound(&stream, UInt(content.count)))
    return input.withUnsafeMutableBufferPointer { source in
        [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            stream.next_in = source.baseAddress
            stream.avail_in = UInt32(source.count)
            stream.next_out = output.baseAddress
            stream.avail_out = UInt32(bound)
            let status = deflate(&stream, Z_FINISH)
            precondition(status == Z_STREAM_END, "deflate returned \(status)")
            count = bound - Int(stream.avail_out)
        }
    }
}
