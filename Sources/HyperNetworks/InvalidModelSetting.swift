/// A setting of a character model that no model can be built with.
public struct InvalidModelSetting: Error, Equatable, Sendable, CustomStringConvertible {
    /// The setting, as configurations and checkpoints name it.
    public let key: String
    public let expected: String
    public let found: String

    public var description: String { "\(key): expected \(expected), found \(found)" }
}
