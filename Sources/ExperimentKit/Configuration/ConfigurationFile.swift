import Foundation

/// A configuration file with its `base` chain and the command line's `--set` laid over it, not yet decoded.
///
/// A file is either complete or names a `base` (a path, from the file's own folder) and only the keys that differ. The
/// first file of the chain states the paper's own settings; `differences` is computed against it and never written by
/// hand.
public struct ConfigurationFile: Sendable {
    /// One value that differs from the complete file at the bottom of the chain.
    public struct Difference: Codable, Equatable, Sendable {
        public let key: String
        public let base: String
        public let value: String

        public init(key: String, base: String, value: String) {
            self.key = key
            self.base = base
            self.value = value
        }
    }

    /// The name of a run's folder and record: the file's name without its extension, unless it was given another.
    public let name: String
    /// Every key of the configuration, resolved.
    public let root: ConfigurationNode
    /// The differences from the complete file at the bottom of the chain; empty for that file itself.
    public let differences: [Difference]
    public let header: ConfigurationHeader

    /// - Parameters:
    ///   - url: The YAML file.
    ///   - overrides: `key.path=value` texts, laid over the file in their order.
    ///   - name: What to call it in place of the file's name.
    /// - Throws: `ConfigurationError`.
    public init(contentsOf url: URL, overrides: [String] = [], name: String? = nil) throws(ConfigurationError) {
        var chain: [String] = []
        var layers: [ConfigurationNode] = []
        var next: URL? = url
        var header: ConfigurationHeader?
        while let file = next {
            guard !chain.contains(file.standardizedFileURL.path) else {
                throw .baseCycle(
                    path: file.lastPathComponent, chain: chain.map { URL(fileURLWithPath: $0).lastPathComponent })
            }
            chain.append(file.standardizedFileURL.path)
            let text = try Self.read(file, namedIn: chain.dropLast().last)
            header = header ?? ConfigurationHeader(text)
            // Committed files have names of their own; that of a run is called like that of every other run.
            let isOfRun = file.lastPathComponent == CheckpointFile.configuration
            let layer = try ConfigurationNode(yaml: text, path: isOfRun ? file.path : file.lastPathComponent)
            layers.append(layer.removing("base"))
            next = nil
            if let base = layer["base"] {
                guard case .scalar(let path, .text) = base.content else {
                    throw .wrongType(
                        origin: base.origin, keyPath: "base", expected: "the path of a file", found: base.foundText)
                }
                next = URL(fileURLWithPath: path, relativeTo: file.deletingLastPathComponent())
            }
        }
        let bottom = layers[layers.count - 1]
        let resolved = try layers.dropLast().reversed().reduce(bottom) { $0.overlaid(with: $1) }.overlaid(
            with: overrides)
        self.name = name ?? url.deletingPathExtension().lastPathComponent
        root = resolved
        differences = Self.differences(of: resolved, from: bottom)
        self.header = header ?? ConfigurationHeader("")
    }

    /// - Parameter referrer: The path of the file whose `base` it is.
    private static func read(_ url: URL, namedIn referrer: String?) throws(ConfigurationError) -> String {
        if let other = Files.otherThanFile(url) {
            throw .unreadableFile(path: url.path, reason: "\(other); expected a YAML file")
        }
        do {
            return try String(contentsOf: url, encoding: .utf8)
        } catch {
            guard FileManager.default.fileExists(atPath: url.path) else {
                throw .unreadableFile(
                    path: url.path, reason: "no such file" + (referrer.map { "; it is the 'base' of \($0)" } ?? ""))
            }
            let isReadable = (try? Data(contentsOf: url)) != nil
            throw .unreadableFile(
                path: url.path, reason: isReadable ? "not UTF-8 text" : error.localizedDescription)
        }
    }

    /// The leaves that differ; one number may be spelled in two ways.
    static func differences(of tree: ConfigurationNode, from base: ConfigurationNode) -> [Difference] {
        let before = base.leaves
        let after = tree.leaves
        var found: [Difference] = []
        for leaf in after {
            let old = before.first { $0.keyPath == leaf.keyPath }?.text
            let isSameNumber = old.flatMap(Double.init).map { $0 == Double(leaf.text) } ?? false
            if old != leaf.text, !isSameNumber {
                found.append(Difference(key: leaf.keyPath, base: old ?? "-", value: leaf.text))
            }
        }
        for leaf in before where !after.contains(where: { $0.keyPath == leaf.keyPath }) {
            found.append(Difference(key: leaf.keyPath, base: leaf.text, value: "-"))
        }
        return found
    }

    /// The file that a name or a path on the command line means.
    ///
    /// - Parameters:
    ///   - name: A path to a YAML file, or the name of one in `directory` with or without `.yaml`.
    ///   - directory: Where the committed configurations are.
    /// - Throws: `ConfigurationError.unknownConfiguration`, naming the nearest configuration.
    public static func locate(_ name: String, in directory: URL) throws(ConfigurationError) -> URL {
        let committed = directory.appendingPathComponent(name.hasSuffix(".yaml") ? name : name + ".yaml")
        var folder: URL?
        for candidate in [URL(fileURLWithPath: name), committed] {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: candidate.path, isDirectory: &isDirectory) else { continue }
            guard isDirectory.boolValue else { return candidate }
            folder = folder ?? candidate
        }
        if let folder, name.contains("/") {
            throw .unreadableFile(path: folder.path, reason: "a folder; expected a YAML file")
        }
        let names = try all(in: directory).map { $0.deletingPathExtension().lastPathComponent }
        throw .unknownConfiguration(
            name: name, nearest: nearestName(to: name, among: names), directory: directory.path)
    }

    /// Every configuration file of a folder, by name; none where there is no folder. Hidden ones are an editor's or a
    /// file manager's.
    ///
    /// - Throws: `.unreadableFile` for a folder that cannot be read.
    public static func all(in directory: URL) throws(ConfigurationError) -> [URL] {
        let names: [String]
        do {
            names = try Files.names(in: directory)
        } catch RecordError.unreadable(_, let reason) {
            throw .unreadableFile(path: directory.path, reason: reason)
        } catch {
            throw .unreadableFile(path: directory.path, reason: "\(error)")
        }
        return names.filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }.sorted().map {
            directory.appendingPathComponent($0)
        }
    }
}

extension [ConfigurationFile.Difference] {
    /// The differences as they are displayed: where a section replaces a single value, or the other way round, its keys
    /// are joined as a file writes them: `training.learningRate` 0.001 → {peak: 0.004, final: 0}.
    public var bySection: Self {
        let keys = Set(map(\.key))
        func parent(of key: String) -> String? {
            guard let dot = key.lastIndex(of: ".") else { return nil }
            let section = String(key[..<dot])
            return keys.contains(section) ? section : parent(of: section)
        }
        let members = Dictionary(grouping: self) { parent(of: $0.key) }
        return (members[nil] ?? []).map { difference in
            guard let inside = members[difference.key] else { return difference }
            func section(_ text: KeyPath<Element, String>) -> String {
                let values = inside.map { "\($0.key.dropFirst(difference.key.count + 1)): \($0[keyPath: text])" }
                return "{\(values.joined(separator: ", "))}"
            }
            return difference.value == "-"
                ? Element(key: difference.key, base: difference.base, value: section(\.value))
                : Element(key: difference.key, base: section(\.base), value: difference.value)
        }
    }
}

/// The claim at the top of a configuration file: how to run it, what to expect, and, until a record tells, what it
/// costs.
///
///     # Command:  char-hyperlstm train table3-lstm
///     # Expected: test 1.312, validation 1.347 bits per character
///     # Cost:     not measured
public struct ConfigurationHeader: Equatable, Sendable {
    public let command: String?
    public let expected: String?
    public let cost: String?

    public init(_ text: String) {
        func value(_ label: String) -> String? {
            for line in text.split(separator: "\n") where line.hasPrefix("# \(label):") {
                return line.dropFirst("# \(label):".count).trimmingCharacters(in: .whitespaces)
            }
            return nil
        }
        command = value("Command")
        expected = value("Expected")
        cost = value("Cost")
    }
}
