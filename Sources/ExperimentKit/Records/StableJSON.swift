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
}
