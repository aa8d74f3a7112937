@_exported import Compute

/// Something with parameters to learn.
public protocol Module {
    /// All parameters, in a fixed order, each once.
    var parameters: [NamedParameter] { get }
}

extension Module {
    /// Numbers to learn.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.variable.value.count } }

    /// The parameters, with `prefix` and a dot before each name.
    public func parameters(under prefix: String) -> [NamedParameter] {
        parameters.map { NamedParameter("\(prefix).\($0.name)", $0.variable) }
    }

    /// Forgets all gradients.
    public func clearGradients() {
        for parameter in parameters { parameter.variable.clearGradient() }
    }
}
