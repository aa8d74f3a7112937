import Safetensors

extension Module {
    /// Writes everything that the module learned into a safetensors file, atomically.
    ///
    /// - Parameters:
    ///   - path: Where to; an earlier file there is replaced.
    ///   - metadata: Texts to go with the weights.
    /// - Throws: `AtomicFileError`.
    public func saveWeights(to path: String, metadata: SafetensorsFile.Metadata = [:]) throws {
        var file = SafetensorsFile(metadata: metadata)
        for (name, tensor) in tensors { file.append(name, shape: tensor.shape, .float32(tensor.floats)) }
        try file.write(to: path)
    }

    /// Reads a file that `saveWeights` wrote, or another with the same names and shapes, into the module.
    ///
    /// - Parameter path: A safetensors file in float32, or in a narrower or wider type, which is converted.
    /// - Returns: The texts that stand beside the weights.
    /// - Throws: `SafetensorsError` naming the first tensor that is missing, has another shape or is not the module's; the
    ///   module is as it was then.
    @discardableResult
    public func loadWeights(from path: String) throws -> SafetensorsFile.Metadata {
        let file = try SafetensorsFile(path: path)
        let targets = tensors, names = Set(targets.map(\.name))
        if let stranger = file.entries.first(where: { !names.contains($0.name) }) {
            throw SafetensorsError.unexpectedName(path: path, name: stranger.name)
        }
        let values = try targets.map { try file.floats($0.name, shape: $0.tensor.shape) }
        for (target, values) in zip(targets, values) { target.tensor.copy(from: values) }
        return file.metadata
    }
}
