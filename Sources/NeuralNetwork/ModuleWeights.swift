import Safetensors

extension Module {
    /// Writes everything that the module learned into a safetensors file, atomically.
    ///
    /// - Parameters:
    ///   - path: Where to; an earlier file there is replaced.
    ///   - metadata: Texts to go with the weights.
    /// - Throws: `AtomicFileError`.
    public func saveWeights(to path: String, metadata: SafetensorsFile.Metadata = [:]) throws {
        try SafetensorsFile(tensors: tensors, metadata: metadata).write(to: path)
    }

    /// Reads a file that `saveWeights` wrote, or another with the same names and shapes, into the module.
    ///
    /// - Parameter path: A safetensors file in F32, F16, BF16 or F64, which is rounded to float32.
    /// - Returns: The texts that stand beside the weights.
    /// - Throws: `SafetensorsError` naming the first tensor that is missing, has another shape or is not the module's;
    ///   the module is as it was then.
    @discardableResult
    public func loadWeights(from path: String) throws -> SafetensorsFile.Metadata {
        let file = try SafetensorsFile(path: path)
        try file.copy(to: tensors)
        return file.metadata
    }
}

extension SafetensorsFile.Metadata {
    /// Texts in the order of their keys, so that equal files are equal byte by byte.
    package init(sorting texts: [String: String]) {
        self.init(
            texts.sorted { $0.key < $1.key }.map { SafetensorsFile.MetadataItem(key: $0.key, value: $0.value) })
    }
}

extension SafetensorsFile {
    /// Tensors by name, in F32.
    package init(tensors: [(name: String, tensor: Tensor)], metadata: Metadata = [:]) {
        self.init(metadata: metadata)
        for (name, tensor) in tensors { append(name, shape: tensor.shape, .float32(tensor.floats)) }
    }

    /// Copies every entry into the tensor of its name: all of them, or after an error none.
    ///
    /// - Parameter targets: What the file must hold, by name, and nothing else.
    /// - Throws: `SafetensorsError` naming the first tensor that is missing, has another shape or is in the file alone.
    public func copy(to targets: [(name: String, tensor: Tensor)]) throws(SafetensorsError) {
        var values: [[Float]] = []
        for target in targets { values.append(try floats(target.name, shape: target.tensor.shape)) }
        let names = Set(targets.map(\.name))
        if let stranger = entries.first(where: { !names.contains($0.name) }) {
            throw .unexpectedName(path: errorPath, name: stranger.name)
        }
        for (target, values) in zip(targets, values) { target.tensor.copy(from: values) }
    }
}
