import Compute
import Foundation
import NeuralNetwork
import Processes

/// Why the processes of a run, or the shards of its batch, do not fit together.
public enum ShardError: Error, Equatable, CustomStringConvertible {
    case shards(Int, processes: Int)
    case process(rank: Int, host: String, reason: String)
    case different(what: String, rank: Int, host: String, expected: String, found: String)

    public var description: String {
        switch self {
        case .shards(let shards, let processes):
            let why = processes & (processes - 1) == 0 ? "" : "; start 2, 4, 8, … processes"
            return
                "training.shards is \(shards), but \(processes) processes were started: each computes at least one shard"
                + " of the batch. Begin the run with --set training.shards=\(max(2, processes.roundedUpToPowerOfTwo)) or a"
                + " multiple\(why)"
        case .process(let rank, let host, let reason):
            return "process \(rank) on \(host): \(reason)"
        case .different(let what, let rank, let host, let expected, let found):
            return "process \(rank) on \(host) has another \(what) than the first: expected \(expected), found \(found)"
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

/// Brings the processes of a run together before its first step.
struct RunTeam<Work: Experiment> {
    /// The first process's message to the others, which begins a run.
    private struct Job: Codable {
        let name: String
        let configurationYAML: String
        let seed: UInt64
    }

    /// A process's message to all others before they begin.
    private struct Report: Codable {
        let host: String
        let failure: String?
        let simd: String
        let data: String
    }

    private let processes: any ProcessGroup

    init(_ processes: any ProcessGroup) { self.processes = processes }

    /// In the first process: calls the others to a run, and gives its updates.
    ///
    /// - Throws: `ShardError`; what the experiment throws.
    func lead(
        configurationYAML: String, name: String, configuration: Work.Configuration, data: Work.Data, seed: UInt64,
        progress: any ProgressReporter, interruption: Interruption
    ) throws -> TrainingStep<Work> {
        let shards = configuration.loop.shards
        guard shards % processes.count == 0 else { throw ShardError.shards(shards, processes: processes.count) }
        if processes.count > 1 {
            let job = Job(name: name, configurationYAML: configurationYAML, seed: seed)
            _ = processes.broadcast(try StableJSON.encode(job), isUnbounded: true)
        }
        return try assemble(configuration, seed: seed, progress, interruption) { data }
    }

    /// In the other processes: takes part in the runs of the first until it calls no more.
    ///
    /// - Parameter open: Opens the data of a configuration.
    func follow(open: (Work.Configuration) throws -> Work.Data) throws {
        while true {
            let message = processes.broadcast([], isUnbounded: true)
            if message.isEmpty { return }
            let job = try StableJSON.decode(Job.self, from: message)
            let configuration = try Work.Configuration(
                try ConfigurationNode(yaml: job.configurationYAML, path: "\(job.name).yaml"))
            // A failure here or in a step also occurs in the first process, which reports it.
            let step = try? assemble(configuration, seed: job.seed, SilentProgress(), Interruption()) {
                try open(configuration)
            }
            try? step?.follow()
        }
    }

    /// The tasks of this process, once all processes are known to have fitting ones.
    private func assemble(
        _ configuration: Work.Configuration, seed: UInt64, _ progress: any ProgressReporter,
        _ interruption: Interruption, data open: () throws -> Work.Data
    ) throws -> TrainingStep<Work> {
        let shards = configuration.loop.shards, own = shards / processes.count
        var content = ""
        let tasks = Result {
            let data = try open()
            try Work.requireFeasible(configuration, data, shards: own)
            if processes.count > 1 {
                let description = Work.describe(data, configuration)
                content = description.contentSHA256 ?? description.files.map(\.sha256).joined(separator: " ")
            }
            return try (0..<own).map { member in
                try Work(
                    configuration: configuration, data: data, seed: seed,
                    shard: BatchShard(index: processes.rank * own + member, count: shards), progress: progress,
                    interruption: interruption)
            }
        }
        if processes.count > 1 {
            var failure: String?
            if case .failure(let error) = tasks { failure = "\(error)" }
            let report = Report(
                host: ProcessInfo.processInfo.hostName, failure: failure, simd: ComputeEnvironment.simdName,
                data: content)
            let reports = try processes.allGather(try StableJSON.encode(report)).map {
                try StableJSON.decode(Report.self, from: $0)
            }
            try check(reports)
        }
        let all = try tasks.get()
        return TrainingStep(
            tasks: all, optimizer: all[0].optimizer, settings: configuration.loop, processes: processes)
    }

    private func check(_ reports: [Report]) throws {
        for (rank, report) in reports.enumerated() {
            if let failure = report.failure {
                throw ShardError.process(rank: rank, host: report.host, reason: failure)
            }
            for (what, expected, found) in [
                // Every process updates its own copy of the parameters, and they must stay the same.
                ("instruction set", reports[0].simd, report.simd), ("data set", reports[0].data, report.data),
            ] where expected != found {
                throw ShardError.different(
                    what: what, rank: rank, host: report.host, expected: expected, found: found)
            }
        }
    }
}
