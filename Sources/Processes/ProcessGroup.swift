/// How long a message of the first process may take before that process counts as stuck.
public enum WaitLimit: Sendable {
    /// Within a step, where it is on its way.
    case step
    /// Between two steps, where the first process may read a split or write a checkpoint.
    case pause
    /// Between two runs, where it may do anything: no limit.
    case endless
}

/// The processes that share the work of a run, this one among them.
///
/// The processes call the same functions in the same order: each call waits for all others. A call that fails does not
/// return: the group ends all of its processes.
public protocol ProcessGroup: AnyObject, Sendable {
    /// This process's place, from 0. The first process reads the command, writes the run and speaks.
    var rank: Int { get }
    var count: Int { get }

    /// Every process gives as many bytes.
    ///
    /// - Parameter all: Room for those of all processes, in the order of their ranks.
    func allGather(_ given: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer)

    /// Block p of what each process gives goes to process p.
    ///
    /// - Parameters:
    ///   - given: `count` blocks of one size.
    ///   - taken: As many bytes; block q came from process q.
    func allToAll(_ given: UnsafeRawBufferPointer, into taken: UnsafeMutableRawBufferPointer)

    /// Overwrites `data` by the first process's.
    ///
    /// - Parameter limit: How long to wait for it, so that a process that hangs does not hold the others forever.
    func broadcast(_ data: UnsafeMutableRawBufferPointer, limit: WaitLimit)
}

extension ProcessGroup {
    public var isFirst: Bool { rank == 0 }

    /// An empty message to the others, which ends their waiting; called by the first process.
    public func dismiss() { if isFirst, count > 1 { _ = broadcast([], limit: .endless) } }

    /// The first process's bytes, whatever their number.
    ///
    /// - Parameters:
    ///   - data: Read in the first process only.
    ///   - limit: How long to wait for the message to begin.
    public func broadcast(_ data: [UInt8], limit: WaitLimit = .step) -> [UInt8] {
        var length = UInt64(data.count)
        withUnsafeMutableBytes(of: &length) { broadcast($0, limit: limit) }
        var result = isFirst ? data : [UInt8](repeating: 0, count: Int(length))
        result.withUnsafeMutableBytes { if !$0.isEmpty { broadcast($0, limit: .step) } }
        return result
    }

    /// The bytes of every process, whatever their numbers, in the order of their ranks.
    public func allGather(_ data: [UInt8]) -> [[UInt8]] {
        let lengths = allGather([UInt64(data.count)]).map { Int($0[0]) }, longest = lengths.max() ?? 0
        let padded = data + [UInt8](repeating: 0, count: longest - data.count)
        return zip(longest == 0 ? lengths.map { _ in [] } : gathered(padded), lengths).map { Array($0.prefix($1)) }
    }

    /// As many numbers from each process, those of process p in element p.
    public func allGather(_ numbers: [Double]) -> [[Double]] { gathered(numbers) }

    private func allGather(_ numbers: [UInt64]) -> [[UInt64]] { gathered(numbers) }

    private func gathered<Element: BitwiseCopyable>(_ values: [Element]) -> [[Element]] {
        guard let first = values.first else { return [[Element]](repeating: [], count: count) }
        var all = [Element](repeating: first, count: count * values.count)
        values.withUnsafeBytes { given in all.withUnsafeMutableBytes { allGather(given, into: $0) } }
        return (0..<count).map { Array(all[$0 * values.count..<($0 + 1) * values.count]) }
    }
}

/// A process alone.
public final class OneProcess: ProcessGroup {
    public let rank = 0, count = 1

    public init() {}

    public func allGather(_ given: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) {
        all.copyMemory(from: given)
    }

    public func allToAll(_ given: UnsafeRawBufferPointer, into taken: UnsafeMutableRawBufferPointer) {
        taken.copyMemory(from: given)
    }

    public func broadcast(_ data: UnsafeMutableRawBufferPointer, limit: WaitLimit) {}
}
