/// A value of a JSON document, for parts of a record that only one experiment knows.
public enum JSONValue: Codable, Equatable, Sendable {
    case null
    case boolean(Bool)
    case number(Double)
    case text(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The number, if it is one.
    public var number: Double? {
        if case .number(let number) = self { return number }
        return nil
    }

    public static func optional(_ number: Double?) -> JSONValue { number.map { .number($0) } ?? .null }
    public static func optional(_ text: String?) -> JSONValue { text.map { .text($0) } ?? .null }

    /// The JSON of a value.
    public init(encoding value: some Encodable) throws {
        self = try StableJSON.decode(JSONValue.self, from: StableJSON.encode(value))
    }

    /// A whole number.
    public static func count(_ count: Int) -> JSONValue { .number(Double(count)) }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .boolean(let value): try container.encode(value)
        case .number(let value):
            // Counts are written without a fraction.
            if let whole = Int(exactly: value) { try container.encode(whole) } else { try container.encode(value) }
        case .text(let value): try container.encode(value)
        case .array(let values): try container.encode(values)
        case .object(let values): try container.encode(values)
        }
    }
}
