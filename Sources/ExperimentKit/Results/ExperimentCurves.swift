import Figures

/// The charts of the tables' runs, and their curves beside the paper's.
extension ExperimentResults {
    private func validations(_ run: Run) -> [(step: Int, value: Double, streams: Int)] {
        run.log.compactMap { line in
            guard let validation = line.validation, let value = Work.metric.value(validation) else { return nil }
            return (line.step, value, validation.streams)
        }
    }

    /// The validation of the best-funded run of each row that the paper draws, beside the paper's curve at equal steps.
    func curveTables(_ table: PaperTable, _ groups: [Group]) -> [String] {
        let comparable = groups.filter { $0.record.followsPaperSettings(of: table) }
        return paperRows(of: table).compactMap { row, _ in
            guard let curve = table.curves[row.row], let run = bestFunded(row, among: comparable)?.first else {
                return nil
            }
            let points = validations(run)
            guard let streams = points.first?.streams else { return nil }
            let lines = points.map { step, value, _ -> [String] in
                let paper = curve.value(atStep: step)
                return [
                    grouped(step), fixed(value, 3), paper.map { fixed($0, 3) } ?? "-",
                    paper.map { signed(value - $0, 3) } ?? "-",
                ]
            }
            // A rate that falls takes a curve down with it, which the paper's need not do at that step.
            let budget = run.record.differences.isEmpty ? "" : ", at budget \(run.record.budget) (settings above)"
            return "`\(run.record.configuration)`, seed \(run.record.seed)\(budget), validation during training"
                + " (\(streams == 1 ? "the whole split at once" : "\(streams) streams")), beside the published curve"
                + " (\(curve.title); linear between its points).\(readAgain(run))\n\n"
                + markdownTable(["step", "ours", "published", "difference"], lines)
        }
    }

    /// What the weights of the selected step give when the split is read in the other way, as a sentence; empty where
    /// training and the reported figure read it in one way.
    private func readAgain(_ run: Run) -> String {
        let training = run.record.training
        guard let step = training.selectedStep, let during = training.selectionValidation,
            let after = run.record.validation, during.streams != after.streams, let first = Work.metric.value(during),
            let second = Work.metric.value(after)
        else { return "" }
        let way = after.streams == 1 ? "one sequence" : "\(after.streams) streams"
        return " How the published one was read is not stated; the weights of step \(grouped(step)) have"
            + " \(fixed(first, 3)) in this way and \(fixed(second, 3)) as \(way)."
    }

    /// The charts of each table: its best-funded runs at the paper's model, and the paper's own curves.
    var figures: [CurveFigure] {
        Work.tables.flatMap { table -> [CurveFigure] in
            let comparable = groups(of: table).filter { $0.record.followsPaperSettings(of: table) }
            let ours = paperRows(of: table).compactMap { row, _ -> (row: ReproducedRow, run: Run, seeds: Int)? in
                bestFunded(row, among: comparable).map { (row, $0.first, $0.runs.count) }
            }
            guard ours.contains(where: { validations($0.run).count > 1 }) else { return [] }
            let lastStep = ours.map(\.run.record.training.stepsDone).max() ?? 0
            let paper = ours.compactMap { table.curves[$0.row.row] }.uniqued(on: \.title)
            return Work.charts(
                of: ours.map { row, run, seeds in
                    let isPapers = table.isInPaper && table.statesSettings
                    let full = isPapers ? "the paper's budget" : "this suite's full settings"
                    let budget = run.record.budget == "paper" ? full : run.record.budget
                    let seed = seeds > 1 ? ", seed \(run.record.seed)" : ""
                    return ("\(row.name), ours, \(budget)\(seed)", run)
                },
                title: table.title, paper: paper.map { $0.series(upTo: lastStep) }
            ).map { kind, chart in
                let name = table.id.lowercased().filter { $0.isLetter || $0.isNumber }
                return CurveFigure(
                    table: table.id, path: "experiments/\(Work.program)/figures/\(name)-\(kind).svg", chart: chart)
            }
        }
    }
}
