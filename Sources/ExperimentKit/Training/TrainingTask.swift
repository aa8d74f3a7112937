import Compute
import NeuralNetwork

/// An experiment as the training loop sees it: parameters and buffers, batches, their loss, a validation, and the state
/// between steps.
public protocol TrainingTask: AnyObject, Module {
    /// Everything between two steps that is neither a parameter nor the optimizer's: data position, random numbers.
    associatedtype Position: Codable & Sendable

    /// Predictions that one step learns from, for the speed shown.
    var unitsPerStep: Int { get }
    var position: Position { get }
    /// Tensors carried from step to step, such as the recurrent state: of the task's own shard of the batch, whose rows
    /// are their first axis.
    var carriedTensors: [(name: String, tensor: Tensor)] { get }

    /// The loss of the next batch; moves to the batch after it.
    func nextLoss() -> BatchLoss

    /// Reads the validation split with the present parameters.
    ///
    /// - Throws: `Interrupted` when a stop was asked for meanwhile.
    func validate() throws -> SplitEvaluation

    /// Puts the task where a checkpoint left it.
    ///
    /// - Parameter carried: The carried tensors of the whole batch; a shard takes its rows.
    /// - Throws: `CheckpointError` if the checkpoint belongs to other data.
    func restore(position: Position, carried: [NamedTensor]) throws
}

extension TrainingTask {
    public var carriedTensors: [(name: String, tensor: Tensor)] { [] }
}

/// The loss that a training step reports and the objective that it minimizes, both scalars on the tape.
public struct BatchLoss {
    /// Mean −log p over the batch, in nats.
    public let loss: Variable
    /// The loss and whatever is added to it, such as a penalty on weights; the loss itself where nothing is.
    public let objective: Variable

    /// - Parameter objective: What is minimized; nil for the loss itself.
    public init(loss: Variable, objective: Variable? = nil) {
        self.loss = loss
        self.objective = objective ?? loss
    }

    var hasPenalty: Bool { loss !== objective }
}

/// An optimizer that a checkpoint can hold.
public protocol CheckpointedOptimizer: AnyObject {
    /// Updates taken so far.
    var stepCount: Int { get set }
    /// The moments, by name; the tensors are the optimizer's own, and writing into them restores it.
    var state: [(name: String, tensor: Tensor)] { get }
    func step(learningRate: Double)
}

extension Adam: CheckpointedOptimizer {}

extension NesterovSGD: CheckpointedOptimizer {
    /// Its update does not depend on the number of the step.
    public var stepCount: Int {
        get { 0 }
        set {}
    }
}
