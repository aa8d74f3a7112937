import Foundation

/// Reads one mapping of a configuration strictly: no key may be missing, and none may stand there that is not known.
public final class ConfigurationReader {
    private let node: ConfigurationNode
    private let path: String
    private let keys: [String]
    private var read: Set<String> = []

    /// - Parameter keys: the keys of the mapping; each must be there, and each must be read before `finish()`.
    /// - Parameter younger: keys that files of earlier versions lack, with the value that held then.
    /// - Throws: `ConfigurationError.wrongType` if the node is no mapping; `.unknownKey` for a key not in `keys`, with the
    ///   nearest that is; `.missingKey`.
    public init(
        _ node: ConfigurationNode, keyPath: String = "", keys: [String], younger: [String: String] = [:]
    ) throws(ConfigurationError) {
        guard case .mapping(let entries) = node.content else {
            throw .wrongType(
                origin: node.origin, keyPath: keyPath, expected: "a mapping of keys to values", found: node.foundText)
        }
        let added = younger.keys.sorted().filter { node[$0] == nil }.map { key in
            let value = ConfigurationNode.Content.scalar(text: younger[key] ?? "", type: .text)
            return ConfigurationNode.Entry(key: key, value: ConfigurationNode(origin: node.origin, content: value))
        }
        self.node = ConfigurationNode(origin: node.origin, content: .mapping(entries + added))
        path = keyPath
        self.keys = keys + younger.keys
        // Unknown keys first: a misspelt key is missing too, and its spelling is the better news.
        for entry in entries where !self.keys.contains(entry.key) {
            throw .unknownKey(
                origin: entry.value.origin, keyPath: self.keyPath(entry.key),
                nearest: nearestName(to: entry.key, among: self.keys))
        }
        for key in keys where node[key] == nil {
            throw .missingKey(origin: node.origin, keyPath: self.keyPath(key))
        }
    }

    private func keyPath(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

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
    /// - Precondition: every key was read; one that is required and never used would be a lie in every file.
    public func finish() {
        precondition(read == Set(keys), "never read: \(Set(keys).subtracting(read).sorted().map(keyPath))")
    }

    // MARK: - Typed values

    public func section(
        _ key: String, keys: [String], younger: [String: String] = [:]
    ) throws(ConfigurationError) -> ConfigurationReader {
        try ConfigurationReader(try value(key), keyPath: keyPath(key), keys: keys, younger: younger)
    }

    /// A whole number of at least `minimum`.
    public func integer(_ key: String, atLeast minimum: Int) throws(ConfigurationError) -> Int {
        try integer(of: try value(key), keyPath: keyPath(key), atLeast: minimum)
    }

    /// A whole number of at least `minimum`, or null.
    public func optionalInteger(_ key: String, atLeast minimum: Int) throws(ConfigurationError) -> Int? {
        let node = try value(key)
        return node.isNull ? nil : try integer(of: node, keyPath: keyPath(key), atLeast: minimum)
    }

    /// A sequence of whole numbers of at least `minimum`.
    public func integers(_ key: String, atLeast minimum: Int) throws(ConfigurationError) -> [Int] {
        let node = try value(key)
        guard case .sequence(let values) = node.content, !values.isEmpty else {
            throw mismatch(node, key, "a sequence of whole numbers")
        }
        var numbers: [Int] = []
        for (index, value) in values.enumerated() {
            numbers.append(try integer(of: value, keyPath: "\(keyPath(key))[\(index)]", atLeast: minimum))
        }
        return numbers
    }

    /// A number inside `range`; whole numbers count as numbers.
    public func number(_ key: String, in range: ClosedRange<Double>) throws(ConfigurationError) -> Double {
        try number(of: try value(key), keyPath: keyPath(key), in: range)
    }

    /// A number inside `range`, or null.
    public func optionalNumber(_ key: String, in range: ClosedRange<Double>) throws(ConfigurationError) -> Double? {
        let node = try value(key)
        return node.isNull ? nil : try number(of: node, keyPath: keyPath(key), in: range)
    }

    public func boolean(_ key: String) throws(ConfigurationError) -> Bool {
        let node = try value(key)
        guard case .scalar(let text, .boolean) = node.content else { throw mismatch(node, key, "true or false") }
        return ["true", "yes", "on"].contains(text.lowercased())
    }

    public func text(_ key: String) throws(ConfigurationError) -> String {
        let node = try value(key)
        guard case .scalar(let text, .text) = node.content else { throw mismatch(node, key, "a text") }
        return text
    }

    /// One of the names of an enumeration.
    public func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of type: Choice.Type
    ) throws(ConfigurationError) -> Choice where Choice.RawValue == String {
        let node = try value(key)
        let names = "one of " + Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        guard case .scalar(let text, .text) = node.content else { throw mismatch(node, key, names) }
        guard let choice = Choice(rawValue: text) else {
            throw .invalidValue(origin: node.origin, keyPath: keyPath(key), expected: names, found: "'\(text)'")
        }
        return choice
    }

    /// An error about the value of `key`, with the place it was written at.
    public func invalid(_ key: String, expected: String, found: String) -> ConfigurationError {
        .invalidValue(
            origin: node[key]?.origin ?? node.origin, keyPath: keyPath(key), expected: expected, found: found)
    }

    func mismatch(_ node: ConfigurationNode, _ key: String, _ expected: String) -> ConfigurationError {
        .wrongType(origin: node.origin, keyPath: keyPath(key), expected: expected, found: node.foundText)
    }

    private func integer(
        of node: ConfigurationNode, keyPath: String, atLeast minimum: Int
    ) throws(ConfigurationError) -> Int {
        guard case .scalar(let text, .integer) = node.content,
            let number = Int(text.replacingOccurrences(of: "_", with: ""))
        else {
            throw .wrongType(
                origin: node.origin, keyPath: keyPath, expected: "a whole number", found: node.foundText)
        }
        guard number >= minimum else {
            throw .invalidValue(
                origin: node.origin, keyPath: keyPath, expected: "a whole number of at least \(minimum)",
                found: "\(number)")
        }
        return number
    }

    private func number(
        of node: ConfigurationNode, keyPath: String, in range: ClosedRange<Double>
    ) throws(ConfigurationError) -> Double {
        guard case .scalar(let text, let type) = node.content, type == .integer || type == .number,
            let number = Double(text.replacingOccurrences(of: "_", with: "")), number.isFinite
        else {
            throw .wrongType(origin: node.origin, keyPath: keyPath, expected: "a number", found: node.foundText)
        }
        guard range.contains(number) else {
            throw .invalidValue(
                origin: node.origin, keyPath: keyPath,
                expected: "a number from \(range.lowerBound) to \(range.upperBound)", found: text)
        }
        return number
    }
}

extension ConfigurationNode {
    public var isNull: Bool {
        if case .scalar(_, .null) = content { return true }
        return false
    }

    /// The value as an error message shows it: the text with its type.
    var foundText: String {
        switch content {
        case .scalar(_, .null): return "nothing (null)"
        case .scalar(let text, .text): return "the text '\(text)'"
        case .scalar(let text, let type): return "'\(text)' (\(type.rawValue))"
        case .sequence: return "the sequence \(inlineText)"
        case .mapping: return "the mapping \(inlineText)"
        }
    }
}
