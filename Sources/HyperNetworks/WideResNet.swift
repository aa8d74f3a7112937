/// A Wide Residual Network with pre-activation blocks (§4.2; Zagoruyko, Komodakis 2016), whose block kernels are its
/// own or a hypernetwork's.
///
/// | part | computes | parameters |
/// |---|---|---|
/// | stem | BN(conv(image)) | `stem.kernel` [3, 3, 3, 16], `stem.norm` |
/// | block | x′ + conv2(ReLU(BN2(conv1(ReLU(BN1(x)))))) | `blockI.norm1`, `.bias1`, `.norm2`, `.bias2` |
/// | kernels | two a block, [3, 3, C_in, C_out] | `blockI.kernel1`, `.kernel2`, or `hyper` |
/// | head | linear(mean over the image of ReLU(BN(x))) | `norm`, `output` |
///
/// x′ is x, or where the block halves the image every second pixel of it, with channels of zeros behind: a shortcut
/// without parameters (deviation `staticShortcut`). What is normalized and has a bias: deviation `staticStemAndBiases`.
public final class WideResNet: ImageClassifier {
    /// The parameters of one block besides its kernels.
    public struct Block {
        public let norm1: BatchNorm2D
        public let bias1: Variable
        public let norm2: BatchNorm2D
        public let bias2: Variable
        let stride: Int
        let outputs: Int
    }

    /// The block kernels: two a block, in order.
    public enum Kernels {
        case owned([Variable])
        case generated(StaticHypernetwork)
    }

    public let configuration: WideResNetConfiguration
    public let stem: Variable
    public let stemNorm: BatchNorm2D
    public let blocks: [Block]
    public let kernels: Kernels
    public let norm: BatchNorm2D
    public let output: Linear

    static let imageSide = 32

    public let imageShape = [imageSide, imageSide, 3]

    /// A network with initial values drawn by `seed`: kernels with the standard deviation of He et al. (deviation
    /// `staticInitialValues` where a hypernetwork makes them), γ = 1, every bias 0. They are the same bits with the
    /// same build, instruction set and BLAS, on any number of threads.
    public init(configuration: WideResNetConfiguration, seed: UInt64) {
        self.configuration = configuration
        var random = RandomStream.initialValues(seed: seed)
        stem = KernelShape(size: 3, inputs: 3, outputs: configuration.baseWidth).heKernel(random: &random)
        stemNorm = BatchNorm2D(channels: configuration.baseWidth)
        blocks = configuration.blockPlan.map { block in
            Block(
                norm1: BatchNorm2D(channels: block.inputs), bias1: Initializer.constant(0, [block.outputs]),
                norm2: BatchNorm2D(channels: block.outputs), bias2: Initializer.constant(0, [block.outputs]),
                stride: block.stride, outputs: block.outputs)
        }
        let last = configuration.blockPlan.last?.outputs ?? configuration.baseWidth
        norm = BatchNorm2D(channels: last)
        output = Linear(inputs: last, outputs: configuration.classes, random: &random)
        switch configuration.kernels {
        case .owned:
            var own: [Variable] = []
            for shape in configuration.blockKernels { own.append(shape.heKernel(random: &random)) }
            kernels = .owned(own)
        case .generated:
            kernels = .generated(
                StaticHypernetwork(
                    basic: configuration.basicKernel, embeddingSize: configuration.embeddingSize,
                    layers: configuration.blockKernels, initialValues: configuration.initialValues, random: &random))
        }
    }

    public var parameters: [NamedParameter] {
        var all = [NamedParameter("stem.kernel", stem)] + stemNorm.parameters(under: "stem.norm")
        for (index, block) in blocks.enumerated() {
            all += block.norm1.parameters(under: "block\(index).norm1")
            all.append(NamedParameter("block\(index).bias1", block.bias1))
            all += block.norm2.parameters(under: "block\(index).norm2")
            all.append(NamedParameter("block\(index).bias2", block.bias2))
        }
        switch kernels {
        case .owned(let own):
            all += own.enumerated().map { NamedParameter("block\($0 / 2).kernel\($0 % 2 + 1)", $1) }
        case .generated(let hypernetwork):
            all += hypernetwork.parameters(under: "hyper")
        }
        return all + norm.parameters(under: "norm") + output.parameters(under: "output")
    }

    public var buffers: [(name: String, tensor: Tensor)] {
        let norms =
            [("stem.norm", stemNorm)]
            + blocks.enumerated().flatMap { [("block\($0).norm1", $1.norm1), ("block\($0).norm2", $1.norm2)] }
            + [("norm", norm)]
        return norms.flatMap { prefix, norm in norm.buffers.map { ("\(prefix).\($0.name)", $0.tensor) } }
    }

    /// The kernels of all blocks as they are now, [3, 3, C_in, C_out] each: Eq. 1–3 where they are generated.
    public func blockKernels() -> [Variable] {
        switch kernels {
        case .owned(let own): own
        case .generated(let hypernetwork): hypernetwork.kernels()
        }
    }

    public func forward(_ images: Variable, mode: NormalizationMode) -> Classification {
        let kernels = blockKernels()
        var x = stemNorm(conv2D(images, stem, padding: 1), mode: mode)
        for (index, block) in blocks.enumerated() {
            // x′: pixels skipped by the stride, channels padded with zeros.
            let shortcut = subsampleAndPadChannels(x, stride: block.stride, channels: block.outputs)
            let y = normReLUConv2D(
                x, norm: block.norm1, kernel: kernels[2 * index], bias: block.bias1, stride: block.stride, mode: mode)
            x = normReLUConv2D(
                y, norm: block.norm2, kernel: kernels[2 * index + 1], bias: block.bias2, stride: 1, mode: mode,
                residual: shortcut)
        }
        let features = globalAveragePool(norm(x, mode: mode, relu: true))
        return Classification(logits: output(features), kernels: [stem] + kernels)
    }

    public func baked() -> WideResNet {
        var configuration = self.configuration
        configuration.kernels = .owned
        let plain = WideResNet(configuration: configuration, seed: 0)
        let made = withoutGradient { blockKernels() }
        guard case .owned(let own) = plain.kernels else { preconditionFailure("a plain network owns its kernels") }
        for (kernel, value) in zip(own, made) { kernel.value.copy(from: value.value) }
        let kernelNames = own.indices.map { "block\($0 / 2).kernel\($0 % 2 + 1)" }
        plain.copyValues(from: self, except: Set(kernelNames))
        return plain
    }
}
