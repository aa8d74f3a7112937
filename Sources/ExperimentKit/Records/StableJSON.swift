import Foundation

/// JSON that depends on the values alone: keys sorted, numbers in their shortest exact form, so that two records can be
/// compared line by line and a `Double` comes back bit by bit.
public enum StableJSON {
    /// The greatest whole number that a reader of JSON surely takes for the same: 2⁵³.
    public static let greatestInteger = 1 << 53

    /// A document over several lines, ending in a newline.
    public static func encode(_ value: some Encodable) throws -> [UInt8] {
        try bytes(value, formatting: [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes])
    }

    /// One line, ending in a newline.
    public static func encodeLine(_ value: some Encodable) throws -> [UInt8] {
        try bytes(value, formatting: [.sortedKeys, .withoutEscapingSlashes])
    }

    /// One line without its end, such as a string of the metadata of weights.
    public static func text(_ value: some Encodable) throws -> String {
        String(decoding: try encodeLine(value).dropLast(), as: UTF8.self)
    }

    private static func bytes(_ value: some Encodable, formatting: JSONEncoder.OutputFormatting) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        return try [UInt8](encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    /// The value of a document; keys that the type does not have are passed over.
    ///
    /// - Throws: `DecodingError`.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }

    /// The value of a file.
    ///
    /// - Parameter remedy: What its reader can do about a file that is damaged.
    /// - Throws: `RecordError.unreadable` naming the file and the key.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, at url: URL, remedy: String? = nil
    ) throws(RecordError) -> Value {
        let bytes = try Files.bytes(of: url)
        do {
            return try decode(type, from: bytes)
        } catch {
            throw .unreadable(path: url.path, reason: fault(error) + (remedy.map { ": \($0)" } ?? ""))
        }
    }

    /// What is wrong with a document, for its reader: a `DecodingError` by its key, any other error as it is.
    public static func fault(_ error: any Error) -> String {
        func key(_ path: [any CodingKey]) -> String {
            let text = path.reduce(into: "") { text, key in
                text += key.intValue.map { "[\($0)]" } ?? (text.isEmpty ? "" : ".") + key.stringValue
            }
            return text.isEmpty ? "the document" : "'\(text)'"
        }
        func words(_ type: Any.Type) -> String {
            switch type {
            case is any FixedWidthInteger.Type: "a whole number"
            case is any BinaryFloatingPoint.Type: "a number"
            case is String.Type: "a string"
            case is Bool.Type: "true or false"
            case is [Any].Type: "a list"
            default: "an object"
            }
        }
        switch error as? DecodingError {
        case .keyNotFound(let missing, let context): return "the key \(key(context.codingPath + [missing])) is missing"
        case .typeMismatch(let type, let context): return "\(key(context.codingPath)) expected \(words(type))"
        case .valueNotFound(let type, let context):
            return "\(key(context.codingPath)) expected \(words(type)), found null"
        case .dataCorrupted(let context) where context.codingPath.isEmpty: return "not JSON"
        case .dataCorrupted(let context): return "\(key(context.codingPath)): \(context.debugDescription)"
        default: return "\(error)"
        }
    }
}
