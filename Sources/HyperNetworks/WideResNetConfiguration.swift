/// The extents of a Wide ResNet 40-k and where its kernels come from (§4.2, A.3.2).
public struct WideResNetConfiguration: Sendable, Equatable {
    public var kernels: KernelSource
    /// N, blocks in each of the three groups; 6 makes 40 layers.
    public var blocks: Int
    /// k, the factor on the groups' channels.
    public var widening: Int
    /// Channels of the stem, and of the first group at k = 1.
    public var baseWidth: Int
    public var classes: Int
    /// N_z = d of the hypernetwork.
    public var embeddingSize: Int
    /// N_in = N_out of the basic kernel.
    public var basicChannels: Int
    /// Deviation `staticInitialValues`.
    public var initialValues: GeneratorInitialValues

    public init(
        kernels: KernelSource, blocks: Int, widening: Int, baseWidth: Int, classes: Int, embeddingSize: Int,
        basicChannels: Int, initialValues: GeneratorInitialValues
    ) {
        self.kernels = kernels
        self.blocks = blocks
        self.widening = widening
        self.baseWidth = baseWidth
        self.classes = classes
        self.embeddingSize = embeddingSize
        self.basicChannels = basicChannels
        self.initialValues = initialValues
    }

    /// One residual block: input and output channels, stride.
    struct Block: Equatable {
        let inputs: Int
        let outputs: Int
        let stride: Int

        var kernels: [KernelShape] {
            [
                KernelShape(size: 3, inputs: inputs, outputs: outputs),
                KernelShape(size: 3, inputs: outputs, outputs: outputs),
            ]
        }
    }

    /// All blocks in order: groups of baseWidth · k · {1, 2, 4} channels; the second and third halve the image.
    var blockPlan: [Block] {
        var plan: [Block] = [], inputs = baseWidth
        for group in 0..<3 {
            let outputs = baseWidth * widening << group
            for block in 0..<blocks {
                plan.append(Block(inputs: inputs, outputs: outputs, stride: group > 0 && block == 0 ? 2 : 1))
                inputs = outputs
            }
        }
        return plan
    }

    /// The kernels of all blocks in order, two a block: those that the hypernetwork makes.
    public var blockKernels: [KernelShape] { blockPlan.flatMap(\.kernels) }

    /// Multiplications of all convolutions in the forward pass of one image: a kernel meets every pixel of its result.
    public var multiplicationCount: Int {
        var side = WideResNet.imageSide, total = KernelShape(size: 3, inputs: 3, outputs: baseWidth).count * side * side
        for block in blockPlan {
            side /= block.stride
            total += block.kernels.reduce(0) { $0 + $1.count } * side * side
        }
        return total
    }

    /// The kernel that one embedding makes.
    public var basicKernel: KernelShape { KernelShape(size: 3, inputs: basicChannels, outputs: basicChannels) }

    /// z of all layers; 0 for the ordinary network.
    public var embeddingCount: Int {
        guard kernels == .generated else { return 0 }
        return blockKernels.reduce(0) { $0 + StaticHypernetwork.embeddingCount(of: $1, basic: basicKernel) }
    }

    /// The number of learned parameters of the generator, without the embeddings (§3.1); 0 for the ordinary network.
    public var generatorParameterCount: Int {
        guard kernels == .generated else { return 0 }
        return StaticHypernetwork.parameterCount(basic: basicKernel, embeddingSize: embeddingSize, embeddings: 0)
    }

    /// Floats that a training step must hold for each image because the backward pass reads them: the image, the
    /// outputs of the stem, of its normalization and of every convolution of the blocks. A lower bound.
    public var activationCount: Int {
        var side = WideResNet.imageSide, total = (3 + 2 * baseWidth) * side * side
        for block in blockPlan {
            side /= block.stride
            total += 2 * block.outputs * side * side
        }
        return total
    }

    /// Floats that evaluation must hold for each image: input and output of a convolution of the first group. A lower
    /// bound.
    public var evaluationActivationCount: Int {
        2 * baseWidth * widening * WideResNet.imageSide * WideResNet.imageSide
    }

    /// Numbers in the kernels that a hypernetwork makes; 0 for the ordinary network.
    public var generatedKernelCount: Int {
        kernels == .generated ? blockKernels.reduce(0) { $0 + $1.count } : 0
    }

    /// The number of learned parameters: Table 2's column, exactly.
    public var parameterCount: Int {
        let plan = blockPlan, last = plan.last?.outputs ?? baseWidth
        let stem = KernelShape(size: 3, inputs: 3, outputs: baseWidth).count + 2 * baseWidth
        // Two normalizations with γ and β and two convolutions with a bias a block.
        let norms = plan.reduce(0) { $0 + 2 * ($1.inputs + $1.outputs) },
            biases = plan.reduce(0) { $0 + 2 * $1.outputs }
        let head = 2 * last + last * classes + classes
        let kernels =
            self.kernels == .owned
            ? blockKernels.reduce(0) { $0 + $1.count } : generatorParameterCount + embeddingCount * embeddingSize
        return stem + norms + biases + head + kernels
    }
}
