import CKernels
import Foundation

/// The number of threads to compute with, and the reason for it.
public struct ThreadChoice: Equatable, Sendable {
    public let count: Int
    /// Such as "physical cores of 8, by affinity" or "SLURM_CPUS_PER_TASK=4".
    public let reason: String

    /// Most threads that the pool can have.
    public static let most = Int(ck_most_threads)

    /// Variables that say how many threads a program may start. The first is ours to obey as if it were an option; the
    /// others are limits among others.
    private static let fixed = "OPENBLAS_NUM_THREADS", limits = ["SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"]

    /// Variables in which Open MPI, MPICH and its kin, and Slurm's `srun` say how many processes they started on this
    /// machine; Slurm says it of every machine, such as "2(x3),1".
    private static let neighbors = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_TASKS_PER_NODE"]

    /// The least of what the process may use: the physical cores among the processors of its affinity, its share of the
    /// machine's among the processes that were started together, the quota of its control group, and the numbers of
    /// threads that its environment states.
    ///
    /// - Parameters:
    ///   - requested: From the command line; it is taken as it is.
    ///   - environment: The process's variables.
    ///   - cores: Physical cores among the processors that the process may run on, and all of the machine.
    ///   - quota: Processors' worth of time that the process's control group may use; nil for no limit.
    /// - Throws: `ComputeError.threads` where a number is below 1, that of `--threads` or `OPENBLAS_NUM_THREADS` above
    ///   `most`, or `OPENBLAS_NUM_THREADS` no number. The other variables are not the suite's: their bounds hold at
    ///   `most`, and what is no number is passed over.
    init(
        requested: Int?, environment: [String: String], cores: (allowed: Int, all: Int), quota: Double?
    ) throws(ComputeError) {
        func checked(_ count: Int, _ source: String) throws(ComputeError) -> Int {
            guard 1...Self.most ~= count else { throw .threads(found: "\(count)", source: source) }
            return count
        }
        if let requested {
            count = try checked(requested, "--threads")
            reason = "--threads"
            return
        }
        let text = environment[Self.fixed]?.trimmingCharacters(in: .whitespaces) ?? ""
        if !text.isEmpty {
            guard let value = Int(text) else { throw .threads(found: "\"\(text)\"", source: Self.fixed) }
            count = try checked(value, Self.fixed)
            reason = "\(Self.fixed)=\(value)"
            return
        }
        let isBound = cores.allowed < cores.all
        var bounds = [
            (count: cores.allowed, reason: "physical cores" + (isBound ? " of \(cores.all), by affinity" : ""))
        ]
        // Processes that were started together may be bound to the same cores, such as those of a socket: together they
        // take no more than the machine has.
        let neighbors = Self.neighbors.compactMap { environment[$0].flatMap(Self.most(onANodeOf:)) }.first ?? 1
        if neighbors > 1, cores.allowed > cores.all / neighbors {
            bounds.append((max(1, cores.all / neighbors), "physical cores, shared by \(neighbors) processes"))
        }
        if let quota {
            let rounded = String(format: "%g", (quota * 100).rounded() / 100)
            bounds.append(
                (max(1, Int(min(quota, Double(Self.most)))), "control group's quota of \(rounded) processors"))
        }
        for name in Self.limits {
            // OMP_NUM_THREADS may be a list, one number a level of nesting.
            guard let text = environment[name]?.split(separator: ",").first, let value = Int(text) else { continue }
            guard value >= 1 else { throw .threads(found: "\(value)", source: name) }
            bounds.append((min(value, Self.most), "\(name)=\(value)"))
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
        try ThreadChoice(
            requested: requested, environment: ProcessInfo.processInfo.environment,
            cores: (Processors.cores(of: Processors.allowed), Processors.cores(of: Processors.online())),
            quota: controlGroupQuota(root: URL(fileURLWithPath: "/")))
    }

    /// The most processes that a node has by a list such as "2(x3),1", or "4" for all of them; nil where it is none.
    private static func most(onANodeOf list: String) -> Int? {
        list.split(separator: ",").compactMap { node in Int(node.prefix { $0.isWholeNumber }) }.max()
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
