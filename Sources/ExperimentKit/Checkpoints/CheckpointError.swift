import Safetensors

/// A fault of a checkpoint.
public enum CheckpointError: Error, Equatable, CustomStringConvertible {
    /// No checkpoint at the path, and none in a run folder there.
    case noCheckpoint(path: String)
    /// A file of the checkpoint cannot be read or written.
    case file(path: String, reason: String)
    /// A tensor is missing, has another shape or is one too many.
    case otherModel(SafetensorsError)
    /// The checkpoint was made with other data or another division of it.
    case otherData(what: String, expected: String, found: String)

    public var description: String {
        switch self {
        case .noCheckpoint(let path):
            return "\(path): no checkpoint here; give a run folder, a folder checkpoints/step-… or a file of weights"
                + " (.safetensors)"
        case .file(let path, let reason):
            return "\(path): \(reason)"
        case .otherModel(let mismatch):
            return "a checkpoint of another model: \(mismatch)"
        case .otherData(let what, let expected, let found):
            return "the checkpoint was made with other data: \(what) expected \(expected), found \(found)"
        }
    }
}
