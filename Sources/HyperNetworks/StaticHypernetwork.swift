/// The static hypernetwork (§3.1, Equations 1–3): one generator of basic kernels, and a learned embedding for each
/// basic kernel of each layer.
///
/// | symbol | name | shape |
/// |---|---|---|
/// | W_i, i = 1 … N_in | `W` | [N_z, N_in · d], W_i in columns i·d ..< (i + 1)·d |
/// | B_i | `B` | [N_in · d] |
/// | W_out | `W_out` | [d, f · f · N_out] |
/// | B_out | `B_out` | [f · f · N_out] |
/// | z of all layers | `z` | [Z, N_z] |
///
/// Matrices are applied from the right: the paper's W z is z W here. A slice K_i, f × N_out·f in the paper, is stored
/// row, column, output: the order of a kernel, [f, f, C_in, C_out].
///
/// All basic kernels come from two matrix products over all embeddings at once.
public final class StaticHypernetwork: Module {
    public let W: Variable
    public let B: Variable
    public let W_out: Variable
    public let B_out: Variable
    public let z: Variable
    /// The extents of what one embedding makes: N_in, N_out, f.
    public let basic: KernelShape
    /// The kernels to make, in the order of their embeddings.
    public let layers: [KernelShape]

    /// N_z.
    public var embeddingSize: Int { W.shape[0] }
    /// d.
    public var innerSize: Int { W_out.shape[0] }

    /// A hypernetwork with the given parameters.
    ///
    /// - Precondition: They have the shapes in the table above, with an embedding for each basic kernel of the layers.
    public init(
        W: Variable, B: Variable, W_out: Variable, B_out: Variable, z: Variable, basic: KernelShape,
        layers: [KernelShape]
    ) {
        let (Nz, d) = (W.shape[0], W_out.shape[0]), columns = basic.size * basic.size * basic.outputs
        precondition(
            W.shape == [Nz, basic.inputs * d] && B.shape == [basic.inputs * d] && W_out.shape == [d, columns]
                && B_out.shape == [columns],
            "a generator of \(basic) has no W \(W.shape), B \(B.shape), W_out \(W_out.shape), B_out \(B_out.shape)")
        let count = layers.reduce(0) { $0 + Self.embeddingCount(of: $1, basic: basic) }
        precondition(
            z.shape == [count, Nz], "\(layers.count) layers need embeddings [\(count), \(Nz)], found \(z.shape)")
        self.W = W
        self.B = B
        self.W_out = W_out
        self.B_out = B_out
        self.z = z
        self.basic = basic
        self.layers = layers
    }

    /// The initial values of deviation `staticInitialValues`.
    ///
    /// - Parameters:
    ///   - embeddingSize: N_z; d is the same, as in the paper.
    ///   - initialValues: `.he` lets each layer's kernels start with the standard deviation of He et al. W_i is
    ///     orthogonal, the rows of W_out are orthogonal and of length √(f·f·N_out / d), biases are 0: the root mean
    ///     square of a basic kernel's slice is that of its z, so the scale of a layer is set where the layers differ,
    ///     in the length of their embeddings. Where d exceeds f·f·N_out, the columns of W_out are orthogonal, of length
    ///     1, and the root mean square is that of z in expectation.
    public convenience init(
        basic: KernelShape, embeddingSize Nz: Int, layers: [KernelShape], initialValues: GeneratorInitialValues,
        random: inout RandomStream
    ) {
        let d = Nz, columns = basic.size * basic.size * basic.outputs
        let counts = layers.map { Self.embeddingCount(of: $0, basic: basic) }, Z = counts.reduce(0, +)
        switch initialValues {
        case .he:
            let W = Initializer.orthogonal(rows: Nz, columns: d, blocks: basic.inputs, random: &random)
            let outScale = max(1, (Float(columns) / Float(d)).squareRoot())
            let W_out = Initializer.orthogonal(rows: d, columns: columns, random: &random)
            W_out.value.copy(from: W_out.value.floats.map { $0 * outScale })
            var embeddings: [Float] = []
            for (layer, count) in zip(layers, counts) {
                for _ in 0..<count {
                    let direction = random.normal(Nz)
                    let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
                    let scale = layer.heStandardDeviation * Float(Nz).squareRoot() / length
                    embeddings += direction.map { $0 * scale }
                }
            }
            self.init(
                W: W, B: Initializer.constant(0, [basic.inputs * d]), W_out: W_out,
                B_out: Initializer.constant(0, [columns]),
                z: Variable(Tensor(embeddings, shape: [Z, Nz]), requiresGradient: true), basic: basic, layers: layers)
        case .smallNormal:
            func small(_ shape: [Int]) -> Variable {
                Initializer.normal(standardDeviation: 0.01, shape, random: &random)
            }
            self.init(
                W: small([Nz, basic.inputs * d]), B: Initializer.constant(0, [basic.inputs * d]),
                W_out: small([d, columns]), B_out: Initializer.constant(0, [columns]), z: small([Z, Nz]),
                basic: basic, layers: layers)
        }
    }

    /// Basic kernels that a layer's kernel is tiled from (Eq. 3).
    ///
    /// - Precondition: The layer has the basic kernel's f, and multiples of its channels.
    public static func embeddingCount(of layer: KernelShape, basic: KernelShape) -> Int {
        precondition(
            layer.size == basic.size && layer.inputs % basic.inputs == 0 && layer.outputs % basic.outputs == 0,
            "\(layer) cannot be tiled from \(basic)")
        return layer.inputs / basic.inputs * (layer.outputs / basic.outputs)
    }

    /// The number of learned parameters where d = N_z (§3.1): N_z Z + d (N_z + 1) N_in + f · N_out · f (d + 1).
    ///
    /// - Parameters:
    ///   - basic: What one embedding makes: N_in, N_out, f.
    ///   - embeddingSize: N_z.
    ///   - embeddings: Z, the embeddings of all layers; 0 counts the generator alone.
    public static func parameterCount(basic: KernelShape, embeddingSize Nz: Int, embeddings Z: Int) -> Int {
        Nz * Z + Nz * (Nz + 1) * basic.inputs + basic.size * basic.outputs * basic.size * (Nz + 1)
    }

    /// The number of learned parameters besides the embeddings: d (N_z + 1) N_in + f · N_out · f (d + 1).
    public var generatorParameterCount: Int { parameterCount - z.value.count }

    public var parameters: [NamedParameter] {
        [
            NamedParameter("W", W), NamedParameter("B", B), NamedParameter("W_out", W_out),
            NamedParameter("B_out", B_out), NamedParameter("z", z),
        ]
    }

    /// All basic kernels, K = g(z) (Eq. 1).
    ///
    /// - Returns: [Z, N_in, f, f, N_out].
    public func basicKernels() -> Variable {
        let Z = z.shape[0], (f, Nin, Nout) = (basic.size, basic.inputs, basic.outputs)
        // Eq. 2: a_i = W_i z + B_i, for all i and all z
        let a = addRow(matmul(z, W), B)
        // Eq. 2: K_i = ⟨W_out, a_i⟩ + B_out
        let K = addRow(matmul(reshape(a, [Z * Nin, innerSize]), W_out), B_out)
        return reshape(K, [Z, Nin, f, f, Nout])
    }

    /// The kernel of every layer, [f, f, C_in, C_out] each.
    public func kernels() -> [Variable] {
        let basicKernels = basicKernels()
        var first = 0
        return layers.map { layer in
            defer { first += Self.embeddingCount(of: layer, basic: basic) }
            return tileKernel(basicKernels, first: first, to: layer)
        }
    }
}

/// One layer's kernel from basic kernels (Eq. 3): rows of the tiling are blocks of inputs, columns blocks of outputs.
///
///     K[y, x, r·N_in + i, c·N_out + o] = basicKernels[first + r · (C_out / N_out) + c, i, y, x, o]
///
/// - Parameters:
///   - basicKernels: [Z, N_in, f, f, N_out].
///   - first: The basic kernel of the tiling's upper left corner.
/// - Returns: [f, f, C_in, C_out].
public func tileKernel(_ basicKernels: Variable, first: Int, to layer: KernelShape) -> Variable {
    let extents = basicKernels.shape
    precondition(extents.count == 5, "basic kernels have the shape [Z, N_in, f, f, N_out], found \(extents)")
    let basic = KernelShape(size: extents[2], inputs: extents[1], outputs: extents[4])
    let count = StaticHypernetwork.embeddingCount(of: layer, basic: basic)
    precondition(
        first >= 0 && first + count <= extents[0], "\(layer) needs basic kernels \(first) ..< \(first + count)")
    let blocks = layer.outputs / basic.outputs, positions = basic.size * basic.size

    /// Calls `body` with the offsets of every run of N_out elements that both layouts keep together.
    func forEachRun(_ body: (_ offsetInBasic: Int, _ offsetInKernel: Int) -> Void) {
        for tile in 0..<count {
            let (row, column) = (tile / blocks, tile % blocks)
            for i in 0..<basic.inputs {
                for position in 0..<positions {
                    body(
                        (((first + tile) * basic.inputs + i) * positions + position) * basic.outputs,
                        (position * layer.inputs + row * basic.inputs + i) * layer.outputs + column * basic.outputs)
                }
            }
        }
    }

    let kernel = Tensor(uninitialized: layer.extents)
    forEachRun { inBasic, inKernel in
        (kernel.pointer + inKernel).update(from: basicKernels.value.pointer + inBasic, count: basic.outputs)
    }
    return Variable(kernel, operands: [basicKernels]) { gradient in
        basicKernels.addGradient { total, accumulate in
            if !accumulate { total.fill(0) }
            forEachRun { inBasic, inKernel in
                let (target, source) = (total.pointer + inBasic, gradient.pointer + inKernel)
                for o in 0..<basic.outputs { target[o] += source[o] }
            }
        }
    }
}
