import Foundation
import Synchronization

/// The keys of one section of a configuration with what each means, in the order of the file.
public struct ConfigurationKeys: ExpressibleByDictionaryLiteral, Sendable {
    let meanings: [(key: String, meaning: String)]

    public init(dictionaryLiteral elements: (String, String)...) { meanings = elements }

    private init(_ meanings: [(key: String, meaning: String)]) { self.meanings = meanings }

    /// These keys and then others.
    public func adding(_ others: ConfigurationKeys) -> ConfigurationKeys {
        ConfigurationKeys(meanings + others.meanings)
    }

    var names: [String] { meanings.map(\.key) }
}

/// Every key that decoders read, with the values that it takes and its meaning: recorded by the readers themselves
/// while they decode, so that the reference for people says what the code does.
final class KeyReference: Sendable {
    struct Key: Equatable {
        let path: String
        let meaning: String
        /// One for each spelling that was read.
        var values: [String] = []

        fileprivate var valuesText: String {
            (values.filter { $0 != "null" } + values.filter { $0 == "null" }).joined(separator: "; or ")
        }

        fileprivate var parent: String {
            path.split(separator: ".").dropLast().joined(separator: ".").replacingOccurrences(of: "[]", with: "")
        }
    }

    /// The reference that readers of this task record into.
    @TaskLocal static var current: KeyReference?

    private let found = Mutex<[Key]>([])

    /// Records what decoding files reads, and what each spelling of a learning rate has, whether or not a file uses it.
    ///
    /// - Throws: `ConfigurationError`.
    init<Values: RunConfiguration>(of type: Values.Type, files: [ConfigurationFile]) throws {
        try Self.$current.withValue(self) {
            for file in files { _ = try Values(file.root) }
            guard let first = files.first else { return }
            for spelling in ConfigurationReader.learningRateSpellings {
                _ = try Values(first.root.overlaid(with: ["training.learningRate=\(spelling)"]))
            }
        }
    }

    /// Each section before its own keys, otherwise in the order of the files.
    var keys: [Key] {
        let all = found.withLock { $0 }
        func keys(under parent: String) -> [Key] {
            all.filter { $0.parent == parent }.flatMap { [$0] + keys(under: $0.path) }
        }
        return keys(under: "")
    }

    var markdown: String {
        markdownTable(
            ["key", "value", "meaning"],
            keys.map { ["`\($0.path)`", $0.valuesText, $0.meaning] })
    }

    // MARK: - Recording

    /// A key of a section that is about to be read.
    static func declare(_ path: String, meaning: String) {
        current?.found.withLock { keys in
            let path = inAnyElement(path)
            if !keys.contains(where: { $0.path == path }) { keys.append(Key(path: path, meaning: meaning)) }
        }
    }

    /// The type and range that a key was read with.
    static func note(_ path: String, values: String) {
        current?.found.withLock { keys in
            let path = inAnyElement(path)
            guard let index = keys.firstIndex(where: { $0.path == path }), !keys[index].values.contains(values) else {
                return
            }
            keys[index].values.append(values)
        }
    }

    /// `stages[2].rate` as `stages[].rate`: what holds of one element holds of all.
    private static func inAnyElement(_ path: String) -> String { path.replacing(/\[\d+\]/, with: "[]") }
}
