/// An error that the user can act on, in one line.
public struct UserError: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) { self.description = description }
}
