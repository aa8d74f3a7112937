import Datasets

/// A zip archive of one entry, written field by field so that a test can put a lie into any of them.
struct ZipFile {
    var content: [UInt8]
    var name = "text"
    var method: UInt16 = 8
    var flags: UInt16 = 0
    var entries: UInt16 = 1
    var crc: UInt32?
    var statedBytes: UInt32?
    var comment: [UInt8] = []
    /// An extra field, in both headers, as Info-ZIP writes its time stamps.
    var extra: [UInt8] = []
    /// Sizes and checksum after the data instead of before it, as a writer that streams has to do (flag bit 3).
    var hasDescriptor = false

    init(_ content: [UInt8]) { self.content = content }

    /// The bytes of the archive.
    var bytes: [UInt8] {
        let gzip = gzipCompressed(content)
        let data = method == 8 ? Array(gzip[10..<(gzip.count - 8)]) : content
        let trueCRC = gzip[(gzip.count - 8)..<(gzip.count - 4)].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        var sizes = little(crc ?? trueCRC)
        sizes += little(UInt32(data.count))
        sizes += little(statedBytes ?? UInt32(content.count))
        var start = little(flags | (hasDescriptor ? 8 : 0))
        start += little(method)
        start += little(UInt16(0)) + little(UInt16(0x21))  // midnight, 1 January 1980
        let lengths = little(UInt16(name.utf8.count)) + little(UInt16(extra.count))
        var local: [UInt8] = [0x50, 0x4b, 3, 4]
        local += little(UInt16(20))
        local += start
        local += hasDescriptor ? [UInt8](repeating: 0, count: 12) : sizes
        local += lengths
        local += Array(name.utf8) + extra
        local += data
        if hasDescriptor { local += [0x50, 0x4b, 7, 8] + sizes }
        var record: [UInt8] = [0x50, 0x4b, 1, 2]
        record += little(UInt16(20)) + little(UInt16(20))
        record += start
        record += sizes
        record += lengths
        record += [UInt8](repeating: 0, count: 14)  // comment, disk, attributes, offset of the local header
        record += Array(name.utf8) + extra
        var end: [UInt8] = [0x50, 0x4b, 5, 6, 0, 0, 0, 0]
        end += little(entries) + little(entries)
        end += little(UInt32(record.count)) + little(UInt32(local.count))
        end += little(UInt16(comment.count))
        end += comment
        return local + record + end
    }

    private func little(_ value: UInt16) -> [UInt8] { [UInt8(value & 0xff), UInt8(value >> 8)] }
    private func little(_ value: UInt32) -> [UInt8] {
        little(UInt16(value & 0xffff)) + little(UInt16(value >> 16))
    }
}
