@_exported import Compute

/// Something with parameters to learn.
public protocol Module {
    /// All parameters, in a fixed order, each once.
    var parameters: [NamedParameter] { get }

    /// Running statistics and the like: part of the module, moved by training, without gradients. Often none.
    var buffers: [(name: String, tensor: Tensor)] { get }
}

extension Module {
    public var buffers: [(name: String, tensor: Tensor)] { [] }

    /// Everything that the module learned: the values of its parameters, then its buffers.
    public var tensors: [(name: String, tensor: Tensor)] {
        parameters.map { ($0.name, $0.variable.value) } + buffers
    }

    /// The number of learned parameters.
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
