import CKernels
import Foundation

/// The number of threads to compute with, and the reason for it.
public struct ThreadChoice: Equatable, Sendable {
    public let count: Int
    /// Such as "2 physical cores" or "SLURM_CPUS_PER_TASK=4".
    public let reason: String

    /// Most threads that the pool can have.
    public static let most = Int(ck_most_threads)

    /// Variables that say how many threads a program may start. The first is ours to obey as if it were an option; the
    /// others are limits among others.
    private static let fixed = "OPENBLAS_NUM_THREADS", limits = ["SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"]

    /// Variables in which Open MPI, and MPICH and its kin, say how many processes they started on this machine.
    private static let neighbors = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"]

    /// The least of what the process may use: the physical cores among the processors of its affinity, the quota of its
    /// control group, and the numbers of threads that its environment states.
    ///
    /// - Parameters:
    ///   - requested: From the command line; it is taken as it is.
    ///   - environment: The process's variables.
    ///   - cores: Physical cores among the processors that the process may run on.
    ///   - quota: Processors' worth of time that the process's control group may use; nil for no limit.
    /// - Throws: `ComputeError.threads` where a number is not between 1 and `most`.
    init(
        requested: Int?, environment: [String: String], cores: (allowed: Int, all: Int), quota: Double?
    ) throws(ComputeError) {
        func checked(_ count: Int, _ source: String) throws(ComputeError) -> Int {
            guard 1...Self.most ~= count else { throw .threads(requested: count, source: source) }
            return count
        }
        if let requested {
            count = try checked(requested, "--threads")
            reason = "--threads"
            return
        }
        if let value = environment[Self.fixed].flatMap(Int.init) {
            count = try checked(value, Self.fixed)
            reason = "\(Self.fixed)=\(value)"
            return
        }
        let isBound = cores.allowed < cores.all
        var bounds = [
            (count: cores.allowed, reason: "physical cores" + (isBound ? " of \(cores.all), by affinity" : ""))
        ]
        // Processes that were started together and not bound to cores of their own share all of them.
        let neighbors = Self.neighbors.compactMap { environment[$0].flatMap(Int.init) }.first ?? 1
        if !isBound, neighbors > 1 {
            bounds.append(
                (max(1, cores.allowed / neighbors), "physical cores, shared by \(neighbors) processes"))
        }
        if let quota {
            let rounded = String(format: "%g", (quota * 100).rounded() / 100)
            bounds.append(
                (max(1, Int(min(quota, Double(Self.most)))), "control group's quota of \(rounded) processors"))
        }
        for name in Self.limits {
            // OMP_NUM_THREADS may be a list, one number a level of nesting.
            guard let text = environment[name]?.split(separator: ",").first, let value = Int(text) else { continue }
            bounds.append((try checked(value, name), "\(name)=\(value)"))
        }
        let least = bounds.min { $0.count < $1.count } ?? bounds[0]
        count = min(max(1, least.count), Self.most)
        reason = least.reason
    }

    /// A single thread, for the reason given.
    init(one reason: String) {
        count = 1
        self.reason = reason
    }

    /// For this process.
    ///
    /// - Throws: `ComputeError.threads`.
    static func current(requested: Int?) throws(ComputeError) -> ThreadChoice {
        let all = physicalCores(of: Array(0..<ProcessInfo.processInfo.processorCount))
        return try ThreadChoice(
            requested: requested, environment: ProcessInfo.processInfo.environment,
            cores: (physicalCores(of: allowedProcessors), all),
            quota: controlGroupQuota(root: URL(fileURLWithPath: "/")))
    }

    /// The processors of the process's affinity (`taskset`, a batch system), or all where the system does not tell.
    private static var allowedProcessors: [Int] {
        var processors = [Int32](repeating: 0, count: 4096)
        let count = Int(ck_allowed_processors(&processors, Int32(processors.count)))
        return count > 0 ? processors[..<count].map(Int.init) : Array(0..<ProcessInfo.processInfo.processorCount)
    }

    /// Cores among the processors, not counting a core's second hardware thread: matrix products gain nothing from it.
    private static func physicalCores(of processors: [Int]) -> Int {
        let siblings = processors.map { processor in
            let topology = "/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list"
            return (try? String(contentsOfFile: topology, encoding: .utf8)) ?? "\(processor)"
        }
        return max(1, Set(siblings).count)
    }

    /// Processors' worth of time a period that the process's control groups allow; nil for no limit.
    ///
    /// - Parameter root: Of the file system.
    static func controlGroupQuota(root: URL) -> Double? {
        ControlGroup.all(of: "cpu", root: root).compactMap { group in
            if group.version == 2 {
                let numbers = group.text("cpu.max")?.split(separator: " ").compactMap { Double($0) } ?? []
                return numbers.count == 2 && numbers[1] > 0 ? numbers[0] / numbers[1] : nil
            }
            guard let quota = group.text("cpu.cfs_quota_us").flatMap(Double.init), quota > 0,
                let period = group.text("cpu.cfs_period_us").flatMap(Double.init), period > 0
            else { return nil }
            return quota / period
        }.min()
    }
}
