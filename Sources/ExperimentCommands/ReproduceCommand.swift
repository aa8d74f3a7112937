import ArgumentParser
import Datasets
import ExperimentKit
import Foundation

/// The way in which the runs of `reproduce` are computed.
enum Launcher: String, CaseIterable, ExpressibleByArgument {
    /// Processes of this machine.
    case local
    /// A job array on a cluster.
    case slurm
}

/// `reproduce`: every run of a budget, to its end.
public struct Reproduce<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "reproduce",
            abstract: "Bring every run of a budget to its end and print a table beside the paper's numbers.",
            discussion: """
                --profile quick   minutes: reduced models; compares them with each other
                --profile paper   hours to days a row: full settings (`list` shows all budgets)

                With ROW only those rows are run: names of configurations from `list`, or of the paper's own configuration \
                of the row. Finished runs in OUT are kept, unfinished ones are resumed, and a run that fails does not stop \
                the others, so the same line can be given again after any interruption.

                Each run is a process of its own; with --jobs N, N run at a time, one thread each, each on its own core. \
                With --launcher slurm each is a task of a job array on a cluster, submitted by this call, which does not wait \
                for it: docs/cluster.md.

                Without the data, and with the default data folder, `--profile quick` trains on the small generated sample \
                instead and says so: those are no numbers of the paper's.
                """)
    }

    @Argument(help: "Rows to run. Default: all of the budget.", completion: .configurations(of: Work.self))
    var row: [String] = []
    @Option(name: .customLong(Work.datasetGroupOption), help: ArgumentHelp(Work.datasetGroupHelp))
    var group: String?
    @Option(help: "The budget: quick, paper or another one that `list` shows.")
    var profile = "quick"
    @Option(help: "Seeds, such as 0,1. Default: those of each configuration.")
    var seeds: String?
    @Option(
        parsing: .unconditional,
        help: """
            Runs at a time, one thread each on its own core. Default: one run with all threads. On a cluster: runs at a \
            time, as many as it takes by default.
            """)
    var jobs: Int?
    @Option(help: "local: processes of this machine; slurm: a job array on a cluster.")
    var launcher = Launcher.local
    @OptionGroup(title: "Slurm options")
    var slurm: SlurmOptions
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var out: OutOptions
    @OptionGroup var project: ProjectOption

    public init() {}

    public func validate() throws {
        try require("--jobs", jobs, in: 1...)
        if launcher == .local, !slurm.arguments.isEmpty {
            throw ValidationError("\(slurm.arguments.joined(separator: " ")) is for --launcher slurm")
        }
        if launcher == .local, jobs != nil, threads.threads != nil {
            throw ValidationError("--jobs gives each run one thread; --threads cannot be given with it")
        }
        if launcher == .slurm, threads.threads != nil {
            throw ValidationError("--threads is for runs on this machine; with --launcher slurm give --cores")
        }
        if let group, !Work.datasetGroups.contains(where: { $0.name == group }) {
            throw ValidationError(
                "--\(Work.datasetGroupOption) expects one of"
                    + " \(Work.datasetGroups.map(\.name).joined(separator: ", ")), found '\(group)'")
        }
        _ = try chosenSeeds()
    }

    public func run() throws {
        let (configurations, sample) = try chosen()
        let planned = try runs(of: configurations), queue = planned.map(\.run)
        guard let executable = Bundle.main.executableURL else {
            throw UserError(description: "\(Work.program): its own file is not known, so it cannot start runs")
        }
        var failed: [QueuedRun] = [], busy: [QueuedRun] = []
        switch launcher {
        case .local:
            catchSignals()
            let local = RunQueue(
                executable: executable, runs: queue, jobs: jobs,
                arguments: ["--or-resume", "--out", out.url.path] + trainArguments, interruption: interruption)
            failed = local.run()
            busy = local.busy
        case .slurm: try submit(planned, executable: executable)
        }

        let done = planned.compactMap { run, configuration -> (Work.Configuration, RunRecord)? in
            guard let record = try? RunRecord(contentsOf: RunFolder(url: run.folder).record),
                isOfThisFile(run, configuration)
            else { return nil }
            return (configuration.values, record)
        }
        if launcher == .local || !done.isEmpty { try writeResult(runTable(done, of: Work.self)) }
        if let sample { try writeResult(sampleWarning(sample)) }
        let failure = "\(failed.count) of \(queue.count) runs failed: " + failed.map(\.label).joined(separator: ", ")
        if let signal = interruption.signal {
            if !failed.isEmpty { note(failure) }
            note("stopped\(failed.isEmpty ? " with checkpoints" : ""); the same command goes on")
            throw ExitCode(128 + signal)
        }
        guard failed.isEmpty else { throw UserError(description: failure) }
        guard busy.isEmpty else {
            note(
                "other processes work on \(busy.count) of \(queue.count) runs; the same command goes on with what they leave"
            )
            throw busyStatus
        }
    }

    private typealias PlannedRun = (run: QueuedRun, configuration: NamedConfiguration<Work.Configuration>)

    /// Whether a run's folder holds it, and not a run of another version of the file.
    private func isOfThisFile(_ run: QueuedRun, _ configuration: NamedConfiguration<Work.Configuration>) -> Bool {
        (try? Runs<Work>.require(configuration, seed: run.seed, in: run.folder)) != nil
    }

    /// One for each configuration and seed, once even if a row or a seed is named twice.
    private func runs(of configurations: [NamedConfiguration<Work.Configuration>]) throws -> [PlannedRun] {
        let seeds = try chosenSeeds()
        let hours = RunHours<Work>(experiment: try experimentFolder(Work.program)) { note("left out: \($0)") }
        return configurations.flatMap { configuration -> [PlannedRun] in
            let seconds = hours.seconds(configuration)?.seconds
            return (seeds ?? configuration.values.seeds).map { seed in
                let run = QueuedRun(
                    configuration: configuration.name, seed: seed, steps: configuration.values.loop.steps,
                    folder: RunFolder.url(of: configuration.name, seed: seed, in: out.url),
                    expectedSeconds: seconds)
                return (run, configuration)
            }
        }.uniqued { $0.run.folder }
    }

    /// Submits the runs that are neither finished nor queued to Slurm, and says how to watch them.
    private func submit(_ planned: [PlannedRun], executable: URL) throws {
        let template = try projectFolder().arrayTemplate
        let arrays = SlurmArrays(program: Work.program, out: out.url)
        // A finished run of another version of the file is not this one; its task says what to do.
        let unfinished = planned.filter { !$0.run.isFinished || !isOfThisFile($0.run, $0.configuration) }.map(\.run)
        let queued = try arrays.queued(among: unfinished)
        let new = unfinished.filter { run in !queued.contains { $0.folder == run.folder } }
        let others = "\(planned.count - unfinished.count) finished, \(queued.count) queued or running already"
        guard !new.isEmpty else { return note("nothing to submit: of \(planned.count) runs \(others)") }
        for run in new {
            if let message = run.lastMessage() { note("\(run.label): not finished; it said last: \(message)") }
        }
        let number = try arrays.submit(
            new, budget: profile, limit: jobs, slurm: slurm, template: template, executable: executable,
            options: trainArguments)
        note(
            """
            submitted \(new.count) of \(planned.count) runs as job array \(number); \(others)
              queue     squeue --jobs=\(number)
              messages  \(shellCommand("tail", "-f", new[0].log.path, called: nil))
              figures   \(shellCommand(Work.program, "compare", out.url.path))
              end       scancel \(number)
            The same command submits what has ended unfinished, and prints the table.
            """)
    }

    /// The arguments of every run's process besides its configuration, its seed and its folder.
    private var trainArguments: [String] {
        let oneThread = launcher == .local && jobs != nil ? ["--threads", "1"] : []
        return data.arguments + threads.arguments + oneThread + project.arguments
    }

    private func chosenSeeds() throws -> [Int]? {
        try seeds.map { text in
            try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
                guard let seed = Int(part), 0...StableJSON.greatestInteger ~= seed else {
                    throw ValidationError(
                        "--seeds expects whole numbers with commas, each from 0 to"
                            + " \(grouped(StableJSON.greatestInteger)), found '\(text)'")
                }
                return seed
            }
        }
    }

    // MARK: - Choosing

    /// The runs to make; `sample` is the group whose missing data a sample stands in for.
    private func chosen() throws -> (
        configurations: [NamedConfiguration<Work.Configuration>], sample: DatasetGroup?
    ) {
        let all = try NamedConfiguration<Work.Configuration>.all(in: try configurationFolder(of: Work.self))
        guard let group = Work.datasetGroups.first(where: { $0.name == group }) ?? Work.datasetGroups.first else {
            return ([], nil)
        }
        let isNamed = !row.isEmpty && self.group == nil
        if !isNamed { try requireRows(of: group, among: all) }
        var wanted = all.filter { isNamed || group.dataNames.contains($0.values.dataName) }
        // The sample has one budget, whatever the profile is called.
        if group.dataNames == group.sampleDataNames, !isNamed { return (try select(wanted, among: all), nil) }
        let budgets = Set(wanted.map(\.values.budget)).sorted()
        guard budgets.contains(profile) else {
            throw UserError(
                description: "--profile expects a budget of \(isNamed ? Work.program : group.title)"
                    + " (\(budgets.joined(separator: ", "))), found '\(profile)'")
        }
        wanted = try select(wanted.filter { $0.values.budget == profile }, among: all)
        guard let first = wanted.first else { return ([], nil) }
        do {
            _ = try data.open(first.values, of: Work.self)
        } catch let error as DatasetError {
            // Only where nobody named a folder: whoever did wants to know that the data is not in it.
            guard error.isMissing, data.folder.origin == .standard, profile == "quick" else { throw error }
            // Rows that are named may be of another data set than the group's.
            let missing = Work.datasetGroups.first { $0.dataNames.contains(first.values.dataName) } ?? group
            note("\(error)")
            note(sampleWarning(missing))
            return (all.filter { missing.sampleDataNames.contains($0.values.dataName) }, missing)
        }
        return (wanted, nil)
    }

    /// Checks that the named rows are of the group's data.
    ///
    /// - Throws: `UserError`.
    private func requireRows(of group: DatasetGroup, among all: [NamedConfiguration<Work.Configuration>]) throws {
        for name in row {
            guard let data = all.first(where: { $0.name == name })?.values.dataName, !group.dataNames.contains(data)
            else { continue }
            let title = Work.datasetGroups.first { $0.dataNames.contains(data) }?.title ?? data
            throw UserError(
                description: "'\(name)' is of \(title), not of \(group.title): leave out --\(Work.datasetGroupOption)")
        }
    }

    /// The configurations of a budget whose own name, or whose row's own configuration, was given.
    private func select(
        _ configurations: [NamedConfiguration<Work.Configuration>],
        among all: [NamedConfiguration<Work.Configuration>]
    ) throws -> [NamedConfiguration<Work.Configuration>] {
        guard !row.isEmpty else { return configurations }
        var selected: [NamedConfiguration<Work.Configuration>] = []
        for name in row {
            // A row is called by its own configuration; the name of another one means that one alone.
            let named = all.first { $0.name == name }
            let paper = named?.values.budget == "paper" ? named?.values.reproduces : nil
            func isMeant(_ configuration: NamedConfiguration<Work.Configuration>) -> Bool {
                guard let paper, let row = configuration.values.reproduces else { return configuration.name == name }
                return row.isSameRow(as: paper) || configuration.name == name
            }
            let found = configurations.filter(isMeant)
            // A name that is itself of the budget means that one file, not all of its row.
            let exact = found.filter { $0.name == name }
            guard !found.isEmpty else {
                let budget = configurations.first?.values.budget ?? profile
                let others = Set(all.filter(isMeant).map(\.values.budget)).sorted()
                throw UserError(
                    description: "no row '\(name)' with the budget '\(budget)'"
                        + (others.isEmpty
                            ? ", which has \(configurations.map(\.name).joined(separator: ", "))"
                            : ": add " + others.map { "--profile '\($0)'" }.joined(separator: " or ")))
            }
            selected += exact.isEmpty ? found : exact
        }
        return selected
    }

    private func sampleWarning(_ group: DatasetGroup) -> String {
        """

        ================================================================================
          These are NOT \(group.title) numbers.
          \(group.title) was not found, so small models are trained on the
          small generated sample that is part of the repository. Compare them with
          each other, with nothing in the paper.
          For the real thing call `make data`, or set HYPERNETWORKS_DATA, and then
          this again.
        ================================================================================

        """
    }
}

extension Experiment {
    static var datasetGroupHelp: String {
        "One of " + datasetGroups.map { "\($0.name) (\($0.title))" }.joined(separator: ", ") + ". Default:"
            + " \(datasetGroups.first?.name ?? "-")."
    }
}
