/// A parameter under the name that checkpoints and messages know it by, such as `layer0.W_h`.
public struct NamedParameter {
    public let name: String
    public let variable: Variable

    public init(_ name: String, _ variable: Variable) {
        self.name = name
        self.variable = variable
    }
}
