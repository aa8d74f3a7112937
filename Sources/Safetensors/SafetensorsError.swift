import Foundation

/// A safetensors file that could not be read, or that does not hold what the caller asks for.
public enum SafetensorsError: Error, Equatable, Sendable {
    /// The system refuses to open or read the file; `code` is the value of `errno`.
    case unreadable(path: String, code: Int32)
    /// The file ends inside the header; byte counts of the length field and the header together, and of the whole file.
    case truncatedHeader(path: String, expected: UInt64, found: Int)
    /// The header would be longer than the format allows, in bytes: most often the file is of another format.
    case headerTooLarge(path: String, expected: Int, found: UInt64)
    /// The header is not the JSON that the format asks for, at the byte `offset` of the header.
    case badHeader(path: String, offset: Int, expected: String, found: String)
    /// An element type that this reader does not know.
    case unknownDType(path: String, name: String, expected: [String], found: String)
    /// The elements of two entries overlap or leave a gap: where this entry's bytes must start, and where they do.
    case badOffset(path: String, name: String, expected: Int, found: Int)
    /// The elements of an entry lie outside the file, or the last entries do not reach its end; in bytes of the data
    /// part.
    case badDataSize(path: String, expected: Int, found: Int)
    /// Bytes by shape and element type (`Int.max` if they cannot be counted), and bytes by the entry's offsets.
    case sizeMismatch(path: String, name: String, expected: Int, found: Int)
    /// No entry of that name; `found` lists the names that there are.
    case missingName(path: String, expected: String, found: [String])
    /// An entry that nothing reads: the file is of something else.
    case unexpectedName(path: String, name: String)
    /// The entry has another shape.
    case wrongShape(path: String, name: String, expected: [Int], found: [Int])
    /// The entry has another element type.
    case wrongDType(path: String, name: String, expected: SafetensorsFile.DType, found: SafetensorsFile.DType)
    /// The entry holds a number that is not finite as one of the type that it is converted to.
    case outOfRange(path: String, name: String, expected: SafetensorsFile.DType, found: Double)
}

extension SafetensorsError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreadable(let path, let code):
            "\(path): cannot be read: \(String(cString: strerror(code)))"
        case .truncatedHeader(let path, let expected, let found):
            "\(path): ends inside its header: expected at least \(expected) bytes, found \(found)"
        case .headerTooLarge(let path, let expected, let found):
            "\(path): no safetensors file: its first 8 bytes state a header of \(found) bytes,"
                + " expected at most \(expected) (a Git LFS pointer, or another format?)"
        case .badHeader(let path, let offset, let expected, let found):
            "\(path): header, byte \(offset): expected \(expected), found \(found)"
        case .unknownDType(let path, let name, let expected, let found):
            "\(path): \(name): expected an element type of \(expected.joined(separator: ", ")), found \(found)"
        case .badOffset(let path, let name, let expected, let found):
            "\(path): \(name): expected its data at byte \(expected), right after the entry before it, found \(found)"
        case .badDataSize(let path, let expected, let found):
            "\(path): expected \(expected) bytes of data by the header, found \(found)"
        case .sizeMismatch(let path, let name, let expected, let found):
            "\(path): \(name): expected \(expected) bytes by its shape and element type, found \(found) by its offsets"
        case .missingName(let path, let expected, let found):
            "\(path): expected an entry \(expected), found \(found.prefix(8).joined(separator: ", "))"
                + (found.count > 8 ? " and \(found.count - 8) more" : "")
        case .unexpectedName(let path, let name):
            "\(path): holds an entry \(name) that is not expected"
        case .wrongShape(let path, let name, let expected, let found):
            "\(path): \(name): expected shape \(expected), found \(found)"
        case .wrongDType(let path, let name, let expected, let found):
            "\(path): \(name): expected \(expected.rawValue), found \(found.rawValue)"
        case .outOfRange(let path, let name, let expected, let found):
            "\(path): \(name): expected finite numbers within the range of \(expected.rawValue), found \(found)"
        }
    }
}
