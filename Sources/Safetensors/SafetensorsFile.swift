import Foundation

#if _endian(big)
    #error("safetensors files are little-endian, and values are copied as they stand in memory")
#endif

/// The contents of a safetensors file: named arrays with a shape, and a list of texts about them.
///
/// The file is the length of its header (8 bytes), the header (JSON: element type, shape and place of each array) and
/// the data, little-endian and row-major. Entries and metadata keep the order of the header.
///
///     var file = SafetensorsFile(metadata: ["step": "100"])
///     file.append("W", shape: [2, 3], .float32([1, 2, 3, 4, 5, 6]))
///     try file.write(to: "weights.safetensors")
///     let W = try SafetensorsFile(path: "weights.safetensors").floats("W", shape: [2, 3])
public struct SafetensorsFile: Sendable {
    /// The type of an entry's elements; the raw value is its name in the file.
    public enum DType: String, CaseIterable, Sendable {
        case float16 = "F16"
        case bfloat16 = "BF16"
        case float32 = "F32"
        case float64 = "F64"
        case int64 = "I64"
        case uint8 = "U8"

        /// Bytes of one element.
        public var byteCount: Int {
            switch self {
            case .float16, .bfloat16: 2
            case .float32: 4
            case .float64, .int64: 8
            case .uint8: 1
            }
        }
    }

    /// The elements of an entry, row-major.
    public enum Values: Equatable, Sendable {
        case float16([Float16])
        /// The upper halves of F32 numbers.
        case bfloat16([UInt16])
        case float32([Float])
        case float64([Double])
        case int64([Int64])
        case uint8([UInt8])

        /// The type of the elements.
        public var dtype: DType {
            switch self {
            case .float16: .float16
            case .bfloat16: .bfloat16
            case .float32: .float32
            case .float64: .float64
            case .int64: .int64
            case .uint8: .uint8
            }
        }

        /// Number of elements.
        public var count: Int {
            switch self {
            case .float16(let values): values.count
            case .bfloat16(let values): values.count
            case .float32(let values): values.count
            case .float64(let values): values.count
            case .int64(let values): values.count
            case .uint8(let values): values.count
            }
        }

        /// Calls `body` with the elements as they stand in memory and in the file.
        func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
            switch self {
            case .float16(let values): try values.withUnsafeBytes(body)
            case .bfloat16(let values): try values.withUnsafeBytes(body)
            case .float32(let values): try values.withUnsafeBytes(body)
            case .float64(let values): try values.withUnsafeBytes(body)
            case .int64(let values): try values.withUnsafeBytes(body)
            case .uint8(let values): try values.withUnsafeBytes(body)
            }
        }
    }

    /// One named array.
    public struct Entry: Equatable, Sendable {
        /// The name, any text but `__metadata__`, which is the format's own.
        public let name: String
        /// The shape; an empty one is a single number.
        public let shape: [Int]
        /// The elements, as many as the shape says.
        public let values: Values

        /// A named array.
        ///
        /// - Precondition: `values` has as many elements as `shape` says, and the name is not `__metadata__`.
        public init(name: String, shape: [Int], values: Values) {
            precondition(
                shape.allSatisfy { $0 >= 0 } && values.count == product(shape),
                "\(name): \(values.count) values for shape \(shape)")
            precondition(name != SafetensorsHeader.metadataName, "an entry cannot be called \(name)")
            self.name = name
            self.shape = shape
            self.values = values
        }

        /// The type of the elements.
        public var dtype: DType { values.dtype }
    }

    /// One text of the metadata.
    public struct MetadataItem: Equatable, Sendable {
        public let key: String
        public let value: String

        /// A text and the key that it is found under.
        public init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// Texts by key, in the order of the file.
    public struct Metadata: Equatable, Sendable, ExpressibleByDictionaryLiteral {
        /// The texts in order; no key comes twice.
        public private(set) var items: [MetadataItem] = []

        /// Texts in the order given; of a key that comes twice, the last text stands.
        public init(_ items: [MetadataItem] = []) {
            for item in items { self[item.key] = item.value }
        }

        /// Texts none of whose keys comes twice.
        fileprivate init(unique items: [MetadataItem]) { self.items = items }

        public init(dictionaryLiteral elements: (String, String)...) {
            self.init(elements.map { MetadataItem(key: $0.0, value: $0.1) })
        }

        /// The text under `key`; a new key goes to the end, nil removes one.
        public subscript(key: String) -> String? {
            get { items.first { $0.key == key }?.value }
            set {
                let place = items.firstIndex { $0.key == key }
                switch (place, newValue) {
                case (let place?, let value?): items[place] = MetadataItem(key: key, value: value)
                case (let place?, nil): items.remove(at: place)
                case (nil, let value?): items.append(MetadataItem(key: key, value: value))
                case (nil, nil): break
                }
            }
        }
    }

    /// Texts about the file.
    public var metadata: Metadata
    /// The arrays, in the order of the header; no name comes twice.
    public private(set) var entries: [Entry] = []
    /// The file that the contents were read from; nil for contents made in memory. Errors name it.
    public let path: String?

    private var places: [String: Int] = [:]

    /// Contents made in memory.
    ///
    /// - Precondition: No name comes twice.
    public init(metadata: Metadata = [:], entries: [Entry] = []) {
        self.metadata = metadata
        path = nil
        for entry in entries { append(entry) }
    }

    /// Adds an array at the end.
    ///
    /// - Precondition: There is none of that name yet.
    public mutating func append(_ entry: Entry) {
        precondition(places[entry.name] == nil, "two entries called \(entry.name)")
        places[entry.name] = entries.count
        entries.append(entry)
    }

    /// Adds an array at the end.
    ///
    /// - Precondition: There is none of that name yet, and `values` has as many elements as `shape` says.
    public mutating func append(_ name: String, shape: [Int], _ values: Values) {
        append(Entry(name: name, shape: shape, values: values))
    }
}

extension SafetensorsFile: Equatable {
    /// Whether both hold the same in the same order, wherever they were read.
    public static func == (one: SafetensorsFile, other: SafetensorsFile) -> Bool {
        one.metadata == other.metadata && one.entries == other.entries
    }
}

/// The product of lengths, none negative, or nil where it does not fit. One zero makes it zero, whatever the others
/// are.
private func product(_ lengths: [Int]) -> Int? {
    if lengths.contains(0) { return 0 }
    var result = 1
    for length in lengths {
        let (next, overflow) = result.multipliedReportingOverflow(by: length)
        if overflow { return nil }
        result = next
    }
    return result
}

// MARK: - Looking up

extension SafetensorsFile {
    /// The entry of that name, or nil.
    public subscript(name: String) -> Entry? { places[name].map { entries[$0] } }

    /// The entry of that name.
    ///
    /// - Parameter shape: The shape that it must have; nil takes any.
    /// - Throws: `SafetensorsError.missingName`, `.wrongShape`.
    public func entry(_ name: String, shape: [Int]? = nil) throws(SafetensorsError) -> Entry {
        guard let entry = self[name] else {
            throw .missingName(path: errorPath, expected: name, found: entries.map(\.name))
        }
        if let shape, shape != entry.shape {
            throw .wrongShape(path: errorPath, name: name, expected: shape, found: entry.shape)
        }
        return entry
    }

    /// The elements of an entry of floating-point numbers, as F32: F16 and BF16 are exact, F64 is rounded.
    ///
    /// - Parameter shape: The shape that it must have; nil takes any.
    /// - Throws: `SafetensorsError.missingName`, `.wrongShape`, `.wrongDType`; `.outOfRange` for a number that is not
    ///   finite after it was converted.
    public func floats(_ name: String, shape: [Int]? = nil) throws(SafetensorsError) -> [Float] {
        let entry = try entry(name, shape: shape)
        switch entry.values {
        case .float32(let values): return values
        case .float16(let values): return try converted(values, of: entry) { Double($0) }
        case .bfloat16(let values):
            return try converted(values, of: entry) { Double(Float(bitPattern: UInt32($0) << 16)) }
        case .float64(let values): return try converted(values, of: entry) { $0 }
        default: throw wrongDType(entry, expected: .float32)
        }
    }

    private func converted<Number>(
        _ numbers: [Number], of entry: Entry, asDouble: (Number) -> Double
    ) throws(SafetensorsError) -> [Float] {
        var floats: [Float] = []
        floats.reserveCapacity(numbers.count)
        for number in numbers {
            let value = asDouble(number), float = Float(value)
            guard float.isFinite else {
                throw .outOfRange(path: errorPath, name: entry.name, expected: .float32, found: value)
            }
            floats.append(float)
        }
        return floats
    }

    /// The types of number that `floats` converts, such as "BF16"; nil where there is nothing to convert.
    public var convertedType: String? {
        let types = Set(entries.map(\.dtype)).intersection([.float16, .bfloat16, .float64])
        return types.isEmpty ? nil : types.map(\.rawValue).sorted().joined(separator: " and ")
    }

    /// The elements of an F64 entry.
    ///
    /// - Parameter shape: The shape that it must have; nil takes any.
    /// - Throws: `SafetensorsError.missingName`, `.wrongShape`, `.wrongDType`.
    public func doubles(_ name: String, shape: [Int]? = nil) throws(SafetensorsError) -> [Double] {
        let entry = try entry(name, shape: shape)
        guard case .float64(let values) = entry.values else { throw wrongDType(entry, expected: .float64) }
        return values
    }

    /// The elements of an I64 entry.
    ///
    /// - Parameter shape: The shape that it must have; nil takes any.
    /// - Throws: `SafetensorsError.missingName`, `.wrongShape`, `.wrongDType`.
    public func integers(_ name: String, shape: [Int]? = nil) throws(SafetensorsError) -> [Int64] {
        let entry = try entry(name, shape: shape)
        guard case .int64(let values) = entry.values else { throw wrongDType(entry, expected: .int64) }
        return values
    }

    /// The elements of a U8 entry.
    ///
    /// - Parameter shape: The shape that it must have; nil takes any.
    /// - Throws: `SafetensorsError.missingName`, `.wrongShape`, `.wrongDType`.
    public func bytes(_ name: String, shape: [Int]? = nil) throws(SafetensorsError) -> [UInt8] {
        let entry = try entry(name, shape: shape)
        guard case .uint8(let values) = entry.values else { throw wrongDType(entry, expected: .uint8) }
        return values
    }

    package var errorPath: String { path ?? "contents in memory" }

    private func wrongDType(_ entry: Entry, expected: DType) -> SafetensorsError {
        .wrongDType(path: errorPath, name: entry.name, expected: expected, found: entry.dtype)
    }
}

// MARK: - Reading

extension SafetensorsFile {
    /// The longest header that is read, in bytes; the Python package has the same limit.
    public static let longestHeader = 100_000_000

    /// Reads the file at `path`. Its whole header is checked before any memory is taken for the data.
    ///
    /// - Throws: `SafetensorsError`, when the file cannot be read or is damaged.
    public init(path: String) throws(SafetensorsError) {
        // A pipe is refused below, and would otherwise be waited for here.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(path: path, code: errno) }
        defer { _ = close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(path: path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadable(path: path, code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
        }
        let size = Int(status.st_size)
        try self.init(path: path, size: size) { offset, buffer in
            var done = 0
            while done < buffer.count {
                let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
                if count > 0 {
                    done += count
                } else if count == 0 {  // The file became shorter after it was opened.
                    return .badDataSize(path: path, expected: size, found: offset + done)
                } else if errno != EINTR {
                    return .unreadable(path: path, code: errno)
                }
            }
            return nil
        }
    }

    /// Reads contents from memory.
    ///
    /// - Parameter path: Where the bytes came from, for errors.
    /// - Throws: `SafetensorsError`, when the bytes are damaged.
    public init(bytes: [UInt8], path: String) throws(SafetensorsError) {
        try self.init(path: path, size: bytes.count) { offset, buffer in
            bytes.withUnsafeBytes { bytes in
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + buffer.count)]))
            }
            return nil
        }
    }

    /// - Parameter size: Bytes in the whole file.
    /// - Parameter read: Fills a buffer from the offset given, and returns what went wrong.
    private init(
        path: String, size: Int, read: (_ offset: Int, UnsafeMutableRawBufferPointer) -> SafetensorsError?
    ) throws(SafetensorsError) {
        func array<Element>(_ offset: Int, count: Int, zero: Element) throws(SafetensorsError) -> [Element] {
            var failure: SafetensorsError?
            let values = [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
                buffer.initialize(repeating: zero)
                initialized = count
                if count > 0 { failure = read(offset, UnsafeMutableRawBufferPointer(buffer)) }
            }
            if let failure { throw failure }
            return values
        }

        guard size >= 8 else { throw .truncatedHeader(path: path, expected: 8, found: size) }
        let length = try array(0, count: 8, zero: UInt8(0)).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(Self.longestHeader) else {
            throw .headerTooLarge(path: path, expected: Self.longestHeader, found: length)
        }
        let dataStart = 8 + Int(length)
        guard dataStart <= size else {
            throw .truncatedHeader(path: path, expected: UInt64(dataStart), found: size)
        }
        let header = try SafetensorsHeader(text: array(8, count: Int(length), zero: 0), path: path)
        let dtypes = try Self.checked(header, dataSize: size - dataStart, path: path)

        self.path = path
        metadata = Metadata(unique: header.metadata)
        for (stated, dtype) in zip(header.entries, dtypes) {
            let offset = dataStart + stated.begin
            let count = (stated.end - stated.begin) / dtype.byteCount
            let values: Values =
                switch dtype {
                case .float16: .float16(try array(offset, count: count, zero: 0))
                case .bfloat16: .bfloat16(try array(offset, count: count, zero: 0))
                case .float32: .float32(try array(offset, count: count, zero: 0))
                case .float64: .float64(try array(offset, count: count, zero: 0))
                case .int64: .int64(try array(offset, count: count, zero: 0))
                case .uint8: .uint8(try array(offset, count: count, zero: 0))
                }
            append(stated.name, shape: stated.shape, values)
        }
    }

    /// Checks that the data of every entry has the size of its shape, and that the entries cover the data part without
    /// gaps and overlaps.
    private static func checked(
        _ header: SafetensorsHeader, dataSize: Int, path: String
    ) throws(SafetensorsError) -> [DType] {
        var dtypes: [DType] = []
        for entry in header.entries {
            guard let dtype = DType(rawValue: entry.dtype) else {
                throw .unknownDType(
                    path: path, name: entry.name, expected: DType.allCases.map(\.rawValue), found: entry.dtype)
            }
            let expected = product(entry.shape + [dtype.byteCount]) ?? .max
            guard expected == entry.end - entry.begin else {
                throw .sizeMismatch(
                    path: path, name: entry.name, expected: expected, found: entry.end - entry.begin)
            }
            dtypes.append(dtype)
        }
        var end = 0
        for entry in header.entries.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
            guard entry.begin == end else {
                throw .badOffset(path: path, name: entry.name, expected: end, found: entry.begin)
            }
            end = entry.end
        }
        guard end == dataSize else { throw .badDataSize(path: path, expected: end, found: dataSize) }
        return dtypes
    }
}

// MARK: - Writing

extension SafetensorsFile {
    /// Writes the file at `path` atomically: after a failure the file that stood there before is whole.
    ///
    /// - Throws: `AtomicFileError`, when the system refuses a step, for instance because the disk is full.
    public func write(to path: String) throws {
        try writeFileAtomically(path: path) { append in
            try encode(append)
        }
    }

    /// The bytes of the file.
    public func encoded() -> [UInt8] {
        var result: [UInt8] = []
        encode { result.append(contentsOf: $0) }
        return result
    }

    /// Hands the bytes of the file to `append`, run by run.
    ///
    /// The header keeps the order of the entries; the data stand by falling element size, so that each is aligned to
    /// its type.
    private func encode(_ append: (UnsafeRawBufferPointer) throws -> Void) rethrows {
        let order = entries.indices.sorted {
            (-entries[$0].dtype.byteCount, $0) < (-entries[$1].dtype.byteCount, $1)
        }
        var header = SafetensorsHeader()
        header.metadata = metadata.items
        header.entries = entries.map { entry in
            SafetensorsHeader.Entry(
                name: entry.name, dtype: entry.dtype.rawValue, shape: entry.shape, begin: 0, end: 0)
        }
        var end = 0
        for index in order {
            header.entries[index].begin = end
            end += entries[index].values.count * entries[index].dtype.byteCount
            header.entries[index].end = end
        }
        try header.encoded().withUnsafeBytes(append)
        for index in order { try entries[index].values.withUnsafeBytes(append) }
    }
}
