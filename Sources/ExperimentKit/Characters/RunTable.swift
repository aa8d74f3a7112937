/// The table that a command prints when its runs are done: our figures, and the paper's beside them.
public struct RunTable {
    public let text: String

    public init(_ runs: [CharacterRun]) {
        var rows = [
            ["configuration", "seed", "parameters", "steps", "validation", "test", "read as", "paper test", ""]
        ]
        var notes: Set<String> = []
        for run in runs {
            let record = run.record
            let streams = record.test?.streams ?? run.configuration.evaluation.reportedStreams
            var remark = ""
            if let paper = run.configuration.reproduces?.test, record.differences.isEmpty, record.data.official,
                let test = record.test, let row = run.configuration.reproduces
            {
                remark = ReproductionStatus(mean: test.bits, paper: paper, tolerance: row.tolerance).text
            } else if let floor = record.data.entropyRateBits, let test = record.test {
                remark = "\(signed(test.bits - floor)) above the source's entropy rate, \(fixed(floor, 4))"
            } else if !record.differences.isEmpty {
                remark = "reduced budget"
                notes.insert(
                    "A reduced budget is compared with others of the same budget, not with the paper's number.")
            }
            rows.append([
                record.configuration, "\(record.seed)", grouped(record.parameterCount),
                grouped(record.training.stepsDone), record.validation.map { fixed($0.bits, 4) } ?? "-",
                record.test.map { fixed($0.bits, 4) } ?? "-", streams == 1 ? "one sequence" : "\(streams) streams",
                run.configuration.reproduces?.test.map { fixed($0, 3) } ?? "-", remark,
            ])
        }
        text = "\nbits per character\n\n" + alignedColumns(rows) + "\n" + notes.map { "\n\($0)\n" }.joined()
    }
}
