import Synchronization

/// A tensor in a computation that can be differentiated in reverse: its value, and of a parameter, after `backward`,
/// the gradient of a scalar with respect to it.
///
/// Operations on variables record, on what is called the tape, how to carry a gradient back to their operands. A
/// parameter is a variable without operands: `Variable(tensor, requiresGradient: true)`.
public final class Variable {
    public let value: Tensor
    public let requiresGradient: Bool
    /// dL/dvalue of a parameter, of the value's shape; nil before `backward`, again after `clearGradient`, and of an
    /// operation's result.
    public var gradient: Tensor? {
        applyDeferredChange()
        return gradientIsCurrent ? gradientMemory : nil
    }

    /// Mean and variance of the value's channels, where the operation that made it computed them on its way.
    package var channelMoments: ChannelMoments?

    /// Creation order: an operand is older than what is computed from it.
    private let order: UInt64
    private var operands: [Variable] = []
    /// Carries the gradient of this variable to its operands.
    private var propagate: ((Tensor, DeferredGradientChange?) -> Void)?
    /// Whether `propagate` applies a deferred change of the gradient while it reads it.
    private let appliesDeferredChange: Bool
    /// A change of the gradient that is still to be applied.
    private var deferredChange: DeferredGradientChange?
    /// Kept when the gradient is cleared, for the next one.
    private var gradientMemory: Tensor?
    /// False while the memory holds what an earlier step left and the next contribution overwrites.
    private var gradientIsCurrent = false
    /// Whether `backward` took the record of this result apart.
    private var isUsedUp = false

    private static let created = Atomic<UInt64>(0)
    @TaskLocal package static var isRecording = true

    /// A constant, or with `requiresGradient` a parameter.
    public init(_ value: Tensor, requiresGradient: Bool = false) {
        self.value = value
        self.requiresGradient = requiresGradient
        appliesDeferredChange = false
        order = Self.created.wrappingAdd(1, ordering: .relaxed).newValue
    }

    /// The result of an operation. This is how a differentiable operation is added:
    ///
    ///     func square(_ x: Variable) -> Variable {
    ///         let values = x.value.floats
    ///         return Variable(Tensor(values.map { $0 * $0 }, shape: x.shape), operands: [x]) { gradient in
    ///             let products = zip(values, gradient.floats).map { 2 * $0 * $1 }
    ///             x.addGradient(Tensor(products, shape: x.shape))
    ///         }
    ///     }
    ///
    /// - Parameters:
    ///   - value: The result.
    ///   - operands: The variables that it was computed from.
    ///   - propagate: Given dL/dvalue, adds to the gradient of each operand by `addGradient`.
    public convenience init(_ value: Tensor, operands: [Variable], propagate: @escaping (Tensor) -> Void) {
        self.init(value, operands: operands, appliesDeferredChange: false) { gradient, _ in propagate(gradient) }
    }

    /// The result of an operation that goes through its gradient part by part.
    ///
    /// - Parameter propagateParts: As `propagate` of `init(_:operands:propagate:)`, for an operation that reads the
    ///   gradient part by part. It is also given the deferred change of the gradient, if any, and applies it.
    package convenience init(
        _ value: Tensor, operands: [Variable], propagateParts: @escaping (Tensor, DeferredGradientChange?) -> Void
    ) {
        self.init(value, operands: operands, appliesDeferredChange: true, propagate: propagateParts)
    }

    private init(
        _ value: Tensor, operands: [Variable], appliesDeferredChange: Bool,
        propagate: @escaping (Tensor, DeferredGradientChange?) -> Void
    ) {
        self.value = value
        self.appliesDeferredChange = appliesDeferredChange
        requiresGradient = Self.isRecording && operands.contains { $0.requiresGradient }
        order = Self.created.wrappingAdd(1, ordering: .relaxed).newValue
        if requiresGradient {
            self.operands = operands
            self.propagate = propagate
        }
    }

    /// A record that was never used is taken apart here, for the same reason as in `backward`: released by themselves,
    /// operands of operands would go one inside the other, as deep as the record is long.
    deinit {
        var released = operands
        operands = []
        propagate = nil
        while var next = released.popLast() {
            guard isKnownUniquelyReferenced(&next) else { continue }
            released += next.operands
            next.operands = []
            next.propagate = nil
        }
    }

    public var shape: [Int] { value.shape }

    /// A constant with the same value: gradients stop here.
    public var detached: Variable { Variable(value) }

    /// Forgets the gradient. Its memory is kept for the next one.
    public func clearGradient() {
        gradientIsCurrent = false
        deferredChange = nil
    }

    /// The gradient, or zeros where nothing depended on this variable.
    package var gradientOrZeros: Tensor {
        if let gradient { return gradient }
        let zeros = gradientMemory ?? Tensor(uninitialized: shape)
        zeros.fill(0)
        gradientMemory = zeros
        gradientIsCurrent = true
        return zeros
    }

    /// Adds to the gradient: `body` writes into the tensor that it is given, adding to what is there if its second
    /// argument is true and overwriting it if that is false. Does nothing where no gradient is required.
    package func addGradient(_ body: (_ gradient: Tensor, _ accumulate: Bool) -> Void) {
        guard requiresGradient else { return }
        applyDeferredChange()
        let target = gradientMemory ?? Tensor(uninitialized: shape)
        body(target, gradientIsCurrent)
        gradientMemory = target
        gradientIsCurrent = true
    }

    /// Adds to the gradient; does nothing where no gradient is required.
    ///
    /// - Parameter contribution: A part of dL/dvalue, with as many elements as the value.
    public func addGradient(_ contribution: Tensor) {
        addGradient { gradient, accumulate in
            precondition(
                contribution.count == gradient.count, "a gradient of \(shape) has another shape: \(contribution.shape)")
            if accumulate {
                Kernels.current.axpy(Int64(gradient.count), 1, contribution.pointer, gradient.pointer)
            } else {
                gradient.copy(from: contribution)
            }
        }
    }

    /// Adds `contribution`, and may keep the tensor itself as the gradient: nothing else may write to it afterwards.
    /// It saves a copy where the gradient of a sum goes on to one of its terms.
    package func giveGradient(_ contribution: Tensor) {
        if requiresGradient && !gradientIsCurrent && gradientMemory == nil && contribution.shape == shape {
            gradientMemory = contribution
            gradientIsCurrent = true
        } else {
            addGradient(contribution)
        }
    }

    /// Changes the gradient that is there once more: at once, or where the operation that made this variable reads its
    /// gradient part by part, then (`DeferredGradientChange`).
    package func changeGradient(_ change: DeferredGradientChange) {
        precondition(gradientIsCurrent, "there is no gradient to change")
        applyDeferredChange()
        deferredChange = change
        if !appliesDeferredChange { applyDeferredChange() }
    }

    private func applyDeferredChange() {
        guard let deferredChange, let gradientMemory else { return }
        self.deferredChange = nil
        Parallel.chunks(of: value.count, grain: shape.last ?? 1) { range, _ in
            deferredChange.apply(gradientMemory, range)
        }
    }

    /// Computes dL/dv for every parameter v that L = Σ seed ⊙ value depends on, and adds it to `v.gradient`; the
    /// results of operations in between keep none.
    ///
    /// - Parameter seed: dL/dvalue, of the value's shape; nil for a scalar, where it is 1.
    /// - Precondition: The value is a scalar or a seed is given. No result that L depends on was used by an earlier
    ///   `backward`.
    ///
    /// The record of the computation is used up: a result, such as a generator's kernels, is computed anew in each
    /// step. Of several losses that depend on one result, `backward` is called on the sum.
    public func backward(seed: Tensor? = nil) {
        precondition(seed != nil || value.count == 1, "backward without a seed needs a scalar, found \(shape)")
        addGradient(seed ?? Tensor(repeating: 1, shape: shape))
        // Every variable that a gradient passes through, newest first: all uses of one come before it.
        var reached: [Variable] = [], seen: Set<ObjectIdentifier> = [ObjectIdentifier(self)], pending = [self]
        while let next = pending.popLast() {
            reached.append(next)
            for operand in next.operands where operand.requiresGradient {
                if seen.insert(ObjectIdentifier(operand)).inserted { pending.append(operand) }
            }
        }
        reached.sort { $0.order > $1.order }
        for variable in reached {
            precondition(
                !variable.isUsedUp,
                "a result of shape \(variable.shape) was used by an earlier backward(): compute it anew in each step, "
                    + "or add the losses and call backward() once")
            guard let propagate = variable.propagate else { continue }
            if variable.gradientIsCurrent, let gradient = variable.gradientMemory {
                propagate(gradient, variable.deferredChange)
            }
            // Taken apart one by one: a chain of thousands of variables must not be released recursively, and what an
            // intermediate result held can be reused by the next operation.
            variable.isUsedUp = true
            variable.propagate = nil
            variable.operands = []
            variable.gradientMemory = nil
            variable.clearGradient()
        }
    }
}

/// A change of a gradient that is deferred: the last pass of batch normalization over the gradient of its input. The
/// convolution that produced this input applies it while it reads the gradient image by image, which saves a pass over
/// memory; every other reader gets the gradient with the change applied.
package struct DeferredGradientChange {
    /// What the change reads besides the gradient, of the gradient's shape.
    package let reads: [Tensor]
    /// Writes a range of whole rows of the last axis, changed, to some memory: to their place in the gradient, or to
    /// where they are read.
    package let write: (_ gradient: Tensor, _ elements: Range<Int>, _ destination: FloatPointer) -> Void

    package init(
        reads: [Tensor],
        write: @escaping (_ gradient: Tensor, _ elements: Range<Int>, _ destination: FloatPointer) -> Void
    ) {
        self.reads = reads
        self.write = write
    }

    /// Changes a range of whole rows of the last axis in their place. Each has to be changed once.
    package func apply(_ gradient: Tensor, _ elements: Range<Int>) {
        write(gradient, elements, gradient.pointer + elements.lowerBound)
    }
}

/// Runs `body` without recording: for evaluation and sampling.
public func withoutGradient<R>(_ body: () throws -> R) rethrows -> R {
    try Variable.$isRecording.withValue(false, operation: body)
}
