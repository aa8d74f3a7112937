import Figures
import Foundation

/// A file of events as TensorBoard reads it: numbers and pictures by step.
///
/// The file is a sequence of TFRecords, little-endian:
///
///     length: UInt64, masked CRC-32C of the length: UInt32, data, masked CRC-32C of the data: UInt32
///
/// The data of each is a Protocol Buffers message `Event` (`event.proto` and `summary.proto` of TensorFlow):
///
///     Event    1 wall_time: double, 2 step: int64, 3 file_version: string, 5 summary: Summary
///     Summary  1 value, repeated:
///     Value    1 tag: string, 2 simple_value: float, 4 image: Image
///     Image    1 height, 2 width, 3 colorspace (1 is gray): int32, 4 encoded_image_string: bytes
public struct EventFile {
    /// The whole file.
    public private(set) var bytes: [UInt8] = []
    /// Seconds from 1970 to the run's first step.
    private let began: Double

    public init(began: Date) {
        self.began = began.timeIntervalSince1970
        var event = Message()
        event.double(1, self.began)
        event.text(3, "brain.Event:2")
        append(event)
    }

    /// Adds numbers.
    ///
    /// - Parameter seconds: Since the run began.
    public mutating func add(step: Int, seconds: Double, numbers: [(tag: String, value: Double)]) {
        add(step: step, seconds: seconds, values: numbers) { message, value in message.float(2, Float(value)) }
    }

    /// Adds pictures.
    ///
    /// - Parameter seconds: Since the run began.
    public mutating func add(step: Int, seconds: Double, pictures: [(tag: String, value: Raster)]) {
        add(step: step, seconds: seconds, values: pictures) { message, raster in
            message.message(4) { image in
                image.integer(1, raster.height)
                image.integer(2, raster.width)
                image.integer(3, 1)
                image.bytes(4, raster.png)
            }
        }
    }

    private mutating func add<Value>(
        step: Int, seconds: Double, values: [(tag: String, value: Value)], write: (inout Message, Value) -> Void
    ) {
        var event = Message()
        event.double(1, began + seconds)
        event.integer(2, step)
        event.message(5) { summary in
            for (tag, value) in values {
                summary.message(1) { message in
                    message.text(1, tag)
                    write(&message, value)
                }
            }
        }
        append(event)
    }

    private mutating func append(_ event: Message) {
        let length = littleEndian(UInt64(event.content.count))
        bytes += length + littleEndian(Self.maskedCRC32C(length))
        bytes += event.content + littleEndian(Self.maskedCRC32C(event.content))
    }

    /// Brings a file on the disk in step with this one. What is there already stays as it is, so that a TensorBoard
    /// that has it open reads on; only a file that is no beginning of this one is replaced.
    ///
    /// - Throws: `RecordError.unreadable` for a file that is there and cannot be read: it stays as it is;
    ///   `.unwritable`.
    public func write(to url: URL) throws {
        try Files.makeFolder(url.deletingLastPathComponent())
        let existing = try Files.exists(url) ? Files.bytes(of: url) : []
        guard !existing.isEmpty, bytes.starts(with: existing) else {
            return try Files.write(bytes, to: url)
        }
        do {
            let file = try FileHandle(forWritingTo: url)
            defer { try? file.close() }
            try file.seekToEnd()
            try file.write(contentsOf: bytes[existing.count...])
        } catch {
            throw RecordError.unwritable(path: url.path, reason: "\(error)")
        }
    }

    // MARK: - Checksums

    /// The checksum of a TFRecord: the CRC-32C, turned and shifted so that sums of data that hold sums are not weak.
    static func maskedCRC32C(_ content: [UInt8]) -> UInt32 {
        let sum = crc32C(content)
        return (sum >> 15 | sum << 17) &+ 0xA282_EAD8
    }

    /// CRC-32C, by Castagnoli's polynomial 1EDC6F41 (RFC 3720, appendix B.4).
    static func crc32C(_ content: [UInt8]) -> UInt32 {
        ~content.reduce(~0) { sum, byte in crcOfByte[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] ^ sum >> 8 }
    }

    /// The polynomial's remainders of all bytes, lowest bit first.
    private static let crcOfByte: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0x82F6_3B78 : sum >> 1 }
    }
}

/// A Protocol Buffers message under construction; each field has its number.
private struct Message {
    private(set) var content: [UInt8] = []

    private mutating func variable(_ value: UInt64) {
        var rest = value
        while rest > 0x7F {
            content.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        content.append(UInt8(rest))
    }

    /// - Parameter kind: 0 for a variable number of bytes, 1 for eight, 2 for a length and as many, 5 for four.
    private mutating func key(_ field: UInt64, kind: UInt64) { variable(field << 3 | kind) }

    /// Writes an `int32` or `int64`; a negative one takes ten bytes.
    mutating func integer(_ field: UInt64, _ value: Int) {
        key(field, kind: 0)
        variable(UInt64(bitPattern: Int64(value)))
    }

    mutating func double(_ field: UInt64, _ value: Double) {
        key(field, kind: 1)
        content += littleEndian(value.bitPattern)
    }

    mutating func float(_ field: UInt64, _ value: Float) {
        key(field, kind: 5)
        content += littleEndian(value.bitPattern)
    }

    mutating func bytes(_ field: UInt64, _ value: [UInt8]) {
        key(field, kind: 2)
        variable(UInt64(value.count))
        content += value
    }

    mutating func text(_ field: UInt64, _ value: String) { bytes(field, Array(value.utf8)) }

    mutating func message(_ field: UInt64, _ fill: (inout Message) -> Void) {
        var part = Message()
        fill(&part)
        bytes(field, part.content)
    }
}

private func littleEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
