import Foundation

/// A fault of a configuration, with the file (or `--set`), the key path, and the expected value.
public enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// The file cannot be opened or is no UTF-8 text.
    case unreadableFile(path: String, reason: String)
    /// The text is no YAML, or holds two keys of one name.
    case invalidYAML(path: String, reason: String)
    /// A key that no section knows, with the path of the nearest one, or those of its section where none is near.
    case unknownKey(origin: String, keyPath: String, nearest: String?, valid: [String] = [])
    /// A key that has to stand there and does not.
    case missingKey(origin: String, keyPath: String)
    /// The value has another type than the key wants.
    case wrongType(origin: String, keyPath: String, expected: String, found: String)
    /// The type is right, the value makes no sense.
    case invalidValue(origin: String, keyPath: String, expected: String, found: String)
    /// `base:` leads back to a file already read.
    case baseCycle(path: String, chain: [String])
    /// `--set` wants `key.path=value`.
    case invalidOverride(String)
    /// No file and no committed configuration of this name.
    case unknownConfiguration(name: String, nearest: String?, directory: String)

    public var description: String {
        switch self {
        case .unreadableFile(let path, let reason):
            return "\(path): cannot be read (\(reason))"
        case .invalidYAML(let path, let reason):
            return "\(path): not a valid configuration: \(reason)"
        case .unknownKey(let origin, let keyPath, let nearest, let valid):
            let advice =
                nearest.map { "the nearest valid key is '\($0)'" } ?? "expected one of \(valid.joined(separator: ", "))"
            return "\(origin): unknown key '\(keyPath)', \(advice)"
        case .missingKey(let origin, let keyPath):
            return "\(origin): the key '\(keyPath)' is missing"
        case .wrongType(let origin, let keyPath, let expected, let found):
            return "\(origin): '\(keyPath)' expects \(expected), found \(found)"
        case .invalidValue(let origin, let keyPath, let expected, let found):
            return "\(origin): '\(keyPath)' expects \(expected), found \(found)"
        case .baseCycle(let path, let chain):
            return "\(path): 'base' leads in a circle: \((chain + [path]).joined(separator: " → "))"
        case .invalidOverride(let text):
            return "--set expects key.path=value, found '\(text)'"
        case .unknownConfiguration(let name, let nearest, let directory):
            let advice = nearest.map { "the nearest name is '\($0)'" } ?? "`list` prints the names"
            return "no configuration '\(name)': neither a file nor a name in \(directory); \(advice)"
        }
    }
}
