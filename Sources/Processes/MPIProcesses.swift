import CMPI
import Foundation
import Synchronization

/// What keeps processes from working together.
public enum ProcessError: Error, Equatable, CustomStringConvertible {
    /// A number of seconds, and the variable of the environment that sets it.
    public struct TimeLimit: Equatable, Sendable {
        public let seconds: Double
        public let variable: String
    }

    case noLibrary(processes: Int, reason: String)
    case cannotJoin(code: Int)
    /// MPI counts other processes than the program that started them.
    case otherCount(started: Int, found: Int)
    case badSetting(name: String, found: String)
    /// A call between processes failed or took longer than its limit.
    case call(name: String, rank: Int, host: String, exceeded: TimeLimit?)

    public var description: String {
        switch self {
        case .noLibrary(let processes, let reason):
            return "started as one of \(processes) processes, but MPI cannot be loaded: \(reason). Install it (Debian:"
                + " apt-get install openmpi-bin), name its library in \(MPIProcesses.libraryVariable), or set that to"
                + " 'none' to run alone"
        case .cannotJoin(-1):
            return "MPI cannot start: it lets one thread alone call it (no MPI_THREAD_SERIALIZED); load a library that"
                + " was built with support for threads"
        case .cannotJoin(let code):
            return "MPI cannot start: code \(code)"
        case .otherCount(let started, let found):
            return "started as one of \(started) processes, but MPI finds \(found): the library is not that of the"
                + " program that started them (with Slurm: srun --mpi=pmix or --mpi=pmi2; with both Open MPI and MPICH here:"
                + " \(MPIProcesses.libraryVariable)=libmpi.so.40 or libmpich.so.12; where each process is to run alone,"
                + " \(MPIProcesses.libraryVariable)=none; see docs/cluster.md)"
        case .badSetting(let name, let found):
            return "\(name) expected a number of seconds above 0, found '\(found)'"
        case .call(let name, let rank, let host, let limit):
            let what =
                limit.map {
                    "got no answer for \(String(format: "%g", $0.seconds)) s (\($0.variable)): another process is stuck"
                        + " or gone"
                } ?? "failed"
            return "process \(rank) on \(host): \(name) \(what); the run goes on from its last checkpoint with `resume`"
        }
    }
}

/// Processes that `mpirun` or `srun` started together.
public final class MPIProcesses: ProcessGroup {
    /// Names the library of MPI; `none` for a process alone.
    public static let libraryVariable = "HYPERNETWORKS_MPI"
    /// Seconds that a message within a training step may take.
    public static let limitVariable = "HYPERNETWORKS_MPI_SECONDS"
    /// Seconds that the first process may take between two steps.
    public static let pauseLimitVariable = "HYPERNETWORKS_MPI_IDLE_SECONDS"

    public let rank: Int
    public let count: Int
    /// The library's name and version.
    public let library: String
    private let stepLimit: ProcessError.TimeLimit
    private let pauseLimit: ProcessError.TimeLimit
    private let onFailure: @Sendable (ProcessError) -> Void
    private let sent = Atomic<Int>(0)
    private let calls = Atomic<Int>(0)

    /// Bytes that this process has sent to others, and calls that it took part in.
    public var traffic: (bytes: Int, calls: Int) { (sent.load(ordering: .relaxed), calls.load(ordering: .relaxed)) }

    /// The processes that the environment speaks of; nil for one started alone.
    ///
    /// - Parameter onFailure: Told of a call that failed, before all processes are ended.
    /// - Throws: `ProcessError`.
    public static func started(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        onFailure: @escaping @Sendable (ProcessError) -> Void
    ) throws(ProcessError) -> MPIProcesses? {
        let library = environment[libraryVariable].flatMap { $0.isEmpty ? nil : $0 }
        guard library != "none", let processes = processesStarted(environment) else { return nil }
        return try MPIProcesses(processes: processes, library: library, environment, onFailure)
    }

    /// How many processes were started together, as Open MPI, MPICH and their kin, and Slurm's `srun` say it. A Slurm
    /// job that calls the program without `srun` has one.
    static func processesStarted(_ environment: [String: String]) -> Int? {
        for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] {
            if name.hasPrefix("SLURM"), environment["SLURM_PROCID"] == nil { continue }
            if let count = environment[name].flatMap(Int.init) { return count > 1 ? count : nil }
        }
        return nil
    }

    private init(
        processes: Int, library: String?, _ environment: [String: String],
        _ onFailure: @escaping @Sendable (ProcessError) -> Void
    ) throws(ProcessError) {
        stepLimit = try Self.limit(Self.limitVariable, in: environment, standard: 300)
        // The first process reads the validation split alone, however few its cores are.
        pauseLimit = try Self.limit(Self.pauseLimitVariable, in: environment, standard: 4 * 3600)
        if let reason = mpi_load(library) {
            throw .noLibrary(processes: processes, reason: String(cString: reason))
        }
        var rank: Int32 = 0, count: Int32 = 0
        let code = mpi_join(&rank, &count)
        guard code == 0 else { throw .cannotJoin(code: Int(code)) }
        (self.rank, self.count) = (Int(rank), Int(count))
        // MPICH sets its words apart by tabs.
        self.library = String(cString: mpi_version()).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        self.onFailure = onFailure
        guard Int(count) == processes else {
            // Else the launcher's complaint about a process that ended inside the group would hide the reason.
            mpi_leave()
            throw .otherCount(started: processes, found: Int(count))
        }
    }

    private static func limit(
        _ variable: String, in environment: [String: String], standard: Double
    ) throws(ProcessError) -> ProcessError.TimeLimit {
        guard let text = environment[variable] else { return .init(seconds: standard, variable: variable) }
        guard let seconds = Double(text), seconds > 0, seconds.isFinite else {
            throw .badSetting(name: variable, found: text)
        }
        return .init(seconds: seconds, variable: variable)
    }

    /// Leaves the group; the last call of a process that is about to end.
    public func leave() { mpi_leave() }

    public func allGather(_ given: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) {
        precondition(all.count == count * given.count, "\(all.count) bytes for \(count) times \(given.count)")
        guard let from = given.baseAddress, let to = all.baseAddress else { return }
        call("gathering", sending: given.count * (count - 1)) {
            mpi_all_gather(from, to, Int64(given.count), $0)
        }
    }

    public func allToAll(_ given: UnsafeRawBufferPointer, into taken: UnsafeMutableRawBufferPointer) {
        precondition(given.count % count == 0 && taken.count == given.count, "\(given.count) bytes to \(taken.count)")
        guard let from = given.baseAddress, let to = taken.baseAddress else { return }
        call("exchanging", sending: given.count / count * (count - 1)) {
            mpi_all_to_all(from, to, Int64(given.count / count), $0)
        }
    }

    public func broadcast(_ data: UnsafeMutableRawBufferPointer, limit: WaitLimit) {
        guard let start = data.baseAddress else { return }
        call("broadcasting", sending: isFirst ? data.count : 0, limit: limit) {
            mpi_broadcast(start, Int64(data.count), $0)
        }
    }

    /// - Parameter body: Given the seconds that it may take, 0 for any.
    private func call(
        _ name: String, sending bytes: Int, limit: WaitLimit = .step, _ body: (_ seconds: Double) -> mpi_outcome
    ) {
        let allowed: ProcessError.TimeLimit? =
            switch limit {
            case .step: stepLimit
            case .pause: pauseLimit
            case .endless: nil
            }
        let outcome = body(allowed?.seconds ?? 0)
        sent.add(bytes, ordering: .relaxed)
        calls.add(1, ordering: .relaxed)
        guard outcome != mpi_done else { return }
        onFailure(
            .call(
                name: name, rank: rank, host: ProcessInfo.processInfo.hostName,
                exceeded: outcome == mpi_out_of_time ? allowed : nil))
        mpi_abort(1)
    }
}
