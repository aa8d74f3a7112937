import Foundation
import Yams

/// One value of a configuration file with the place it came from, so that an error can name the file that holds it
/// even after a `base` and `--set` have been laid over each other.
public struct ConfigurationNode: Equatable, Sendable {
    /// The type that a plain YAML scalar resolves to.
    public enum ScalarType: String, Sendable {
        case text, integer = "an integer", number = "a number", boolean = "true or false", null
    }

    /// A scalar, a sequence or a mapping. Scalars keep their spelling, so that a file is written as it was read.
    public enum Content: Equatable, Sendable {
        case scalar(text: String, type: ScalarType)
        case sequence([ConfigurationNode])
        case mapping([Entry])
    }

    /// A key of a mapping with its value.
    public struct Entry: Equatable, Sendable {
        public let key: String
        public var value: ConfigurationNode
    }

    /// The file name with its line, or `--set`.
    public let origin: String
    public var content: Content

    /// Parses one YAML document whose root is a mapping.
    ///
    /// - Throws: `ConfigurationError.invalidYAML`.
    public init(yaml: String, path: String) throws(ConfigurationError) {
        let root: Node?
        try Self.requireFlat(yaml, path: path)
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw .invalidYAML(path: path, reason: "\(error)".replacingOccurrences(of: "\n", with: " "))
        }
        guard let root, case .mapping = root else {
            throw .invalidYAML(path: path, reason: "the file must hold a mapping of keys to values")
        }
        var room = Self.mostValues
        try self.init(root, path: path, hasLines: true, room: &room)
    }

    /// Checks that a text is short and flat enough for the stack of the parser, which calls itself for each level.
    ///
    /// Depth is bounded from the characters alone: brackets that are open at once, and the column of a line's first
    /// word, before which each level of block style takes at least one.
    private static func requireFlat(_ text: String, path: String) throws(ConfigurationError) {
        let (mostBytes, deepest) = (1 << 18, 100)
        guard text.utf8.count <= mostBytes else {
            throw .invalidYAML(path: path, reason: "expected at most \(mostBytes) bytes, found \(text.utf8.count)")
        }
        var open = 0, line = 1, column = 0, isBeforeWord = true
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\n"):
                (line, column, isBeforeWord) = (line + 1, 0, true)
                continue
            case UInt8(ascii: "["), UInt8(ascii: "{"): open += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): open = max(0, open - 1)
            // Blanks, and the marks of a sequence's element and of a key, which nest within one line.
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ":"): break
            default: isBeforeWord = false
            }
            if isBeforeWord { column += 1 }
            guard open <= deepest, column <= deepest else {
                throw .invalidYAML(path: "\(path):\(line)", reason: "expected at most \(deepest) levels, found more")
            }
        }
    }

    /// Most values in a file. A few lines of aliases can stand for more than there is memory for.
    private static let mostValues = 10_000

    /// - Parameter room: How many values may still come.
    private init(_ node: Node, path: String, hasLines: Bool, room: inout Int) throws(ConfigurationError) {
        room -= 1
        guard room >= 0 else {
            throw .invalidYAML(path: path, reason: "expected at most \(Self.mostValues) values, found more")
        }
        origin = node.mark.map { hasLines ? "\(path):\($0.line)" : path } ?? path
        if case .mapping(let mapping) = node {
            var entries: [Entry] = []
            for pair in mapping {
                let key = pair.key.string ?? "?"
                guard !entries.contains(where: { $0.key == key }) else {
                    throw .invalidYAML(path: origin, reason: "the key '\(key)' stands there twice")
                }
                entries.append(
                    Entry(
                        key: key, value: try ConfigurationNode(pair.value, path: path, hasLines: hasLines, room: &room))
                )
            }
            content = .mapping(entries)
        } else if case .sequence(let sequence) = node {
            var values: [ConfigurationNode] = []
            for element in sequence {
                values.append(try ConfigurationNode(element, path: path, hasLines: hasLines, room: &room))
            }
            content = .sequence(values)
        } else if case .scalar(let scalar) = node {
            let type: ScalarType
            switch node.tag {
            case Tag(.int): type = .integer
            case Tag(.float): type = .number
            case Tag(.bool): type = .boolean
            case Tag(.null): type = .null
            default: type = .text
            }
            content = .scalar(text: scalar.string, type: type)
        } else {
            throw .invalidYAML(path: origin, reason: "anchors and aliases are not used in configurations")
        }
    }

    init(origin: String, content: Content) {
        self.origin = origin
        self.content = content
    }

    /// The value under `key` of a mapping; nil if there is none or this is no mapping.
    public subscript(key: String) -> ConfigurationNode? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.key == key }?.value
    }

    /// This tree with `top` laid over it: mappings are joined key by key, everything else is replaced whole.
    public func overlaid(with top: ConfigurationNode) -> ConfigurationNode {
        guard case .mapping(var entries) = content, case .mapping(let additions) = top.content else { return top }
        for addition in additions {
            if let index = entries.firstIndex(where: { $0.key == addition.key }) {
                entries[index].value = entries[index].value.overlaid(with: addition.value)
            } else {
                entries.append(addition)
            }
        }
        return ConfigurationNode(origin: origin, content: .mapping(entries))
    }

    /// The tree without one key of its root.
    func removing(_ key: String) -> ConfigurationNode {
        guard case .mapping(let entries) = content else { return self }
        return ConfigurationNode(origin: origin, content: .mapping(entries.filter { $0.key != key }))
    }

    /// The tree with `key.path=value` texts laid over it, in their order. A value that is itself a mapping takes the
    /// place of the old one whole.
    ///
    /// - Throws: As `init(override:)`.
    func overlaid(with overrides: [String]) throws(ConfigurationError) -> ConfigurationNode {
        var tree = self
        for override in overrides {
            let top = try ConfigurationNode(override: override)
            let depth = override.prefix { $0 != "=" }.split(separator: ".").count
            tree = tree.overlaid(with: top.withNull(atDepth: depth)).overlaid(with: top)
        }
        return tree
    }

    /// A tree of one branch with null in place of what is there, where an override with this path has its value.
    private func withNull(atDepth depth: Int) -> ConfigurationNode {
        guard depth > 0, case .mapping(let entries) = content else {
            return ConfigurationNode(origin: origin, content: .scalar(text: "null", type: .null))
        }
        let below = entries.map { Entry(key: $0.key, value: $0.value.withNull(atDepth: depth - 1)) }
        return ConfigurationNode(origin: origin, content: .mapping(below))
    }

    /// The tree that `key.path=value` on the command line stands for; the value is read as YAML.
    ///
    /// - Throws: `ConfigurationError.invalidOverride`; `.invalidYAML` for a value with a key twice, or beyond the
    ///   bounds of a file.
    public init(override text: String) throws(ConfigurationError) {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { throw .invalidOverride(text) }
        let keys = text[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard !keys.contains(""), keys.count < 100 else { throw .invalidOverride(text) }
        let value = String(text[text.index(after: equals)...])
        let node: Node?
        try Self.requireFlat(value, path: "--set")
        do {
            node = try Yams.compose(yaml: value)
        } catch {
            throw .invalidOverride(text)
        }
        // `--set training.patience=` means null, as an empty value does in a file.
        var room = Self.mostValues
        var tree = try ConfigurationNode(node ?? Node("null"), path: "--set \(text)", hasLines: false, room: &room)
        for key in keys.reversed() {
            tree = ConfigurationNode(origin: tree.origin, content: .mapping([Entry(key: key, value: tree)]))
        }
        self = tree
    }

    // MARK: - Comparing and writing

    /// Every value of the tree by its key path, in the order of the file: `training.steps` → `40000`.
    public var leaves: [(keyPath: String, text: String)] {
        guard case .mapping(let entries) = content else { return [("", inlineText)] }
        return entries.flatMap { entry in
            entry.value.leaves.map { leaf in
                (leaf.keyPath.isEmpty ? entry.key : "\(entry.key).\(leaf.keyPath)", leaf.text)
            }
        }
    }

    /// The value on one line, in YAML's flow style.
    var inlineText: String {
        switch content {
        case .scalar(let text, let type): return Self.quotedIfNeeded(text, type: type)
        case .sequence(let values): return "[" + values.map(\.inlineText).joined(separator: ", ") + "]"
        case .mapping(let entries):
            return "{" + entries.map { "\($0.key): \($0.value.inlineText)" }.joined(separator: ", ") + "}"
        }
    }

    /// The tree as YAML text that reads back as the same tree: mappings as blocks, sequences on one line.
    public var yaml: String { lines(indentation: "").joined(separator: "\n") + "\n" }

    /// The tree as JSON, each scalar as the type that YAML gives it.
    public var json: JSONValue {
        switch content {
        case .scalar(_, .null): return .null
        case .scalar(let text, _): return boolean.map(JSONValue.boolean) ?? number.map(JSONValue.number) ?? .text(text)
        case .sequence(let values): return .array(values.map(\.json))
        case .mapping(let entries):
            return .object(Dictionary(entries.map { ($0.key, $0.value.json) }) { first, _ in first })
        }
    }

    private func lines(indentation: String) -> [String] {
        guard case .mapping(let entries) = content else { return [indentation + inlineText] }
        return entries.flatMap { entry -> [String] in
            if case .mapping(let children) = entry.value.content, !children.isEmpty {
                return ["\(indentation)\(entry.key):"] + entry.value.lines(indentation: indentation + "  ")
            }
            return ["\(indentation)\(entry.key): \(entry.value.inlineText)"]
        }
    }

    private static func quotedIfNeeded(_ text: String, type: ScalarType) -> String {
        if type == .null { return "null" }
        guard type == .text else { return text }
        // A text is left bare only where it reads back as the same text inside a flow sequence as well.
        let plain = text.unicodeScalars.allSatisfy { scalar in
            scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                || " -_./+%()".unicodeScalars.contains(scalar)
        }
        let readsBack = (try? Yams.compose(yaml: text)).flatMap { $0 }.map { $0.tag == Tag(.str) && $0.string == text }
        if plain, readsBack == true { return text }
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\\", "\"": "\\\(scalar)"
            case "\n": "\\n"
            // Control characters, which YAML refuses as they are.
            case "\0"..<" ", "\u{7F}"..."\u{9F}": String(format: "\\x%02X", scalar.value)
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }

    /// Equal content; where it was written does not count.
    public static func == (left: ConfigurationNode, right: ConfigurationNode) -> Bool { left.content == right.content }
}
