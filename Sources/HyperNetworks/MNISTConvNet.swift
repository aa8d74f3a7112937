/// The convolutional network of §4.1 and A.3.1 (Table 7), whose second kernel is its own or a hypernetwork's.
///
/// | part | computes | parameters |
/// |---|---|---|
/// | 1 | ReLU(maxPool(conv(image))), 28 × 28 × 1 → 14 × 14 × 16 | `conv1.kernel` [7, 7, 1, 16], `conv1.bias` |
/// | 2 | ReLU(maxPool(conv(·))), → 7 × 7 × 16 | `conv2.kernel` [7, 7, 16, 16] or `hyper`, `conv2.bias` |
/// | 3 | linear, 784 → 10 | `output` |
public final class MNISTConvNet: ImageClassifier {
    /// Where the second kernel comes from, and the sizes of what makes it.
    public struct Configuration: Sendable, Equatable {
        public var kernels: KernelSource
        /// N_z = d of the hypernetwork.
        public var embeddingSize: Int
        /// Deviation `staticInitialValues`.
        public var initialValues: GeneratorInitialValues

        public init(kernels: KernelSource, embeddingSize: Int = 4, initialValues: GeneratorInitialValues = .he) {
            self.kernels = kernels
            self.embeddingSize = embeddingSize
            self.initialValues = initialValues
        }

        /// The number of learned parameters.
        public var parameterCount: Int {
            let first = MNISTConvNet.firstKernel, second = MNISTConvNet.secondKernel
            let conv2 =
                kernels == .owned
                ? second.count
                : StaticHypernetwork.parameterCount(basic: second, embeddingSize: embeddingSize, embeddings: 1)
            return first.count + first.outputs + conv2 + second.outputs + 784 * 10 + 10
        }

        /// Floats that a training step must hold for each image: the image, and of both parts the outputs of the
        /// convolution, of the pooling and of the ReLU. A lower bound.
        public var activationCount: Int {
            let pixels = 28 * 28
            return pixels + MNISTConvNet.firstKernel.outputs * (pixels + 2 * pixels / 4)
                + MNISTConvNet.secondKernel.outputs * (pixels / 4 + 2 * pixels / 16)
        }
    }

    /// The second kernel, or what makes it.
    public enum Kernel {
        case owned(Variable)
        case generated(StaticHypernetwork)
    }

    static let firstKernel = KernelShape(size: 7, inputs: 1, outputs: 16)
    static let secondKernel = KernelShape(size: 7, inputs: 16, outputs: 16)

    public let configuration: Configuration
    public let kernel1: Variable
    public let bias1: Variable
    public let kernel2: Kernel
    public let bias2: Variable
    public let output: Linear

    public let imageShape = [28, 28, 1]

    /// A network with initial values drawn by `seed`: He's for the kernels, biases 0. They are the same bits with the
    /// same build, instruction set and BLAS, on any number of threads.
    public init(configuration: Configuration, seed: UInt64) {
        self.configuration = configuration
        var random = RandomStream.initialValues(seed: seed)
        kernel1 = Self.firstKernel.heKernel(random: &random)
        bias1 = Initializer.constant(0, [Self.firstKernel.outputs])
        bias2 = Initializer.constant(0, [Self.secondKernel.outputs])
        output = Linear(inputs: 784, outputs: 10, random: &random)
        switch configuration.kernels {
        case .owned:
            kernel2 = .owned(Self.secondKernel.heKernel(random: &random))
        case .generated:
            kernel2 = .generated(
                StaticHypernetwork(
                    basic: Self.secondKernel, embeddingSize: configuration.embeddingSize, layers: [Self.secondKernel],
                    initialValues: configuration.initialValues, random: &random))
        }
    }

    public var parameters: [NamedParameter] {
        var all = [NamedParameter("conv1.kernel", kernel1), NamedParameter("conv1.bias", bias1)]
        switch kernel2 {
        case .owned(let kernel): all.append(NamedParameter("conv2.kernel", kernel))
        case .generated(let hypernetwork): all += hypernetwork.parameters(under: "hyper")
        }
        return all + [NamedParameter("conv2.bias", bias2)] + output.parameters(under: "output")
    }

    /// The kernel of the second convolution as it is now, [7, 7, 16, 16].
    public func secondKernel() -> Variable {
        switch kernel2 {
        case .owned(let kernel): kernel
        case .generated(let hypernetwork): hypernetwork.kernels()[0]
        }
    }

    public func forward(_ images: Variable, mode: NormalizationMode) -> Classification {
        let kernel = secondKernel()
        // ReLU after the pooling: the maximum of rectified values is the rectified maximum, of a quarter as many.
        var x = relu(maxPool2x2(conv2D(images, kernel1, bias: bias1, padding: 3)))
        x = relu(maxPool2x2(conv2D(x, kernel, bias: bias2, padding: 3)))
        let logits = output(reshape(x, [x.shape[0], 784]))
        return Classification(logits: logits, kernels: [kernel1, kernel])
    }

    public func baked() -> MNISTConvNet {
        var configuration = self.configuration
        configuration.kernels = .owned
        let plain = MNISTConvNet(configuration: configuration, seed: 0)
        guard case .owned(let own) = plain.kernel2 else { preconditionFailure("a plain network owns its kernels") }
        own.value.copy(from: withoutGradient { secondKernel() }.value)
        plain.copyValues(from: self, except: ["conv2.kernel"])
        return plain
    }
}
