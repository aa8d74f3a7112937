import CZlib

/// A picture of gray pixels.
public struct Raster: Equatable, Sendable {
    public let width: Int
    public let height: Int
    /// 0 is black and 255 white, row by row.
    public private(set) var pixels: [UInt8]

    /// A picture of one brightness.
    public init(width: Int, height: Int, fill: UInt8 = 255) {
        precondition(width > 0 && height > 0, "a picture has pixels, found \(width) × \(height)")
        self.width = width
        self.height = height
        pixels = [UInt8](repeating: fill, count: width * height)
    }

    public subscript(x: Int, y: Int) -> UInt8 {
        get { pixels[y * width + x] }
        set { pixels[y * width + x] = newValue }
    }

    /// Every pixel as a rectangle of `x` × `y` equal ones.
    public func enlarged(x: Int, y: Int) -> Raster {
        var picture = Raster(width: width * x, height: height * y)
        for row in 0..<picture.height {
            for column in 0..<picture.width { picture[column, row] = self[column / x, row / y] }
        }
        return picture
    }

    /// Brightness of a number: black at the lower bound and below, white at the upper bound and above. Gray where the
    /// number is not finite, or the range has no extent or more than a Float holds.
    public static func brightness(_ value: Float, in range: ClosedRange<Float>) -> UInt8 {
        let extent = range.upperBound - range.lowerBound
        guard value.isFinite, extent > 0, extent.isFinite else { return 128 }
        return UInt8((min(max((value - range.lowerBound) / extent, 0), 1) * 255).rounded())
    }

    /// The picture as a PNG file (ISO/IEC 15948): 8-bit gray, each row with filter 0.
    public var png: [UInt8] {
        func bigEndian(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
        func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
            let content = Array(type.utf8) + data
            return bigEndian(data.count) + content + bigEndian(Int(crc32_z(0, content, content.count)))
        }
        let rows = (0..<height).flatMap { [0] + pixels[$0 * width..<($0 + 1) * width] }
        let header = bigEndian(width) + bigEndian(height) + [8, 0, 0, 0, 0]
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header)
            + chunk("IDAT", Self.deflated(rows)) + chunk("IEND", [])
    }

    /// A file that `png` wrote; nil for any other.
    public init?(png: [UInt8]) {
        func number(at index: Int) -> Int { png[index..<index + 4].reduce(0) { $0 << 8 | Int($1) } }
        // The signature, IHDR with its 13 bytes, IDAT.
        guard png.count > 45, png.starts(with: [0x89, 0x50, 0x4E, 0x47]), png[24...28] == [8, 0, 0, 0, 0] else {
            return nil
        }
        let width = number(at: 16), height = number(at: 20), length = number(at: 33)
        guard width > 0, height > 0, width < 1 << 20, height < 1 << 20, width * height < 1 << 30,
            Array(png[37..<41]) == Array("IDAT".utf8), 41 + length <= png.count
        else { return nil }
        var rows = [UInt8](repeating: 0, count: (width + 1) * height), count = UInt(rows.count)
        let status = uncompress(&rows, &count, Array(png[41..<41 + length]), UInt(length))
        let filters = (0..<height).allSatisfy { rows[$0 * (width + 1)] == 0 }
        guard status == Z_OK, count == rows.count, filters else { return nil }
        self.init(width: width, height: height)
        pixels = (0..<height).flatMap { rows[$0 * (width + 1) + 1..<($0 + 1) * (width + 1)] }
    }

    /// Whether two pictures are the same up to a level of gray, as another order of sums may move a number.
    public func agrees(with other: Raster) -> Bool {
        width == other.width && height == other.height
            && zip(pixels, other.pixels).allSatisfy { abs(Int($0) - Int($1)) <= 1 }
    }

    private static func deflated(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(compressBound(UInt(bytes.count)))) { buffer, count in
            var length = UInt(buffer.count)
            let status = compress2(buffer.baseAddress, &length, bytes, UInt(bytes.count), Z_BEST_COMPRESSION)
            precondition(status == Z_OK, "zlib's compress2 returned \(status)")
            count = Int(length)
        }
    }
}
