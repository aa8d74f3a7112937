import Compute
import Foundation
import HyperNetworks

/// The section of RESULTS.md about images, made from the committed configurations and records.
public struct ImageResults: ResultsSection {
    typealias Run = CommittedRun<ImageWork>
    typealias Group = RunGroup<ImageWork>

    private let configurations: [(file: ConfigurationFile, decoded: ImageConfiguration)]
    private let runs: [Run]
    public let experiment = ImageWork.experiment

    /// Reads `configs/*.yaml` and `runs/*/*/` of an experiment's folder.
    ///
    /// - Throws: `ConfigurationError`, `RecordError`.
    public init(experiment: URL) throws {
        configurations = try ConfigurationFile.all(in: experiment.appendingPathComponent("configs")).map {
            let file = try ConfigurationFile(contentsOf: $0)
            return (file, try ImageConfiguration(file.root))
        }
        runs = try Run.all(in: experiment)
    }

    /// The curves of each budget of Table 2; the paper draws none to stand beside them.
    public var figures: [CurveFigure] {
        let groups = Group.groups(of: runs.filter { $0.configuration.reproduces?.table == .table2 })
        var budgets: [String] = []
        for group in groups where !budgets.contains(group.record.budget) { budgets.append(group.record.budget) }
        return budgets.flatMap { budget in
            CurveFigure.ofRuns(
                groups.filter { $0.record.budget == budget }.flatMap(\.runs).map { run in
                    NamedLog(name: "\(run.record.configuration), seed \(run.record.seed)", log: run.log)
                },
                budget: budget, folder: "experiments/\(experiment)/figures",
                name: "cifar-\(budget.replacingOccurrences(of: " ", with: "-"))", title: "CIFAR-10, \(budget)",
                metric: "error, percent", value: { $0.errorPercent },
                loss: ("cross entropy and L2 penalty, nats", 1))
        }
    }

    public var section: String {
        var parts = [
            """
            ## Images: static hypernetworks (sections 4.1 and 4.2, appendix A.1)

            Test error in percent, less is better. Each configuration bears the name of its row; `static-hypernet list` shows them
            all. A row counts as reproduced when the mean test error over its seeds lies within the tolerance that its
            configuration states. A reduced budget gets no verdict against the paper's number: it stands beside the ordinary
            network of the same budget. Validation chooses the checkpoint; the test split is read once, after that.
            """
        ]
        parts.append(table(.table2, title: "Table 2: CIFAR-10"))
        parts.append(initialValues)
        parts.append(table(.table7, title: "Table 7: MNIST, convolutional network"))
        parts.append(table(.appendixA1, title: "Appendix A.1: MNIST, weights from coordinates"))
        parts.append(samples)
        parts.append(deviations)
        parts.append(provenanceTable(runs.map { ($0.record, $0.path) }))
        return parts.filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    // MARK: - Tables of the paper

    private func table(_ table: ImageTable, title: String) -> String {
        let rows = configurations.filter { $0.decoded.budget == "paper" && $0.decoded.reproduces?.table == table }
            .sorted { ($0.decoded.tableRow ?? 0) < ($1.decoded.tableRow ?? 0) }
        var text = "### \(title)\n\n"
        text += markdownTable(
            [
                "row", "parameters, paper", "parameters, ours", "validation, ours", "test, paper", "test, ours",
                "status",
                "records",
            ],
            rows.map { row(configuration: $0.file.name, $0.decoded) })
        if table == .table2 { text += "\n\n" + Self.publishedByOthers }
        if table == .appendixA1 { text += "\n\nThe paper gives accuracies: 98.5 % and 93.5 %." }
        return ([text] + reducedBudgets(table)).joined(separator: "\n\n")
    }

    private func row(configuration name: String, _ decoded: ImageConfiguration) -> [String] {
        guard let row = decoded.reproduces else { return [] }
        let runs = self.runs.filter { $0.record.configuration == name && $0.record.differences.isEmpty }
        let status = ReproductionStatus(of: runs.map(\.record), paper: row.test, tolerance: row.tolerance) {
            $0.errorPercent
        }
        return [
            row.name, row.parametersInMillions.map { "\(fixed($0, 3)) M" } ?? "-",
            grouped(decoded.model.parameterCount), Self.statistics(runs, \.validation), fixed(row.test, 2),
            Self.statistics(runs, \.test), status.text, runs.map(\.link).joined(separator: ", "),
        ]
    }

    private static func statistics(_ runs: [Run], _ split: KeyPath<RunRecord, SplitEvaluation?>) -> String {
        guard let errors = SeedStatistics(runs.compactMap { $0.record[keyPath: split]?.errorPercent }) else {
            return "-"
        }
        return errors.text(decimals: 2)
    }

    /// What the paper's Table 2 quotes beside its own rows.
    private static let publishedByOthers =
        "Published by others, as the paper quotes them (test): Network in Network 8.81, FitNet 8.39, Deeply Supervised 8.22,"
        + " Highway 7.72, ELU 6.55, ResNet-110 6.43 (1.7 M), Stochastic Depth 5.23 (1.7 M), WRN 40-1 6.85 (0.6 M), WRN 40-2"
        + " 5.33 (2.2 M), WRN 28-10 4.17 (36.5 M), RoR 58-4 3.77 (13.3 M), DenseNet 3.74 (27.2 M)."

    // MARK: - Reduced budgets

    private func reducedBudgets(_ table: ImageTable) -> [String] {
        let groups = Group.groups(
            of: runs.filter { $0.configuration.reproduces?.table == table && !$0.record.differences.isEmpty })
        var budgets: [String] = []
        for group in groups where !budgets.contains(group.record.budget) { budgets.append(group.record.budget) }
        return budgets.flatMap { budget -> [String] in
            let members = groups.filter { $0.record.budget == budget }
            let data = Set(members.map(\.record.data.displayName)).sorted().joined(separator: "; ")
            let charts = table == .table2 ? figures.filter { $0.budget == budget }.map(\.markdown) : []
            return ["#### Reduced budget: \(budget) (\(data))", runTable(members), differences(members)] + charts
        }
    }

    private func runTable(_ members: [Group]) -> String {
        markdownTable(
            [
                "network", "parameters", "steps (selected)", "validation", "test", "test against the ordinary network",
                "s/step", "wall", "status", "records",
            ],
            members.map { group in
                let record = group.record
                return [
                    "`\(record.configuration)`", grouped(record.parameterCount),
                    "\(grouped(record.training.stepsDone)) (\(record.training.selectedStep.map(grouped) ?? "-"))",
                    Self.statistics(group.runs, \.validation), Self.statistics(group.runs, \.test),
                    Self.difference(group, among: members), record.training.secondsPerStep.map { fixed($0, 3) } ?? "-",
                    durationText(seconds: record.training.wallSeconds),
                    record.status == .finished ? "reduced budget" : "incomplete",
                    group.runs.map(\.link).joined(separator: ", "),
                ]
            })
    }

    /// Points above the same network with kernels of its own, on the same data.
    private static func difference(_ group: Group, among members: [Group]) -> String {
        let model = group.first.configuration.model
        guard model.kernels == .generated else { return "baseline" }
        let baseline = members.first { other in
            let theirs = other.first.configuration.model
            return theirs.kernels == .owned && theirs.network == model.network && theirs.widening == model.widening
                && theirs.blocks == model.blocks && other.record.data.name == group.record.data.name
        }
        guard let ours = SeedStatistics(group.runs.compactMap { $0.record.test?.errorPercent }),
            let theirs = SeedStatistics((baseline?.runs ?? []).compactMap { $0.record.test?.errorPercent })
        else { return "-" }
        return "\(signed(ours.mean - theirs.mean)) points"
    }

    /// What the configurations differ in from the paper's settings, as computed when they ran.
    private func differences(_ members: [Group]) -> String {
        members.map { group in
            let changes = group.record.differences.map { "`\($0.key)` \($0.base) → \($0.value)" }
            return "- `\(group.record.configuration)` differs from the paper's settings in "
                + changes.joined(separator: ", ") + "."
        }.joined(separator: "\n")
    }

    // MARK: - Initial values, samples, deviations

    /// Deviation `staticInitialValues`, measured on the networks of Table 2 as they start with seed 0.
    private var initialValues: String {
        let rows = configurations.filter {
            $0.decoded.budget == "paper" && $0.decoded.model.network == .wideResNet
                && $0.decoded.model.kernels == .generated
        }
        let cells = rows.flatMap { row -> [[String]] in
            guard let network = row.decoded.model.model(seed: 0) as? WideResNet,
                case .generated(let hypernetwork) = network.kernels
            else { return [] }
            let kernels = withoutGradient { hypernetwork.kernels() }
            // Layers of one fan-in start alike: one line for all of them.
            var lines: [(inputs: Int, he: Float, measured: [Double])] = []
            for (kernel, shape) in zip(kernels, hypernetwork.layers) {
                let squares = kernel.value.floats.reduce(0) { $0 + Double($1) * Double($1) }
                let measured = (squares / Double(shape.count)).squareRoot()
                if let line = lines.firstIndex(where: { $0.inputs == shape.inputs }) {
                    lines[line].measured.append(measured)
                } else {
                    lines.append((shape.inputs, shape.heStandardDeviation, [measured]))
                }
            }
            return lines.map { line in
                [
                    "`\(row.file.name)`", "\(9 * line.inputs)", "\(line.measured.count)", fixed(Double(line.he), 4),
                    "\(fixed(line.measured.min() ?? .nan, 4)) to \(fixed(line.measured.max() ?? .nan, 4))",
                ]
            }
        }
        return "#### How generated kernels start (deviation `staticInitialValues`)\n\n"
            + markdownTable(["network", "fan-in", "layers", "s.d. of He et al.", "measured s.d."], cells)
    }

    private var samples: String {
        let groups = Group.groups(of: runs.filter { $0.record.data.isSample })
        guard !groups.isEmpty else { return "" }
        return """
            ### The generated samples: NOT CIFAR-10 and NOT MNIST

            Small networks on the small generated images that are part of the repository, which `make reproduce-cifar` and
            `make reproduce-mnist` train where there is no other data. **No number here can be compared with the paper.**

            \(runTable(groups))
            """
    }

    private var deviations: String {
        "### Images: where the paper is silent or contradicts itself\n\n"
            + markdownTable(
                ["", "where", "the paper", "here", "why", "key of the configuration"],
                Deviation.staticNetworks.map {
                    [$0.id, $0.section, $0.paper, $0.choice, $0.reason, $0.key.map { "`\($0)`" } ?? "-"]
                })
    }
}

/// The table that a command prints when its runs are done: our figures, and the paper's beside them.
public struct ImageRunTable {
    public let text: String

    public init(_ runs: [ImageRun]) {
        var rows = [["configuration", "seed", "parameters", "steps", "validation", "test", "paper test", ""]]
        var notes: Set<String> = []
        for run in runs {
            let record = run.record, row = run.configuration.reproduces
            var remark = ""
            if record.data.isSample {
                remark = "generated sample"
            } else if !record.differences.isEmpty {
                remark = "reduced budget"
                notes.insert(
                    "A reduced budget is compared with others of the same budget, not with the paper's number.")
            } else if let row {
                remark =
                    ReproductionStatus(of: [record], paper: row.test, tolerance: row.tolerance) { $0.errorPercent }
                    .text
            }
            rows.append([
                record.configuration, "\(record.seed)", grouped(record.parameterCount),
                grouped(record.training.stepsDone), Self.percent(record.validation), Self.percent(record.test),
                row.map { "\(fixed($0.test, 2)) %" } ?? "-", remark,
            ])
        }
        text = "\nWrongly classified images\n\n" + alignedColumns(rows) + "\n" + notes.map { "\n\($0)\n" }.joined()
    }

    private static func percent(_ split: SplitEvaluation?) -> String {
        split?.errorPercent.map { "\(fixed($0, 2)) %" } ?? "-"
    }
}
