import HyperNetworks

/// The network of a configuration, and of the weights' file that comes of it.
public struct ImageModelConfiguration: Codable, Equatable, Sendable {
    public enum Network: String, Codable, CaseIterable, Sendable {
        /// §4.2, Table 2.
        case wideResNet = "wide-resnet"
        /// §4.1, Table 7.
        case mnistConvNet = "mnist-conv"
        /// A.1: the hidden layer's matrix is owned, or generated from coordinates.
        case coordinate
    }

    public var network: Network
    public var kernels: KernelSource
    /// N and k of the Wide ResNet; 0 elsewhere.
    public var blocks: Int
    public var widening: Int
    /// N_z = d of the hypernetwork; 0 where there is none.
    public var embeddingSize: Int
    public var initialValues: GeneratorInitialValues

    public init(
        network: Network, kernels: KernelSource, blocks: Int = 0, widening: Int = 0, embeddingSize: Int = 0,
        initialValues: GeneratorInitialValues = .he
    ) {
        self.network = network
        self.kernels = kernels
        self.blocks = blocks
        self.widening = widening
        self.embeddingSize = embeddingSize
        self.initialValues = initialValues
    }

    /// The range of blocks, widening and embedding size where something reads them.
    static let sizes = 1...4096

    /// Whether kernels are made from embeddings.
    var hasHypernetwork: Bool { kernels == .generated && network != .coordinate }

    /// Whether there is such a network; a file may say anything.
    var isBuildable: Bool {
        let sizes = Self.sizes
        return (network != .wideResNet || sizes.contains(blocks) && sizes.contains(widening))
            && (!hasHypernetwork || sizes.contains(embeddingSize))
    }

    var wideResNet: WideResNetConfiguration {
        WideResNetConfiguration(
            kernels: kernels, blocks: blocks, widening: widening, baseWidth: 16, classes: 10,
            embeddingSize: embeddingSize, basicChannels: 16, initialValues: initialValues)
    }

    private var mnistConvNet: MNISTConvNet.Configuration {
        MNISTConvNet.Configuration(kernels: kernels, embeddingSize: embeddingSize, initialValues: initialValues)
    }

    /// The network with its initial values.
    public func model(seed: UInt64) -> any ImageClassifier {
        switch network {
        case .wideResNet: WideResNet(configuration: wideResNet, seed: seed)
        case .mnistConvNet: MNISTConvNet(configuration: mnistConvNet, seed: seed)
        case .coordinate:
            CoordinateNetwork(configuration: CoordinateNetwork.Configuration(weights: kernels), seed: seed)
        }
    }

    /// The number of learned parameters.
    public var parameterCount: Int {
        switch network {
        case .wideResNet: wideResNet.parameterCount
        case .mnistConvNet: mnistConvNet.parameterCount
        case .coordinate: CoordinateNetwork.Configuration(weights: kernels).parameterCount
        }
    }

    /// Floats that a training step must hold besides the parameters, for a batch of images. A lower bound.
    func trainingNumbers(batch: Int) -> Double {
        switch network {
        // The kernels that a hypernetwork makes are there as basic kernels and tiled.
        case .wideResNet:
            Double(batch) * Double(wideResNet.activationCount) + 2 * Double(wideResNet.generatedKernelCount)
        case .mnistConvNet: Double(batch) * Double(mnistConvNet.activationCount)
        case .coordinate: Double(batch) * 784
        }
    }

    /// Floats that evaluation must hold besides the parameters, for a batch of images. A lower bound.
    func readingNumbers(batch: Int) -> Double {
        switch network {
        case .wideResNet: Double(batch) * Double(wideResNet.evaluationActivationCount)
        case .mnistConvNet, .coordinate: Double(batch) * 784
        }
    }
}
