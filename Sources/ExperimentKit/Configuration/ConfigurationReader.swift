import Foundation

/// Reads one mapping of a configuration strictly: each key is asked for once, and what was never asked for is an error.
///
/// The section decoders ask for their keys, then call `finish()`; the keys asked for are the valid ones, so no second
/// list of them exists that could fall out of step.
public final class ConfigurationReader {
    private let node: ConfigurationNode
    private let path: String
    private var asked: [String] = []

    /// - Throws: `ConfigurationError.wrongType` if the node is no mapping.
    public init(_ node: ConfigurationNode, keyPath: String = "") throws(ConfigurationError) {
        guard case .mapping = node.content else {
            throw .wrongType(
                origin: node.origin, keyPath: keyPath, expected: "a mapping of keys to values", found: node.foundText)
        }
        self.node = node
        path = keyPath
    }

    private func keyPath(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// The node under a key.
    ///
    /// - Throws: `ConfigurationError.missingKey`.
    public func value(_ key: String) throws(ConfigurationError) -> ConfigurationNode {
        asked.append(key)
        guard let value = node[key] else {
            // A misspelt key is both missing and unknown; the spelling is the better news.
            if let near = unaskedKeys.first(where: { nearestName(to: $0, among: [key]) != nil }) {
                throw .unknownKey(origin: node[near]?.origin ?? node.origin, keyPath: keyPath(near), nearest: key)
            }
            throw .missingKey(origin: node.origin, keyPath: keyPath(key))
        }
        return value
    }

    private var unaskedKeys: [String] {
        guard case .mapping(let entries) = node.content else { return [] }
        return entries.map(\.key).filter { !asked.contains($0) }
    }

    /// - Throws: `ConfigurationError.unknownKey` for a key that nothing asked for.
    public func finish() throws(ConfigurationError) {
        guard let key = unaskedKeys.first else { return }
        throw .unknownKey(
            origin: node[key]?.origin ?? node.origin, keyPath: keyPath(key), nearest: nearestName(to: key, among: asked))
    }

    // MARK: - Typed values

    public func section(_ key: String) throws(ConfigurationError) -> ConfigurationReader {
        try ConfigurationReader(try value(key), keyPath: keyPath(key))
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
    var isNull: Bool {
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
