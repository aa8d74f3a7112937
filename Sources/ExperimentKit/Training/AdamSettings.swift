import NeuralNetwork

/// The constants of Adam in a configuration; the rate is a schedule of its own.
public struct AdamSettings: Equatable, Sendable {
    public let beta1: Double
    public let beta2: Double
    public let epsilon: Double

    /// The keys of a section `adam`.
    public static let keys: ConfigurationKeys = [
        "beta1": "β₁, decay per step of the moving average of the gradient",
        "beta2": "β₂, decay per step of the moving average of its square",
        "epsilon": "ε, added to the root of that average",
    ]

    /// Reads a section `adam`.
    ///
    /// - Throws: `ConfigurationError`.
    public init(_ reader: ConfigurationReader) throws(ConfigurationError) {
        beta1 = try reader.number("beta1", in: 0...0.999999)
        beta2 = try reader.number("beta2", in: 0...0.9999999)
        epsilon = try reader.number("epsilon", in: 1e-12...1)
        reader.finish()
    }

    /// An optimizer with these constants, its moments zero.
    public func optimizer(_ parameters: [NamedParameter]) -> Adam {
        Adam(parameters: parameters, beta1: Float(beta1), beta2: Float(beta2), epsilon: Float(epsilon))
    }
}
