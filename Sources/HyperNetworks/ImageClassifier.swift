/// A classifier of images whose weights may come from a hypernetwork.
public protocol ImageClassifier: Module {
    /// Height, width and channels of an image.
    var imageShape: [Int] { get }

    /// Class scores of a batch.
    ///
    /// - Parameters:
    ///   - images: [B, height, width, channels].
    ///   - mode: `.training` normalizes by the batch's statistics and updates the running ones; `.evaluation` uses the
    ///     running ones.
    /// - Returns: The logits, [B, classes], and the kernels that the pass used.
    func forward(_ images: Variable, mode: NormalizationMode) -> Classification

    /// The ordinary network with the kernels that the hypernetwork makes now: the same logits, no hypernetwork. A
    /// network that owns its kernels gives a copy of itself.
    func baked() -> Self
}

extension ImageClassifier {
    /// Takes over the values of parameters and buffers of the same names.
    ///
    /// - Precondition: The other network has everything that this one has, in the same shapes.
    func copyValues(from other: some ImageClassifier, except excluded: Set<String> = []) {
        let parameters = Dictionary(uniqueKeysWithValues: other.parameters.map { ($0.name, $0.variable.value) })
        let buffers = Dictionary(uniqueKeysWithValues: other.buffers.map { ($0.name, $0.tensor) })
        for parameter in self.parameters where !excluded.contains(parameter.name) {
            guard let source = parameters[parameter.name] else { preconditionFailure("no parameter \(parameter.name)") }
            parameter.variable.value.copy(from: source)
        }
        for buffer in self.buffers {
            guard let source = buffers[buffer.name] else { preconditionFailure("no buffer \(buffer.name)") }
            buffer.tensor.copy(from: source)
        }
    }
}
