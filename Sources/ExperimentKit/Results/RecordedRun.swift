import Foundation

/// A run of an experiment as its folder tells it: what was run, its record and its log.
public struct RecordedRun<Work: Experiment>: Sendable {
    public let record: RunRecord
    /// The path of its folder; relative to the checkout for a committed one.
    public let path: String
    let configuration: Work.Configuration
    /// Every value of its configuration.
    let settings: ConfigurationNode
    let log: [StepRecord]

    /// Reads a run's folder, finished or not.
    ///
    /// - Throws: `RecordError`, for a folder without a whole run of this experiment too; `ConfigurationError`.
    init(_ folder: URL, path: String) throws {
        let files = RunFolder(url: folder)
        try files.requireRun(experiment: Work.program)
        self.path = path
        record = try RunRecord(contentsOf: files.record)
        settings = try ConfigurationFile(contentsOf: files.configuration).root
        configuration = try Work.Configuration(settings)
        // A process that still writes, or was killed, leaves a log that ends anywhere.
        log =
            record.status == .finished
            ? try StepLog.readWhole(
                files.log, interval: configuration.loop.logEvery, done: record.training.stepsDone,
                planned: record.training.stepsPlanned)
            : try StepLog.read(files.log)
    }

    /// Reads `runs/<configuration>/<seed>` of the experiment's folder.
    private init(committed folder: URL) throws {
        let name = RunFolder(url: folder).name
        try self.init(folder, path: "experiments/\(Work.program)/runs/\(name)")
        // A copy would count as another seed.
        let own = "\(record.configuration)/\(record.seed)"
        guard name == own else {
            throw RecordError.unreadable(
                path: folder.path, reason: "expected a run of \(name), found one of \(own): remove it")
        }
    }

    /// The committed runs of an experiment, in the order of the names.
    ///
    /// - Parameter damaged: Told of those whose files or folder cannot be read, which are left out.
    static func committed(in experiment: URL, damaged: (any Error) -> Void) -> [RecordedRun] {
        RunFolder.seeds(in: experiment.appendingPathComponent("runs"), damaged: damaged)
            .filter { RunFolder(url: $0).holdsRecord }
            .compactMap { folder in Files.unlessDamaged(damaged) { try RecordedRun(committed: folder) } }
    }

    /// All of them.
    ///
    /// - Throws: What is wrong with the first that cannot be read.
    static func committed(in experiment: URL) throws -> [RecordedRun] {
        var damages: [any Error] = []
        let runs = committed(in: experiment) { damages.append($0) }
        if let first = damages.first { throw first }
        return runs
    }

    /// The runs of this experiment in a folder: a run's own, OUT/CONFIG with a run for each seed, or OUT.
    ///
    /// - Parameter skipped: Told why one run among several is left out: it is damaged.
    /// - Throws: `RecordError` where there is none; what is wrong with the first where none can be read.
    public static func all(in folder: URL, skipped: (any Error) -> Void) throws -> [RecordedRun] {
        if RunFolder(url: folder).holdsRecord { return [try RecordedRun(folder, path: folder.path)] }
        var runs: [RecordedRun] = [], damages: [any Error] = [], others: [any Error] = []
        for url in RunFolder.runs(below: folder) {
            do {
                runs.append(try RecordedRun(url, path: url.path))
            } catch let error as RecordError where error.isOfOtherProgram {
                // A folder of runs may hold those of other programs.
                others.append(error)
            } catch {
                damages.append(error)
            }
        }
        guard !runs.isEmpty else { throw (damages + others).first ?? RecordError.noRun(path: folder.path) }
        damages.forEach(skipped)
        return runs
    }

    /// A link to the record, for a table.
    var link: String { "[seed \(record.seed)](\(path)/record.json)" }
}

/// The runs of one configuration on the same data, one a seed.
struct RunGroup<Work: Experiment> {
    let runs: [RecordedRun<Work>]
    var first: RecordedRun<Work> { runs[0] }
    var record: RunRecord { runs[0].record }
    var row: ReproducedRow? { first.configuration.reproduces }
    var isFinished: Bool { runs.allSatisfy { $0.record.status == .finished } }
    var links: String { runs.map(\.link).joined(separator: ", ") }

    /// In the order of the paper's rows, then of the names.
    static func groups(of runs: [RecordedRun<Work>]) -> [RunGroup] {
        inOrder(of: runs).sorted {
            ($0.row?.row ?? 0, $0.record.configuration) < ($1.row?.row ?? 0, $1.record.configuration)
        }
    }

    /// In the order of the first run of each.
    static func inOrder(of runs: [RecordedRun<Work>]) -> [RunGroup] {
        // A file may have been changed from one seed to the next.
        runs.inGroups {
            $0.record.group == $1.record.group
                && (try? Work.Configuration.agree($0.settings, $1.settings)) == true
        }.map { RunGroup(runs: $0) }
    }

    /// The effort spent on a seed: parameters times predictions learned from. Compares runs of one row only.
    var effort: Double {
        Double(record.parameterCount) * Double(record.training.stepsDone) * Double(first.configuration.unitsPerStep)
    }

    /// Mean and spread of a split's figure over the seeds; nil before any is finished.
    func statistics(_ split: KeyPath<RunRecord, SplitEvaluation?>) -> SeedStatistics? {
        SeedStatistics(runs.compactMap { $0.record.reported(split).flatMap(Work.metric.value) })
    }

    /// The same for a table.
    func text(_ split: KeyPath<RunRecord, SplitEvaluation?>) -> String {
        statistics(split)?.text(decimals: Work.metric.decimals) ?? "-"
    }

    /// The steps of each run, as `1,000`, or `6,000 to 8,000`.
    var steps: String {
        let steps = runs.map(\.record.training.stepsDone)
        guard let least = steps.min(), let most = steps.max() else { return "-" }
        return least == most ? grouped(least) : "\(grouped(least)) to \(grouped(most))"
    }
}

extension RunRecord {
    /// The properties common to runs that differ in their seeds alone.
    var group: String {
        // Runs of one name with other overrides are other experiments, and so are those that were changed under way.
        let overrides = differences.map { "\($0.key)=\($0.value)" } + (changes ?? [])
        return "\(configuration) \(data.name) \(overrides.joined(separator: " "))"
    }

    /// Whether a run may stand beside the paper's curve: the same model, data and batches; only the length, the rate
    /// and the way of reading splits may differ.
    func followsPaperSettings(of table: PaperTable) -> Bool {
        data.name == table.dataName && differences.allSatisfy { RunRecord.isLengthOrReading($0.key) }
    }

    /// A sentence about what differs, in Markdown.
    var differencesText: String {
        let changes = differences.bySection.map { $0.markdown(from: [$0.base]) }
        return "`\(configuration)` differs from the row's full settings in \(changes.joined(separator: ", "))."
    }

    /// A reported figure; nil before the run is finished, for that of validation is written before the test split is
    /// read.
    func reported(_ split: KeyPath<RunRecord, SplitEvaluation?>) -> SplitEvaluation? {
        status == .finished ? self[keyPath: split] : nil
    }

    /// The machines that worked on the run, each with its threads in words and the steps that it did, in the order of
    /// the sittings.
    var machines: [(cpu: String, threads: String, steps: Int)] {
        var machines: [(cpu: String, threads: String, steps: Int)] = []
        func add(_ cpu: String, _ threads: Int, processes: Int, steps: Int) {
            let threads = threadsText(threads, processes: processes)
            if let known = machines.firstIndex(where: { $0.cpu == cpu && $0.threads == threads }) {
                machines[known].steps += steps
            } else {
                machines.append((cpu, threads, steps))
            }
        }
        let sittings = sittings ?? [], ends = sittings.dropFirst().map(\.fromStep) + [training.stepsDone]
        // Steps from before sittings were written down.
        if let first = environments.first {
            add(first.cpu, first.threads, processes: 1, steps: sittings.first?.fromStep ?? training.stepsDone)
        }
        for (sitting, end) in zip(sittings, ends) {
            add(sitting.cpu, sitting.threads, processes: sitting.processes, steps: max(0, end - sitting.fromStep))
        }
        let working = machines.filter { $0.steps > 0 }
        return working.isEmpty ? Array(machines.prefix(1)) : working
    }

    /// `1 thread`, `4 processes × 2 threads`; `mostly 1 thread` where others took part.
    var threadsInWords: String? { mostly { $0.threads } }

    /// `1 thread, AMD EPYC`; `mostly 1 thread, AMD EPYC` where others took part.
    var machineInWords: String? { mostly { "\($0.threads), \(processorText($0.cpu))" } }

    /// A property of the machine that did most steps, with a word where not all have it.
    private func mostly(_ property: ((cpu: String, threads: String, steps: Int)) -> String) -> String? {
        let machines = machines
        return machines.max { $0.steps < $1.steps }.map {
            (Set(machines.map(property)).count > 1 ? "mostly " : "") + property($0)
        }
    }

    /// The columns of `provenance`.
    static let provenanceColumns = ["commit", "machine", "libraries", "seconds a step", "time in all", "data"]

    /// The origin of the run as cells of a table in Markdown: all commits, machines and libraries that worked on it,
    /// each once, in the order of the sittings, machines with the steps that they did.
    var provenance: [String] {
        func list(_ texts: [String]) -> String {
            texts.isEmpty ? "-" : texts.uniqued().joined(separator: ", then ")
        }
        return [
            list(
                ([code] + (sittings ?? []).map(\.code)).map {
                    "`\($0.commit.prefix(10))`\($0.treeDirty == true ? " with uncommitted changes" : "")"
                }),
            list(
                machines.map { machine in
                    "\(machine.cpu), \(machine.threads)"
                        + (machines.count > 1 ? " (\(grouped(machine.steps)) steps)" : "")
                }),
            list(environments.map { "\($0.blas); \($0.simd); \($0.swift)" }),
            training.secondsPerStep.map { fixed($0, 3) } ?? "-", durationText(seconds: training.wallSeconds),
            data.official || data.isSample ? data.displayName : "\(data.displayName) (not the official file)",
        ]
    }
}

extension ConfigurationFile.Difference {
    /// The change from one or several bases in Markdown. The stages of a rate would fill a line, and are not listed.
    func markdown(from bases: [String]) -> String {
        let distinct = bases.map { $0.hasPrefix("[{") ? "stages" : $0 }.uniqued()
        return "`\(key)` \(distinct.joined(separator: " or ")) → \(value)"
    }
}

/// - Parameter count: Threads of each process.
private func threadsText(_ count: Int, processes: Int) -> String {
    (processes > 1 ? "\(processes) processes × " : "") + "\(count) \(count == 1 ? "thread" : "threads")"
}
