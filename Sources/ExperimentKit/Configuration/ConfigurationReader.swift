import Foundation

/// Reads one mapping of a configuration strictly: no key may be missing, and none may stand there that is not known.
public final class ConfigurationReader {
    private let node: ConfigurationNode
    private let path: String
    private let keys: [String]
    private var read: Set<String> = []

    /// - Parameter keys: The keys of the mapping; each must be there, and each must be read before `finish()`.
    /// - Parameter addedLater: Keys that files of earlier versions lack, each with the value that it had then.
    /// - Throws: `ConfigurationError.wrongType` if the node is no mapping; `.unknownKey` for a key not in `keys`, with
    ///   the nearest that is; `.missingKey`.
    public init(
        _ node: ConfigurationNode, keyPath: String = "", keys: ConfigurationKeys,
        addedLater: [String: ConfigurationNode.Content] = [:]
    ) throws(ConfigurationError) {
        guard case .mapping(let entries) = node.content else {
            throw .wrongType(
                origin: node.origin, keyPath: keyPath, expected: "a mapping of keys to values", found: node.foundText)
        }
        let added = addedLater.sorted { $0.key < $1.key }.filter { node[$0.key] == nil }.map { key, content in
            ConfigurationNode.Entry(key: key, value: ConfigurationNode(origin: node.origin, content: content))
        }
        self.node = ConfigurationNode(origin: node.origin, content: .mapping(entries + added))
        path = keyPath
        self.keys = keys.names
        // Unknown keys first: a misspelled key is also a missing one, and the error should name the misspelling.
        for entry in entries where !self.keys.contains(entry.key) {
            // A key without its section is a key all the same.
            let below = node.leaves.map(\.keyPath).first { $0.hasSuffix(".\(entry.key)") }
            let nearest = (below ?? nearestName(to: entry.key, among: self.keys)).map(self.keyPath)
            throw .unknownKey(
                origin: entry.value.origin, keyPath: self.keyPath(entry.key), nearest: nearest,
                valid: nearest == nil ? self.keys.map(self.keyPath) : [])
        }
        for key in self.keys where self.node[key] == nil {
            throw .missingKey(origin: node.origin, keyPath: self.keyPath(key))
        }
        for (key, meaning) in keys.meanings {
            let before = addedLater[key].map { ConfigurationNode(origin: node.origin, content: $0).inlineText }
            KeyReference.declare(
                self.keyPath(key), meaning: meaning + (before.map { "; may be left out, which means `\($0)`" } ?? ""))
        }
    }

    func keyPath(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// The node under a key.
    ///
    /// - Precondition: `key` is one of the reader's keys.
    public func value(_ key: String) throws(ConfigurationError) -> ConfigurationNode {
        precondition(keys.contains(key), "'\(keyPath(key))' is not among the keys \(keys)")
        read.insert(key)
        guard let value = node[key] else { throw .missingKey(origin: node.origin, keyPath: keyPath(key)) }
        return value
    }

    /// To be called when the section is decoded.
    ///
    /// - Precondition: Every key was read: a key that is required but has no effect would mislead readers of the file.
    public func finish() {
        precondition(read == Set(keys), "never read: \(Set(keys).subtracting(read).sorted().map(keyPath))")
    }

    // MARK: - Typed values

    /// A mapping with the keys that are expected in it.
    ///
    /// - Parameter addedLater: Keys that files of earlier versions lack, each with the value that it had then.
    /// - Throws: `ConfigurationError` for an unknown or missing key and for anything but a mapping.
    public func section(
        _ key: String, keys: ConfigurationKeys, addedLater: [String: ConfigurationNode.Content] = [:]
    ) throws(ConfigurationError) -> ConfigurationReader {
        note(key, "a section")
        return try ConfigurationReader(try value(key), keyPath: keyPath(key), keys: keys, addedLater: addedLater)
    }

    /// Whether null stands in the place of a section.
    public func isNull(_ key: String) throws(ConfigurationError) -> Bool {
        note(key, "null")
        return try value(key).isNull
    }

    /// The default upper bound of whole numbers other than seeds: the product of two such numbers fits into an `Int`.
    public static let most = 1_000_000_000

    /// A whole number of at least `minimum`.
    ///
    /// - Parameters:
    ///   - least: The least that the file's other values leave, where that is more.
    ///   - most: The most that it may be.
    public func integer(
        _ key: String, atLeast minimum: Int, here least: Int = .min, atMost most: Int = most
    ) throws(ConfigurationError) -> Int {
        note(key, Self.wholeNumber(minimum, most))
        return try integer(
            of: try value(key), keyPath: keyPath(key), atLeast: max(minimum, least), atMost: most)
    }

    /// A whole number of at least `minimum`, or null.
    public func optionalInteger(_ key: String, atLeast minimum: Int) throws(ConfigurationError) -> Int? {
        note(key, Self.wholeNumber(minimum))
        return try isNull(key) ? nil : integer(key, atLeast: minimum)
    }

    /// A sequence, not an empty one, of whole numbers of at least `minimum`.
    ///
    /// - Parameter most: The most that each may be.
    public func integers(
        _ key: String, atLeast minimum: Int, atMost most: Int = most
    ) throws(ConfigurationError) -> [Int] {
        note(key, Self.wholeNumbers(minimum))
        let node = try value(key)
        guard case .sequence(let values) = node.content else {
            throw mismatch(node, key, "a sequence of whole numbers")
        }
        guard !values.isEmpty else { throw invalid(key, expected: "at least one whole number", found: "none") }
        var numbers: [Int] = []
        for (index, value) in values.enumerated() {
            numbers.append(
                try integer(of: value, keyPath: "\(keyPath(key))[\(index)]", atLeast: minimum, atMost: most))
        }
        return numbers
    }

    /// The seeds of a configuration: a sequence of different ones.
    public func seeds(_ key: String) throws(ConfigurationError) -> [Int] {
        let seeds = try integers(key, atLeast: 0, atMost: StableJSON.greatestInteger)
        guard Set(seeds).count == seeds.count else {
            throw invalid(key, expected: "each seed once", found: "\(seeds)")
        }
        return seeds
    }

    /// A number inside `range`; whole numbers count as numbers.
    public func number(_ key: String, in range: ClosedRange<Double>) throws(ConfigurationError) -> Double {
        note(key, Self.number(range))
        return try number(of: try value(key), keyPath: keyPath(key), in: range)
    }

    /// A number inside `range`, or null.
    public func optionalNumber(_ key: String, in range: ClosedRange<Double>) throws(ConfigurationError) -> Double? {
        note(key, Self.number(range))
        return try isNull(key) ? nil : number(key, in: range)
    }

    /// A boolean.
    public func boolean(_ key: String) throws(ConfigurationError) -> Bool {
        note(key, "true or false")
        let node = try value(key)
        guard let boolean = node.boolean else { throw mismatch(node, key, "true or false") }
        return boolean
    }

    /// A string; a number or a boolean is none unless it is quoted.
    public func text(_ key: String) throws(ConfigurationError) -> String {
        note(key, "a string")
        let node = try value(key)
        guard case .scalar(let text, .text) = node.content else { throw mismatch(node, key, "a string") }
        return text
    }

    /// One of the names of an enumeration.
    public func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of type: Choice.Type
    ) throws(ConfigurationError) -> Choice where Choice.RawValue == String {
        let node = try value(key)
        let names = "one of " + Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        note(key, names)
        guard case .scalar(let text, .text) = node.content else { throw mismatch(node, key, names) }
        guard let choice = Choice(rawValue: text) else {
            throw .invalidValue(origin: node.origin, keyPath: keyPath(key), expected: names, found: "'\(text)'")
        }
        return choice
    }

    /// Whether a key is one of the reader's.
    public func has(_ key: String) -> Bool { keys.contains(key) }

    /// An error about the value of `key`, with the place it was written at.
    public func invalid(_ key: String, expected: String, found: String) -> ConfigurationError {
        .invalidValue(
            origin: node[key]?.origin ?? node.origin, keyPath: keyPath(key), expected: expected, found: found)
    }

    /// Says what a key is read as, for the reference of all keys.
    func note(_ key: String, _ values: String) { KeyReference.note(keyPath(key), values: values) }

    func mismatch(_ node: ConfigurationNode, _ key: String, _ expected: String) -> ConfigurationError {
        .wrongType(origin: node.origin, keyPath: keyPath(key), expected: expected, found: node.foundText)
    }

    private func integer(
        of node: ConfigurationNode, keyPath: String, atLeast minimum: Int, atMost most: Int
    ) throws(ConfigurationError) -> Int {
        guard let number = node.integer else {
            // YAML has whole numbers in other spellings, and of any length.
            if case .scalar(let text, .integer) = node.content {
                throw .invalidValue(
                    origin: node.origin, keyPath: keyPath,
                    expected: "a whole number of at most \(grouped(most)) in decimal digits", found: text)
            }
            throw .wrongType(
                origin: node.origin, keyPath: keyPath, expected: "a whole number", found: node.foundText)
        }
        guard number >= minimum else {
            throw .invalidValue(
                origin: node.origin, keyPath: keyPath, expected: Self.wholeNumber(minimum), found: "\(number)")
        }
        guard number <= most else {
            throw .invalidValue(
                origin: node.origin, keyPath: keyPath, expected: "a whole number of at most \(grouped(most))",
                found: "\(number)")
        }
        return number
    }

    private func number(
        of node: ConfigurationNode, keyPath: String, in range: ClosedRange<Double>
    ) throws(ConfigurationError) -> Double {
        guard let number = node.number else {
            // An infinity, and what is too great for a `Double`.
            if case .scalar(let text, let type) = node.content, type == .number || type == .integer {
                throw .invalidValue(
                    origin: node.origin, keyPath: keyPath, expected: Self.number(range), found: text)
            }
            throw .wrongType(origin: node.origin, keyPath: keyPath, expected: "a number", found: node.foundText)
        }
        guard range.contains(number) else {
            throw .invalidValue(
                origin: node.origin, keyPath: keyPath, expected: Self.number(range), found: node.inlineText)
        }
        return number
    }

    /// Describes whole numbers from `minimum` to `most`; the bound that all keys have in common is not mentioned.
    static func wholeNumber(_ minimum: Int, _ most: Int = most) -> String {
        most < Self.most
            ? "a whole number from \(minimum) to \(grouped(most))" : "a whole number of at least \(minimum)"
    }

    static func wholeNumbers(_ minimum: Int) -> String { "a list of whole numbers of at least \(minimum)" }

    private static func number(_ range: ClosedRange<Double>) -> String {
        String(format: "a number from %.10g to %.10g", range.lowerBound, range.upperBound)
    }
}

extension ConfigurationNode {
    public var isNull: Bool {
        if case .scalar(_, .null) = content { return true }
        return false
    }

    /// The value of a YAML boolean; nil for any other value, and for a text that only an explicit tag makes a boolean.
    var boolean: Bool? {
        guard case .scalar(let text, .boolean) = content else { return nil }
        return ["true": true, "yes": true, "on": true, "false": false, "no": false, "off": false][text.lowercased()]
    }

    /// The value of a YAML integer; nil for any other value, and for one that has other than decimal digits or does not
    /// fit into an `Int`.
    package var integer: Int? {
        guard case .scalar(let text, .integer) = content else { return nil }
        return Int(text.replacingOccurrences(of: "_", with: ""))
    }

    /// The value of a YAML number, whole or not; nil for any other value, and for one that is not finite.
    var number: Double? {
        guard case .scalar(let text, let type) = content, type == .integer || type == .number else { return nil }
        return Double(text.replacingOccurrences(of: "_", with: "")).flatMap { $0.isFinite ? $0 : nil }
    }

    /// The value as an error message shows it: the text with its type.
    var foundText: String {
        switch content {
        case .scalar(_, .null): return "nothing (null)"
        case .scalar(let text, .text): return "the string '\(text)'"
        case .scalar(let text, .boolean) where boolean == nil: return "the string '\(text)'"
        case .scalar(let text, let type): return "'\(text)' (\(type.rawValue))"
        case .sequence: return "the sequence \(inlineText)"
        case .mapping: return "the mapping \(inlineText)"
        }
    }
}
