import HyperNetworks

extension CharacterModelConfiguration {
    /// A configuration of which a test names what it is about: one layer, no dropout, the deviations as RESULTS.md
    /// states them.
    static func test(
        cell: CellKind, layers: Int = 1, units: Int, layerNorm: Bool, hyperUnits: Int = 0, embeddingSize: Int = 0,
        keepInput: Float = 1, keepOutput: Float = 1, keepRecurrent: Float = 1, keepHyperRecurrent: Float = 1,
        forgetBias: Float = 1, layerNormEpsilon: Float = 1e-3, hyperLayerNorm: HyperLayerNorm = .matchMain
    ) -> CharacterModelConfiguration {
        CharacterModelConfiguration(
            cell: cell, layers: layers, units: units, layerNorm: layerNorm, hyperUnits: hyperUnits,
            embeddingSize: embeddingSize, keepInput: keepInput, keepOutput: keepOutput, keepRecurrent: keepRecurrent,
            keepHyperRecurrent: keepHyperRecurrent, forgetBias: forgetBias, layerNormEpsilon: layerNormEpsilon,
            hyperStateForEmbeddings: .current, hyperLayerNorm: hyperLayerNorm)
    }
}

extension WideResNetConfiguration {
    /// A configuration of which a test names what differs from Table 2: 40 layers on CIFAR-10, N_z = 64.
    static func test(
        kernels: KernelSource, blocks: Int = 6, widening: Int, baseWidth: Int = 16, embeddingSize: Int = 64,
        basicChannels: Int = 16
    ) -> WideResNetConfiguration {
        WideResNetConfiguration(
            kernels: kernels, blocks: blocks, widening: widening, baseWidth: baseWidth, classes: 10,
            embeddingSize: embeddingSize, basicChannels: basicChannels, initialValues: .he)
    }
}
