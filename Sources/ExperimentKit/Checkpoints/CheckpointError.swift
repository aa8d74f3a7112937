/// What is wrong with a checkpoint.
public enum CheckpointError: Error, Equatable, CustomStringConvertible {
    /// No checkpoint at the path, and none in a run folder there.
    case noCheckpoint(path: String)
    /// A file of the checkpoint cannot be read or written.
    case file(path: String, reason: String)
    /// The model has a tensor that the checkpoint has not.
    case missingTensor(path: String, name: String)
    /// The checkpoint has a tensor that the model has not.
    case unexpectedTensor(path: String, name: String)
    /// The tensor is there with another shape: a checkpoint of another model.
    case shapeMismatch(path: String, name: String, expected: [Int], found: [Int])
    /// The checkpoint was made with other data or another division of it.
    case otherData(what: String, expected: String, found: String)

    public var description: String {
        switch self {
        case .noCheckpoint(let path):
            return "\(path): no checkpoint here; give a run folder or a folder checkpoints/step-…"
        case .file(let path, let reason):
            return "\(path): \(reason)"
        case .missingTensor(let path, let name):
            return "\(path): a checkpoint of another model: the tensor '\(name)' is expected and missing"
        case .unexpectedTensor(let path, let name):
            return "\(path): a checkpoint of another model: it holds a tensor '\(name)' that the model does not have"
        case .shapeMismatch(let path, let name, let expected, let found):
            return "\(path): a checkpoint of another model: '\(name)' expected shape \(expected), found \(found)"
        case .otherData(let what, let expected, let found):
            return "the checkpoint was made with other data: \(what) expected \(expected), found \(found)"
        }
    }
}
