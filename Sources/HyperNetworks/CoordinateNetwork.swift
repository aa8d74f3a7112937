/// The classifier of appendix A.1: 784-256-10, whose 784 × 256 matrix is its own or comes from a small network that is
/// fed the coordinates of a pixel and of a hidden unit.
///
/// | symbol | name | shape |
/// |---|---|---|
/// | hidden layer | `W` or `coordinates`, `b` | [784, 256], [256] |
/// | the 4-25-25-1 network | `coordinates.layer1`, `.layer2`, `.layer3` | [4, 25], [25, 25], [25, 1], with biases |
/// | output layer | `output` | [256, 10], [10] |
///
/// A pixel lies on its 28 × 28 grid, a hidden unit on a 16 × 16 grid:
///
///     W[p, u] = scale · net(x_p, y_p, x_u, y_u)          scale = 0.01
public final class CoordinateNetwork: ImageClassifier {
    /// Where the matrix of the hidden layer comes from.
    public struct Configuration: Sendable, Equatable {
        public var weights: KernelSource

        public init(weights: KernelSource) { self.weights = weights }

        /// The number of learned parameters.
        public var parameterCount: Int {
            let matrix = weights == .owned ? 784 * 256 : CoordinateNetwork.coordinateParameterCount
            return matrix + 256 + 256 * 10 + 10
        }
    }

    /// The matrix of the hidden layer, or what makes it.
    public enum Weights {
        case owned(Variable)
        /// The three linear layers of the small network.
        case generated([Linear])
    }

    /// Units of the small network's layers.
    static let coordinateUnits = [4, 25, 25, 1]
    static let imageSide = 28
    static let hiddenSide = 16
    /// Deviation `staticCoordinates`. The weights of neighboring pixels are alike, so a hidden unit adds up the
    /// brightness of a digit, about 100: with this factor small changes of the small network are small changes of that
    /// sum. Without it the first steps of Adam drive all hidden units below zero for good.
    static let scale: Float = 0.01

    /// 801.
    public static var coordinateParameterCount: Int {
        zip(coordinateUnits, coordinateUnits.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 + $1.1 }
    }

    public let configuration: Configuration
    public let weights: Weights
    public let b: Variable
    public let output: Linear

    public let imageShape = [imageSide, imageSide, 1]

    /// A network with initial values drawn by `seed` (deviation `staticCoordinates`): an orthogonal output layer, He's
    /// normal weights elsewhere; in the small network standard normal biases on its hidden layers, and its last layer
    /// scaled and shifted so that its outputs start with mean 0 and standard deviation 1. The values are the same bits
    /// with the same build, instruction set, BLAS and number of threads.
    public init(configuration: Configuration, seed: UInt64) {
        self.configuration = configuration
        var random = RandomStream.initialValues(seed: seed)
        let pixels = Self.imageSide * Self.imageSide, units = Self.hiddenSide * Self.hiddenSide
        b = Initializer.constant(0, [units])
        output = Linear(inputs: units, outputs: 10, random: &random)
        switch configuration.weights {
        case .owned:
            let deviation = (2 / Float(pixels)).squareRoot()
            weights = .owned(Initializer.normal(standardDeviation: deviation, [pixels, units], random: &random))
        case .generated:
            weights = .generated(Self.startingLayers(random: &random))
        }
    }

    /// The small network's layers, so that what they make has mean 0 and standard deviation 1.
    private static func startingLayers(random: inout RandomStream) -> [Linear] {
        var layers: [Linear] = []
        for (inputs, outputs) in zip(coordinateUnits, coordinateUnits.dropFirst()) {
            let W = Initializer.normal(
                standardDeviation: (2 / Float(inputs)).squareRoot(), [inputs, outputs], random: &random)
            // Without biases all kinks of the hidden units would pass through the middle of both grids.
            let b =
                outputs == 1
                ? Initializer.constant(0, [1]) : Initializer.normal(standardDeviation: 1, [outputs], random: &random)
            layers.append(Linear(W: W, b: b))
        }
        let made = withoutGradient { generate(layers) }.value.floats.map { Double($0) }
        let mean = made.reduce(0, +) / Double(made.count)
        let variance = made.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(made.count)
        let scale = 1 / Float(variance.squareRoot()), last = layers[layers.count - 1]
        last.W.value.copy(from: last.W.value.floats.map { $0 * scale })
        last.b.value.copy(from: [-Float(mean) * scale])
        return layers
    }

    /// (x, y) of the pixel, (x, y) of the hidden unit for each element of the matrix in its order, each in −1 … 1:
    /// [784 · 256, 4].
    private static let coordinates: Tensor = {
        func place(_ index: Int, of side: Int) -> [Float] {
            [index % side, index / side].map { 2 * Float($0) / Float(side - 1) - 1 }
        }
        let units = (0..<hiddenSide * hiddenSide).map { place($0, of: hiddenSide) }
        let values = (0..<imageSide * imageSide).flatMap { pixel -> [Float] in
            let pixel = place(pixel, of: imageSide)
            return units.flatMap { pixel + $0 }
        }
        return Tensor(values, shape: [values.count / 4, 4])
    }()

    /// What the small network makes of all coordinates, [784 · 256, 1].
    private static func generate(_ layers: [Linear]) -> Variable {
        var x = Variable(coordinates)
        for (index, layer) in layers.enumerated() {
            x = layer(x)
            if index < layers.count - 1 { x = relu(x) }
        }
        return x
    }

    public var parameters: [NamedParameter] {
        let matrix: [NamedParameter]
        switch weights {
        case .owned(let W): matrix = [NamedParameter("W", W)]
        case .generated(let layers):
            matrix = layers.enumerated().flatMap { $1.parameters(under: "coordinates.layer\($0 + 1)") }
        }
        return matrix + [NamedParameter("b", b)] + output.parameters(under: "output")
    }

    /// The matrix of the hidden layer as it is now, [784, 256].
    public func matrix() -> Variable {
        switch weights {
        case .owned(let W): W
        case .generated(let layers): reshape(affine(Self.generate(layers), scale: Self.scale), [784, 256])
        }
    }

    public func forward(_ images: Variable, mode: NormalizationMode) -> Classification {
        let W = matrix()
        let hidden = relu(addRow(matmul(reshape(images, [images.shape[0], W.shape[0]]), W), b))
        return Classification(logits: output(hidden), kernels: [W])
    }

    public func baked() -> CoordinateNetwork {
        let plain = CoordinateNetwork(configuration: Configuration(weights: .owned), seed: 0)
        guard case .owned(let own) = plain.weights else { preconditionFailure("a plain network owns its weights") }
        own.value.copy(from: withoutGradient { matrix() }.value)
        plain.copyValues(from: self, except: ["W"])
        return plain
    }
}
