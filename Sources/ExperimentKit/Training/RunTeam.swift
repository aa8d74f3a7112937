import Compute
import Foundation
import NeuralNetwork
import Processes

/// Why the processes of a run, or the shards of its batch, do not fit together.
public enum ShardError: Error, Equatable, CustomStringConvertible {
    case shards(Int, processes: Int)
    case process(rank: Int, host: String, reason: String)
    case different(what: String, rank: Int, host: String, expected: String, found: String, advice: String)

    public var description: String {
        switch self {
        case .shards(let shards, let processes):
            let fitting = (1...shards).filter { shards % $0 == 0 }.map(String.init).joined(separator: ", ")
            let more =
                processes > shards
                ? "; for more begin another run, with --set training.shards=\(processes.roundedUpToPowerOfTwo)" : ""
            return "training.shards is \(shards): expected \(fitting) \(shards == 1 ? "process" : "processes") to share"
                + " the batch, found \(processes)\(more)"
        case .process(let rank, let host, let reason):
            return "process \(rank) on \(host): \(reason)"
        case .different(let what, let rank, let host, let expected, let found, let advice):
            return "process \(rank) on \(host) has another \(what) than the first: expected \(expected),"
                + " found \(found); \(advice)"
        }
    }
}

extension Int {
    fileprivate var roundedUpToPowerOfTwo: Int {
        var power = 1
        while power < self { power *= 2 }
        return power
    }
}

/// A process's message to all others before they begin.
struct ProcessReport: Codable {
    let host: String
    /// Why it cannot take part; nil where it can.
    let failure: String?
    let simd: String
    /// Library and kernels.
    let blas: String
    /// SHA-256 of the program's own file.
    let program: String
    /// Checksums of the data.
    let data: String

    /// This process's.
    static func own(failure: String?, data: String) -> ProcessReport {
        ProcessReport(
            host: ProcessInfo.processInfo.hostName, failure: failure, simd: ComputeEnvironment.simdName,
            blas: "\(Blas.shared.library), kernels \(Blas.shared.coreName)",
            program: Software.programSHA256 ?? "unknown", data: data)
    }

    /// Checks that all processes have the same kernels, BLAS, program and data as the first.
    ///
    /// - Throws: `ShardError` naming the first process that cannot take part or is different, and what to do.
    static func requireAlike(_ reports: [ProcessReport]) throws(ShardError) {
        for (rank, report) in reports.enumerated() {
            if let failure = report.failure {
                throw .process(rank: rank, host: report.host, reason: failure)
            }
            let parts: [(what: String, key: KeyPath<ProcessReport, String>, advice: String)] = [
                // Every process updates its own copy of the parameters, and they must stay the same.
                (
                    "instruction set", \.simd,
                    "give all of them one that each has, by \(Kernels.variable)=avx2 for example"
                ),
                // A shard's gradient must not depend on the process that computes it.
                (
                    "BLAS", \.blas,
                    "give all of them one library, by HYPERNETWORKS_BLAS, and its kernels, by OPENBLAS_CORETYPE=Haswell"
                        + " for example"
                ),
                ("build of the program", \.program, "start the same file on every host"),
                ("data set", \.data, "give every host the same files, by HYPERNETWORKS_DATA for example"),
            ]
            for (what, key, advice) in parts where reports[0][keyPath: key] != report[keyPath: key] {
                throw .different(
                    what: what, rank: rank, host: report.host, expected: reports[0][keyPath: key],
                    found: report[keyPath: key], advice: advice)
            }
        }
    }
}

/// Brings the processes of a run together before its first step.
struct RunTeam<Work: Experiment> {
    /// The first process's message to the others, which begins a run.
    private struct Job: Codable {
        let name: String
        let configurationYAML: String
        let seed: UInt64
    }

    private let processes: any ProcessGroup

    init(_ processes: any ProcessGroup) { self.processes = processes }

    /// Refuses a run that its data, this machine's memory or the number of processes do not allow, before anything is
    /// written.
    ///
    /// - Throws: `ShardError.shards`; what `Experiment.check` throws; `MemoryError`.
    static func requireFeasible(_ configuration: Work.Configuration, _ data: Work.Data, processes: Int) throws {
        let shards = configuration.loop.shards
        guard shards % processes == 0 else { throw ShardError.shards(shards, processes: processes) }
        try Work.requireFeasible(configuration, data, shards: shards / processes)
    }

    /// In the first process: calls the others to a run, and gives its updates.
    ///
    /// - Throws: `ShardError`; `MemoryError`; `ComputeError.threadsNotStarted`; what the experiment throws.
    func lead(
        configurationYAML: String, name: String, configuration: Work.Configuration, data: Work.Data, seed: UInt64,
        progress: any ProgressReporter, interruption: Interruption
    ) throws -> TrainingStep<Work> {
        try Self.requireFeasible(configuration, data, processes: processes.count)
        if processes.count > 1 {
            let job = Job(name: name, configurationYAML: configurationYAML, seed: seed)
            _ = processes.broadcast(try StableJSON.encode(job), limit: .endless)
        }
        return try assemble(configuration, seed: seed, progress, interruption) { data }
    }

    /// In the other processes: takes part in the runs of the first until it calls no more.
    ///
    /// - Parameter open: Opens the data of a configuration.
    func follow(open: (Work.Configuration) throws -> Work.Data) throws {
        while true {
            let message = processes.broadcast([], limit: .endless)
            if message.isEmpty { return }
            let job: Job, configuration: Work.Configuration
            do {
                job = try StableJSON.decode(Job.self, from: message)
                configuration = try Work.Configuration(
                    try ConfigurationNode(yaml: job.configurationYAML, path: "\(job.name).yaml"))
            } catch {
                // Another build, to which the first process's message says nothing. The first waits for a report.
                try? compareReports(failure: "\(error)", data: "")
                continue
            }
            // A failure here or in a step also occurs in the first process, which reports it.
            let step = try? assemble(configuration, seed: job.seed, SilentProgress(), Interruption()) {
                try open(configuration)
            }
            try? step?.follow()
        }
    }

    /// The updates by the tasks of this process, once all processes are known to have fitting ones.
    private func assemble(
        _ configuration: Work.Configuration, seed: UInt64, _ progress: any ProgressReporter,
        _ interruption: Interruption, data open: () throws -> Work.Data
    ) throws -> TrainingStep<Work> {
        let shards = configuration.loop.shards, own = shards / processes.count
        var content = ""
        let step = Result {
            let data = try open()
            try Self.requireFeasible(configuration, data, processes: processes.count)
            if processes.count > 1 {
                let description = Work.describe(data, configuration)
                content = description.contentSHA256 ?? description.files.map(\.sha256).joined(separator: " ")
            }
            let tasks = try (0..<own).map { member in
                try Work(
                    configuration: configuration, data: data, seed: seed,
                    shard: BatchShard(index: processes.rank * own + member, count: shards), progress: progress,
                    interruption: interruption)
            }
            return try TrainingStep(
                tasks: tasks, optimizer: tasks[0].optimizer, settings: configuration.loop, processes: processes)
        }
        if processes.count > 1 {
            var failure: String?
            if case .failure(let error) = step { failure = "\(error)" }
            try compareReports(failure: failure, data: content)
        }
        return try step.get()
    }

    /// Tells all processes of this one, and hears of them.
    ///
    /// - Parameters:
    ///   - failure: Why it cannot take part; nil where it can.
    ///   - data: Checksums of the data.
    /// - Throws: `ShardError` where one cannot take part or is different, in all processes.
    private func compareReports(failure: String?, data: String) throws {
        let report = ProcessReport.own(failure: failure, data: data)
        let reports = try processes.allGather(try StableJSON.encode(report)).map {
            try StableJSON.decode(ProcessReport.self, from: $0)
        }
        try ProcessReport.requireAlike(reports)
    }
}
