import ArgumentParser
import ExperimentKit
import Foundation

/// Options for Slurm; those not given keep their values in `cluster/array.slurm`.
struct SlurmOptions: ParsableArguments {
    @Option(help: "The partition to queue in.")
    var partition: String?
    @Option(help: "The time limit, as Slurm writes it: 12:00:00 or 2-00:00:00. A run that needs more is queued again.")
    var time: String?
    @Option(parsing: .unconditional, help: "Cores for each run, with one thread each.")
    var cores: Int?
    @Option(help: "Memory for each run, such as 4G.")
    var memory: String?
    @Option(help: "The account that is charged.")
    var account: String?
    @Option(
        name: .customLong("sbatch"), parsing: .unconditionalSingleValue,
        help: "Any other option of sbatch, such as --sbatch --qos=long; may be repeated.")
    var further: [String] = []

    /// For `sbatch`.
    var arguments: [String] {
        let named = [
            "partition": partition, "time": time, "cpus-per-task": cores.map(String.init), "mem": memory,
            "account": account,
        ]
        return named.compactMap { name, value in value.map { "--\(name)=\($0)" } }.sorted() + further
    }

    func validate() throws { try require("--cores", cores, in: 1...) }
}

/// Job arrays on a Slurm cluster: a task for each run, by the committed `cluster/array.slurm`.
///
/// The folder `OUT/slurm` has a list for each array that was submitted from OUT, under the job's name, with a line
/// `CONFIGURATION SEED` for each task. The list and `squeue` tell which runs are queued already.
struct SlurmArrays {
    let program: String
    let out: URL

    private var folder: URL { out.appendingPathComponent("slurm", isDirectory: true) }
    private func list(_ name: String) -> URL { folder.appendingPathComponent("\(name).runs") }

    /// A run's line in a list.
    private static func line(_ run: QueuedRun) -> String { "\(run.configuration) \(run.seed)" }

    // MARK: - What is queued

    /// Those of the runs that an array submitted before has queued or is running.
    ///
    /// - Throws: `UserError` if Slurm does not answer; `RecordError.unreadable` for a list that cannot be read: its
    ///   runs would be submitted again.
    func queued(among runs: [QueuedRun]) throws -> [QueuedRun] {
        let lines = Set(runs.map(Self.line))
        var lists: [String: [String]] = [:]
        for name in try Files.names(in: folder) where name.hasPrefix("\(program)-") && name.hasSuffix(".runs") {
            let job = String(name.dropLast(".runs".count))
            let text = String(decoding: try Files.bytes(of: list(job)), as: UTF8.self)
            let tasks = text.split(separator: "\n").map(String.init)
            if !lines.isDisjoint(with: tasks) { lists[job] = tasks }
        }
        guard !lists.isEmpty else { return [] }
        // A line for each task: the job's name and the task's number.
        let queue = try Self.slurm([
            "squeue", "--noheader", "--array", "--format=%j %K", "--name=\(lists.keys.sorted().joined(separator: ","))",
        ])
        let found = queue.split(separator: "\n").compactMap { task -> String? in
            let words = task.split(separator: " ")
            guard words.count == 2, let tasks = lists[String(words[0])], let number = Int(words[1]),
                tasks.indices.contains(number)
            else { return nil }
            return tasks[number]
        }
        return runs.filter { found.contains(Self.line($0)) }
    }

    // MARK: - Submitting

    /// The arguments of `sbatch` for a job of a name.
    ///
    /// - Parameters:
    ///   - count: The tasks.
    ///   - limit: How many of them may run at a time; nil for as many as the cluster takes.
    ///   - executable: The program whose `train` every task calls.
    ///   - options: Further arguments of `train`.
    func arguments(
        name: String, count: Int, limit: Int?, slurm: SlurmOptions, template: URL, executable: URL, options: [String]
    ) -> [String] {
        // Slurm replaces what follows a percent sign in the name of a file.
        let messages = folder.appendingPathComponent(name).path.replacingOccurrences(of: "%", with: "%%") + "-%a.out"
        return [
            "--parsable", "--job-name=\(name)", "--array=0-\(count - 1)" + (limit.map { "%\($0)" } ?? ""),
            "--output=\(messages)",
        ] + slurm.arguments + [template.path, list(name).path, out.path, executable.path] + options
    }

    /// A job's name, without blanks: they separate the words of `squeue`.
    func newName(budget: String) -> String {
        let time = Date().ISO8601Format().filter { $0.isNumber || $0 == "T" }
        return "\(program)-\(budget.replacingOccurrences(of: " ", with: "-"))-\(time)-\(getpid())"
    }

    /// Submits an array.
    ///
    /// - Parameter budget: Part of the job's name, for people who read the queue.
    /// - Returns: Its number.
    /// - Throws: `RecordError` or `UserError` if the list cannot be written; `UserError` if Slurm refuses.
    func submit(
        _ runs: [QueuedRun], budget: String, limit: Int?, slurm: SlurmOptions, template: URL, executable: URL,
        options: [String]
    ) throws -> String {
        let name = newName(budget: budget)
        try Files.makeFolder(folder)
        do {
            // Before the job: a task may begin at once.
            try Data((runs.map(Self.line).joined(separator: "\n") + "\n").utf8).write(
                to: list(name), options: .withoutOverwriting)
        } catch {
            throw UserError(description: "\(list(name).path): cannot be written: \(error.localizedDescription)")
        }
        do {
            let answer = try Self.slurm(
                ["sbatch"]
                    + arguments(
                        name: name, count: runs.count, limit: limit, slurm: slurm, template: template,
                        executable: executable, options: options))
            // NUMBER, or NUMBER;CLUSTER.
            return String(answer.split(separator: "\n").last?.prefix { $0.isNumber } ?? "")
        } catch {
            // A call that timed out may have submitted the job all the same, which needs its list.
            if !"\(error)".contains("timed out") { try? FileManager.default.removeItem(at: list(name)) }
            throw error
        }
    }

    /// Runs a command of Slurm.
    ///
    /// - Returns: Its output.
    private static func slurm(_ arguments: [String]) throws -> String {
        guard let command = SystemCommand(arguments) else {
            throw UserError(
                description:
                    "\(arguments[0]): not found on this machine: call this on a login node of a Slurm cluster (its"
                    + " documentation may ask for `module load slurm`), or use --jobs N to have N runs at a time here")
        }
        guard command.status == 0 else {
            throw UserError(
                description: "\(arguments[0]) failed with status \(command.status): "
                    + command.errors.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        return command.output
    }
}
