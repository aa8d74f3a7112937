import Compute
import NeuralNetwork
import Processes

/// The updates of a run's parameters, by all shards of a batch in all processes.
///
/// A batch of S shards gives the means of the shards' losses and gradients. Process p of P has S / P shards that follow
/// each other; each shard has a task of its own, with its own copy of the parameters. One update:
///
/// 1. every shard computes its loss and gradient (`ShardTeam`);
/// 2. the gradients are added, neighbors first: ((g₀ + g₁) + (g₂ + g₃)) + …, so that the sum of a process's own shards
///    is a part of the whole sum, and the result is the same bits whatever P is. Between processes each adds up a slice
///    of the vector and gives its sums to all;
/// 3. every process clips and updates by itself: the same numbers everywhere.
///
/// The first process leads: the others take part in what it calls, by `follow()`.
final class TrainingStep<Task: TrainingTask> {
    /// The measurements of one update.
    struct Result {
        /// Mean loss of the batch.
        let lossNats: Double
        /// The minimized objective, where that is more than the loss.
        let objective: Double?
        /// The gradient's global norm before clipping.
        let gradientNorm: Double
        let rate: Double
    }

    private enum Order: UInt8 {
        case update, carried, end
    }

    /// The state that the processes must agree on before the first update, besides tensors.
    private struct Start: Codable {
        let step: Int
        let optimizerStepCount: Int
        let position: Task.Position
        /// The carried tensors of the whole batch: names and shapes.
        let carried: [String: [Int]]
    }

    /// Of this process, in order. The first has the optimizer, and is what a checkpoint of the first process holds.
    private let tasks: [Task]
    let optimizer: any CheckpointedOptimizer
    let settings: TrainingLoopSettings
    let processes: any ProcessGroup
    private let team: ShardTeam?
    /// Each task's gradient of all parameters, one after the other.
    private let gradients: [Tensor]
    /// A slice of the gradients of all processes.
    private let slices: Tensor
    private var hasEnded = false

    var task: Task { tasks[0] }
    private var shards: Int { tasks.count * processes.count }
    private var leads: Bool { processes.isFirst && processes.count > 1 }

    /// - Parameters:
    ///   - tasks: One for each shard of this process; as many in every process, a power of two.
    ///   - optimizer: Of the first task's parameters.
    /// - Throws: `ComputeError.threadsNotStarted` where the system has no thread for a shard.
    init(
        tasks: [Task], optimizer: any CheckpointedOptimizer, settings: TrainingLoopSettings,
        processes: any ProcessGroup = OneProcess()
    ) throws {
        self.tasks = tasks
        self.optimizer = optimizer
        self.settings = settings
        self.processes = processes
        guard tasks.count * processes.count > 1 else {
            (team, gradients, slices) = (nil, [], Tensor(zeros: [0]))
            return
        }
        team = try ShardTeam(members: tasks.count, processes: processes)
        // Slices of whole cache lines.
        let grain = 16 * processes.count
        let count = (tasks[0].parameterCount + grain - 1) / grain * grain
        gradients = tasks.map { _ in Tensor(zeros: [count]) }
        slices = Tensor(zeros: processes.count == 1 ? [0] : [processes.count, count / processes.count])
    }

    deinit { team?.end() }

    // MARK: - Updates

    /// One update of the parameters; in the first process alone, which takes the others along.
    ///
    /// - Throws: `TrainingError.notFinite`, in every process.
    func take(_ step: Int) throws -> Result {
        give(.update)
        return try update(step)
    }

    private func update(_ step: Int) throws -> Result {
        func notFinite(_ what: String) -> TrainingError {
            hasEnded = true
            return .notFinite(what: what, step: step, lastCheckpoint: nil)
        }
        func isFinite(_ figures: (loss: Double, objective: Double?)) -> Bool {
            figures.loss.isFinite && (figures.objective ?? 0).isFinite
        }
        let figures: (loss: Double, objective: Double?)
        if let team {
            figures = computeInShards(team)
            guard isFinite(figures) else { throw notFinite("loss") }
            sumGradients()
        } else {
            let batch = task.nextLoss()
            figures = batch.figures
            guard isFinite(figures) else { throw notFinite("loss") }
            batch.objective.backward()
        }
        // Without a limit the norm is still measured, for the log.
        let norm = clipGlobalNorm(task.parameters, maximum: settings.clipNorm ?? .infinity)
        guard norm.isFinite else { throw notFinite("norm of the gradient") }
        let rate = settings.learningRate.rate(atStep: step)
        optimizer.step(learningRate: rate)
        task.clearGradients()
        copyParameters()
        return Result(lossNats: figures.loss, objective: figures.objective, gradientNorm: norm, rate: rate)
    }

    /// Every shard's gradient in `gradients`, and the means of what they measured.
    private func computeInShards(_ team: ShardTeam) -> (loss: Double, objective: Double?) {
        let figures = team.run { [self] member in
            let task = tasks[member], batch = task.nextLoss(), figures = batch.figures
            batch.objective.backward()
            var next = gradients[member].pointer
            for parameter in task.parameters {
                let count = parameter.variable.value.count
                next.update(from: parameter.variable.gradientOrZeros.pointer, count: count)
                next += count
            }
            task.clearGradients()
            return [figures.loss, figures.objective ?? figures.loss, figures.objective == nil ? 0 : 1]
        }
        func mean(_ column: Int) -> Double { figures.reduce(0) { $0 + $1[column] } / Double(figures.count) }
        return (mean(0), figures[0][2] == 0 ? nil : mean(1))
    }

    /// The mean of `gradients` over all shards, as the gradient of the first task's parameters.
    private func sumGradients() {
        let total = gradients[0]
        Self.addNeighbors(gradients.map(\.pointer), count: total.count)
        if processes.count > 1 {
            processes.allToAll(total.bytes, into: slices.mutableBytes)
            let slice = slices.shape[1]
            Self.addNeighbors((0..<processes.count).map { slices.pointer + $0 * slice }, count: slice)
            processes.allGather(slices.viewOfRows(0..<1).bytes, into: total.mutableBytes)
        }
        var next = total.pointer
        let share = 1 / Float(shards)
        for parameter in task.parameters {
            let source = next, count = parameter.variable.value.count
            parameter.variable.addGradient { gradient, _ in
                Parallel.chunks(of: count, grain: 1 << 14) { range, _ in
                    for n in range { gradient.pointer[n] = source[n] * share }
                }
            }
            next += count
        }
    }

    /// Adds vectors into the first: pairs of neighbors, then pairs of those pairs.
    private static func addNeighbors(_ vectors: [FloatPointer], count: Int) {
        var distance = 1
        while distance < vectors.count {
            for first in stride(from: 0, to: vectors.count, by: 2 * distance) {
                let target = vectors[first], source = vectors[first + distance]
                Parallel.chunks(of: count, grain: 1 << 14) { range, _ in
                    for n in range { target[n] += source[n] }
                }
            }
            distance *= 2
        }
    }

    /// The first task's parameters and buffers, to the others of this process.
    private func copyParameters() {
        for other in tasks.dropFirst() {
            for (source, target) in zip(task.tensors, other.tensors) { target.tensor.copy(from: source.tensor) }
        }
    }

    // MARK: - Between updates

    /// Puts every shard of every process where the first process's first task is.
    ///
    /// - Parameters:
    ///   - step: Updates taken; read in the first process.
    ///   - carried: What the tasks carry, of the whole batch; nil at the start of a run. Read in the first process.
    /// - Returns: Updates taken.
    @discardableResult
    func share(step: Int, carried: [NamedTensor]?) throws -> Int {
        guard shards > 1 else { return step }
        let mine = Start(
            step: step, optimizerStepCount: optimizer.stepCount, position: task.position,
            carried: Dictionary((carried ?? []).map { ($0.name, $0.shape) }) { first, _ in first })
        let message = processes.isFirst ? try StableJSON.encode(mine) : []
        let start = try StableJSON.decode(Start.self, from: processes.broadcast(message, limit: .pause))
        for (_, tensor) in task.tensors + optimizer.state { broadcast(tensor) }
        optimizer.stepCount = start.optimizerStepCount
        let whole = start.carried.sorted { $0.key < $1.key }.map { name, shape in
            let tensor = Tensor(zeros: shape)
            if processes.isFirst, let own = carried?.first(where: { $0.name == name }) { tensor.copy(from: own.values) }
            broadcast(tensor)
            return NamedTensor(name: name, shape: shape, values: tensor.floats)
        }
        copyParameters()
        if start.step > 0 { for task in tasks { try task.restore(position: start.position, carried: whole) } }
        return start.step
    }

    private func broadcast(_ tensor: Tensor) { processes.broadcast(tensor.mutableBytes, limit: .step) }

    /// The tensors that the tasks carry from step to step, of the whole batch; in the first process alone.
    func carriedTensors() -> [(name: String, tensor: Tensor)] {
        guard shards > 1, !task.carriedTensors.isEmpty else { return task.carriedTensors }
        give(.carried)
        return gatherCarried()
    }

    private func gatherCarried() -> [(name: String, tensor: Tensor)] {
        let parts = tasks.map(\.carriedTensors)
        return parts[0].indices.map { index in
            let (name, first) = parts[0][index], rows = first.shape[0], rest = first.shape.dropFirst()
            let own = Tensor(uninitialized: [tasks.count * rows] + rest)
            for (member, part) in parts.enumerated() {
                own.viewOfRows(member * rows..<(member + 1) * rows).copy(from: part[index].tensor)
            }
            let whole = Tensor(uninitialized: [shards * rows] + rest)
            processes.allGather(own.bytes, into: whole.mutableBytes)
            return (name, whole)
        }
    }

    // MARK: - Leading and following

    private func give(_ order: Order) {
        if leads { _ = processes.broadcast([order.rawValue], limit: .pause) }
    }

    /// Lets the other processes go; called by the first when no update follows. After a number that is not finite
    /// nothing is sent: every process has thrown by then.
    func end() {
        if !hasEnded { give(.end) }
        hasEnded = true
    }

    /// Takes part in the updates of the first process, from the start to the end of its sitting.
    ///
    /// - Throws: `TrainingError.notFinite`, as the first process.
    func follow() throws {
        var step = try share(step: 0, carried: nil)
        while true {
            let message = processes.broadcast([], limit: .pause)
            switch message.first.flatMap({ byte in Order(rawValue: byte) }) {
            case .update:
                step += 1
                _ = try update(step)
            case .carried:
                _ = gatherCarried()
            case .end, nil:
                return
            }
        }
    }
}

extension BatchLoss {
    fileprivate var figures: (loss: Double, objective: Double?) {
        (Double(loss.value.floats[0]), hasPenalty ? Double(objective.value.floats[0]) : nil)
    }
}

extension Tensor {
    fileprivate var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(mutableBytes) }

    fileprivate var mutableBytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: pointer, count: count * MemoryLayout<Float>.stride)
    }
}
