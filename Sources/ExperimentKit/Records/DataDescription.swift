import Datasets
import Foundation

/// A record's description of the data that a run was trained on.
public struct DataDescription: Codable, Equatable, Sendable {
    /// Short and without blanks.
    public let name: String
    /// For tables and messages.
    public let displayName: String
    /// Whether the files are those that the data set's publishers gave out.
    public let official: Bool
    public let files: [DataSource.File]
    /// A checksum of the data, however they are packed; nil in records of earlier versions.
    public let contentSHA256: String?
    public let notes: [String]
    /// Further facts from the experiment: sizes of splits, statistics. In a record these stand beside the other keys.
    public let details: [String: JSONValue]

    public init(
        name: String, displayName: String, official: Bool, files: [DataSource.File], contentSHA256: String? = nil,
        notes: [String], details: [String: JSONValue] = [:]
    ) {
        self.name = name
        self.displayName = displayName
        self.official = official
        self.files = files
        self.contentSHA256 = contentSHA256
        self.notes = notes
        self.details = details
    }

    /// Whether these are the generated samples of the repository, which bear that name.
    public var isSample: Bool { name.hasPrefix("sample") }

    /// The entropy rate of the source in the metric's unit, below which no model's expected figure lies; nil for data
    /// whose source is not known.
    public var entropyRate: Double? { details["entropyRateBits"]?.number }

    /// Whether a description's name is that of a data set; the name of unofficial files begins with the data set's.
    package static func isName(_ name: String, of dataName: String) -> Bool {
        name == dataName || name.hasPrefix("\(dataName)-")
    }

    /// Whether a run's data differ from `found`: by the checksum of the content, whatever its packing; by the files
    /// where an old record has no such checksum.
    public func isOther(than found: DataDescription) -> Bool {
        contentSHA256.map { $0 != found.contentSHA256 } ?? (files != found.files)
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private static let ownKeys = ["name", "displayName", "official", "files", "contentSHA256", "notes"]

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        name = try container.decode(String.self, forKey: Key(stringValue: "name"))
        displayName = try container.decode(String.self, forKey: Key(stringValue: "displayName"))
        official = try container.decode(Bool.self, forKey: Key(stringValue: "official"))
        files = try container.decode([DataSource.File].self, forKey: Key(stringValue: "files"))
        contentSHA256 = try container.decodeIfPresent(String.self, forKey: Key(stringValue: "contentSHA256"))
        notes = try container.decode([String].self, forKey: Key(stringValue: "notes"))
        var details: [String: JSONValue] = [:]
        for key in container.allKeys where !Self.ownKeys.contains(key.stringValue) {
            details[key.stringValue] = try container.decode(JSONValue.self, forKey: key)
        }
        self.details = details
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(name, forKey: Key(stringValue: "name"))
        try container.encode(displayName, forKey: Key(stringValue: "displayName"))
        try container.encode(official, forKey: Key(stringValue: "official"))
        try container.encode(files, forKey: Key(stringValue: "files"))
        try container.encodeIfPresent(contentSHA256, forKey: Key(stringValue: "contentSHA256"))
        try container.encode(notes, forKey: Key(stringValue: "notes"))
        for (key, value) in details { try container.encode(value, forKey: Key(stringValue: key)) }
    }
}
