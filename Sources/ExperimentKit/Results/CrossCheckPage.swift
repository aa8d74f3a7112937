import Datasets
import Figures
import Foundation

/// The generated part of `docs/cross-check.md`: runs of another program beside the experiment's own and the paper's
/// curves.
struct CrossCheckPage<Work: Experiment> {
    /// The runs with one configuration, unchanged but for the learning rate.
    private struct Comparison {
        let configuration: NamedConfiguration<Work.Configuration>
        let checks: [CrossCheck]
        /// The experiment's own runs with it.
        let runs: [RecordedRun<Work>]

        var row: String { configuration.values.reproduces?.name ?? configuration.name }
        var curve: PaperCurve? {
            configuration.values.reproduces.flatMap { Work.table(of: configuration.values)?.curves[$0.row] }
        }
        /// The steps whose validation the table shows: of those that the independent runs validated at, the nearest
        /// ones to 1, 2, 5, 10, 20, … and the last one, four in all.
        var steps: [Int] {
            let validated = Set(checks.flatMap(\.run.models).flatMap(\.curve).map(\.step)).sorted()
            guard let last = validated.last else { return [] }
            let powers = sequence(first: 1) { $0 * 10 }.prefix { $0 <= last }
            let targets = powers.flatMap { [$0, 2 * $0, 5 * $0] }.filter { $0 <= last }
            let nearest = targets.compactMap { target in validated.min { abs($0 - target) < abs($1 - target) } }
            return Set(nearest + [last]).sorted().suffix(4)
        }
        /// Every model with the run that it is of, by peak rate.
        var models: [(check: CrossCheck, model: CrossCheck.Model)] {
            checks.flatMap { check in check.run.models.map { (check, $0) } }
                .sorted { ($0.1.variant.peak, $0.1.variant.seed) < ($1.1.variant.peak, $1.1.variant.seed) }
        }
    }

    private let checks: [CrossCheck]
    private let comparisons: [Comparison]

    /// - Throws: `RecordError.unreadable`, also for a run with a configuration that there is not.
    init(
        experiment: URL, configurations: [NamedConfiguration<Work.Configuration>], runs: [RecordedRun<Work>]
    ) throws {
        checks = try CrossCheck.all(in: experiment)
        for check in checks where !configurations.contains(where: { $0.name == check.run.configuration }) {
            throw RecordError.unreadable(
                path: experiment.appendingPathComponent(check.path).path,
                reason: "'configuration' expected a name in configs/, found '\(check.run.configuration)'")
        }
        let comparable = checks.filter { $0.run.set.allSatisfy(CrossCheck.isLearningRate) }
        comparisons = configurations.compactMap { configuration in
            let checks = comparable.filter { $0.run.configuration == configuration.name }
            guard !checks.isEmpty else { return nil }
            let table = Work.table(of: configuration.values)
            return Comparison(
                configuration: configuration, checks: checks,
                runs: runs.filter { run in
                    run.record.configuration == configuration.name
                        && table.map { run.record.followsPaperSettings(of: $0) } == true
                })
        }
    }

    /// Empty without runs of another program.
    var section: String {
        guard !checks.isEmpty else { return "" }
        return (tables + figures.map { "![\($0.chart.title)](../\($0.path))" } + precisions + readings + [machines])
            .joined(separator: "\n\n")
    }

    /// A file of the experiment's folder as a link of a page in `docs/`.
    private func link(_ text: String, _ check: CrossCheck) -> String {
        "[\(text)](../experiments/\(Work.program)/\(check.path))"
    }

    private func reading(_ streams: Int) -> String { streams == 1 ? "one sequence" : "\(streams) streams" }

    private func seconds(_ check: CrossCheck) -> String {
        let count = check.run.models.count
        return fixed(check.run.millisecondsPerStep / 1000, 3) + (count == 1 ? "" : " (\(count) models at once)")
    }

    /// `0.001, keepOutput 0.8`: the peak rate, and what else the model has of its own.
    private func peak(of model: CrossCheck.Model, _ check: CrossCheck) -> String {
        let schedule =
            check.run.set.isEmpty
            ? [] : ["changed" + (check.run.resumedAt.map { " from step \(grouped($0)) on" } ?? "")]
        return (["\(model.variant.peak)"] + schedule + model.variant.changes).joined(separator: ", ")
    }

    // MARK: - The tables

    private var tables: [String] {
        [
            "### Validation and test\n\n\(Work.metric.name); of a configuration's independent runs the one with the best validation is bold:"
        ]
            + comparisons.map { comparison in
                let steps = comparison.steps
                let lines =
                    independentLines(comparison, steps) + comparison.runs.map { ownLine($0, steps) }
                    + paperLine(comparison, steps)
                return "#### \(comparison.row): `\(comparison.configuration.name)`\n\n"
                    + markdownTable(
                        ["run", "peak rate"]
                            + steps.map { "step \(grouped($0))" }
                            + ["validation", "test", "both read as", "seconds a step"], lines)
            }
    }

    private func independentLines(_ comparison: Comparison, _ steps: [Int]) -> [[String]] {
        let figures = comparison.models.compactMap { $0.model.valid?.figure }
        let best = Work.metric.higherIsBetter ? figures.max() : figures.min()
        return comparison.models.map { check, model in
            let validation = Work.metric.digits(model.valid?.figure)
            return [link("independent, seed \(model.variant.seed)", check), peak(of: model, check)]
                + steps.map { Work.metric.digits(model.validation(atStep: $0)) }
                + [
                    best != nil && model.valid?.figure == best ? "**\(validation)**" : validation,
                    Work.metric.digits(model.test?.figure), model.valid.map { reading($0.streams) } ?? "-",
                    seconds(check),
                ]
        }
    }

    private func ownLine(_ run: RecordedRun<Work>, _ steps: [Int]) -> [String] {
        let record = run.record
        return ["[this suite, seed \(record.seed)](../\(run.path)/record.json)", run.peak ?? "-"]
            + steps.map { step in
                let line = run.log.first { $0.step == step && $0.validation != nil }
                return Work.metric.digits(line?.validation.flatMap(Work.metric.value))
            }
            + [
                Work.metric.digits(record.validation.flatMap(Work.metric.value)),
                Work.metric.digits(record.test.flatMap(Work.metric.value)),
                record.validation.map { reading($0.streams) } ?? "-",
                record.training.secondsPerStep.map { fixed($0, 3) } ?? "-",
            ]
    }

    private func paperLine(_ comparison: Comparison, _ steps: [Int]) -> [[String]] {
        guard let curve = comparison.curve else { return [] }
        return [
            [curve.title, "-"]
                + steps.map { step in curve.value(atStep: step).map { fixed($0, 3) } ?? "-" }
                + ["-", "-", "-", "-"]
        ]
    }

    // MARK: - The figures

    /// A chart of each configuration whose row the paper draws, from the first step of the paper's curve on.
    var figures: [(path: String, chart: LineChart)] {
        comparisons.compactMap { comparison in
            guard let curve = comparison.curve, let first = curve.points.first?.step else { return nil }
            let independent = comparison.models.map { check, model in
                LineChart.Series(
                    name: "peak \(peak(of: model, check))",
                    points: model.curve.compactMap { row in
                        // Before it was changed it is another run's curve.
                        let begin = max(first, check.run.resumedAt ?? 0)
                        return row.second.flatMap { row.step < begin ? nil : (Double(row.step), $0) }
                    })
            }
            let own = comparison.runs.map { run in
                LineChart.Series(
                    name: "this suite" + (run.peak.map { ", peak \($0)" } ?? "") + ", seed \(run.record.seed)",
                    points: run.log.compactMap { line in
                        guard line.step >= first, let value = line.validation.flatMap(Work.metric.value) else {
                            return nil
                        }
                        return (Double(line.step), value)
                    })
            }
            let last = comparison.checks.map(\.run.stepsDone).max() ?? 0
            return (
                "experiments/\(Work.program)/figures/cross-check-\(comparison.configuration.name).svg",
                LineChart(
                    title: "\(comparison.row): validation, independent runs"
                        + (own.isEmpty ? "" : " and this suite's"), xLabel: "training steps",
                    yLabel: Work.metric.name, series: independent + own + [curve.series(upTo: last)])
            )
        }
    }

    // MARK: - Rounding

    /// The first losses of each run in float32 beside those of a run of the same models in another precision.
    private var precisions: [String] {
        checks.filter { $0.run.products == "float32" }.flatMap { exact in
            checks.filter { $0.run.configuration == exact.run.configuration && $0.run.products != "float32" }
                .compactMap { precision(of: $0, beside: exact) }
        }
    }

    private func precision(of rounded: CrossCheck, beside exact: CrossCheck) -> String? {
        let pairs = exact.run.models.compactMap { model in
            rounded.run.models.first { $0.variant == model.variant }.map { (model, $0) }
        }
        guard let steps = pairs.first?.0.steps.map(\.step) else { return nil }
        let differences = steps.map { step in
            pairs.map { exact, rounded in
                rounded.loss(atStep: step).flatMap { loss in exact.loss(atStep: step).map { loss - $0 } }
            }
        }
        let all = differences.joined().compactMap { $0 }
        guard let mean = SeedStatistics(all)?.mean, let size = SeedStatistics(all.map(abs))?.mean else { return nil }
        let (products, name) = (link(rounded.run.products, rounded), link(exact.run.products, exact))
        return
            "### \(rounded.run.products) beside \(exact.run.products)\n\nThe loss of a training batch in nats, \(products) minus \(name). Of \(all.count) differences"
            + " \(all.count { $0 > 0 }) are above zero; their mean is \(signed(mean, 4)), the mean of their sizes"
            + " \(fixed(size, 4)).\n\n"
            + markdownTable(
                ["step"] + pairs.map { "peak \($0.0.variant.peak)" },
                zip(steps, differences).map { step, row in
                    [grouped(step)] + row.map { $0.map { signed($0, 4) } ?? "-" }
                })
    }

    // MARK: - Weights and machines

    /// The figures that this suite reads with the weights of a run.
    private var readings: [String] {
        checks.compactMap { check in
            guard let weights = check.run.weights, !check.evaluations.isEmpty else { return nil }
            let model = check.run.models.first { $0.variant == weights.variant }
            let lines = check.evaluations.map { evaluation -> [String] in
                let (split, result) = (evaluation.split, evaluation.result)
                let readThere: CrossCheck.Reading? =
                    switch DataSplit(rawValue: split) {
                    case .validation: model?.valid
                    case .test: model?.test
                    case .train, nil: nil
                    }
                let there = readThere.flatMap { $0.streams == result.streams ? $0.figure : nil }
                let here = Work.metric.value(result)
                return [
                    split, reading(result.streams), Work.metric.digits(there), Work.metric.digits(here),
                    there.flatMap { there in here.map { signed($0 - there, Work.metric.decimals + 1) } } ?? "-",
                ]
            }
            let variant = weights.variant
            let origin = link(
                (["peak \(variant.peak)", "seed \(variant.seed)"] + variant.changes).joined(separator: ", "), check)
            return
                "### The weights of `\(check.name)`, read here\n\n`\(weights.file)`, the weights of \(origin), read by `\(Work.program) evaluate`; \(Work.metric.name):\n\n"
                + markdownTable(["split", "read as", "there", "here", "difference"], lines)
        }
    }

    private func changes(of run: CrossCheck.Run) -> String {
        func code(_ changes: [String]) -> String { changes.map { "`\($0)`" }.joined(separator: ", ") }
        let parts =
            (run.set.isEmpty ? [] : [code(run.set)])
            + run.models.compactMap(\.variant.set).map { "\(code($0)) (one model)" }
        return parts.isEmpty ? "-" : parts.joined(separator: "; ")
    }

    private var machines: String {
        let lines = checks.map { check -> [String] in
            let run = check.run
            return [
                link(check.name, check), "`\(run.configuration)`",
                (run.resumedAt.map { "from step \(grouped($0)) on: " } ?? "") + changes(of: run),
                "\(run.models.count)",
                grouped(run.stepsDone)
                    + (run.stepsPlanned.map { $0 > run.stepsDone ? " of \(grouped($0))" : "" } ?? ""),
                run.device, run.products,
                run.versions.sorted { $0.key < $1.key }.compactMap { name, version in version.map { "\(name) \($0)" } }
                    .joined(separator: ", "),
                seconds(check), durationText(seconds: run.seconds),
            ]
        }
        return "### The runs\n\n"
            + markdownTable(
                [
                    "run", "configuration", "changed", "models", "steps", "device", "products", "versions",
                    "seconds a step", "time in all",
                ], lines)
    }
}

extension CrossCheck.Variant {
    /// `keepOutput 0.8`: a key by its last name.
    fileprivate var changes: [String] {
        (set ?? []).map { change in
            let (key, value) = (change.prefix { $0 != "=" }, change.drop { $0 != "=" }.dropFirst())
            return "\(key.split(separator: ".").last ?? key) \(value)"
        }
    }
}

extension CrossCheck.Model {
    /// In nats.
    fileprivate func loss(atStep step: Int) -> Double? { steps.first { $0.step == step }?.first }
}

extension RecordedRun {
    /// The greatest learning rate, where the run's schedule names one.
    fileprivate var peak: String? {
        settings.leaves.first { $0.keyPath == "training.learningRate.peak" }?.text
    }
}
