import ArgumentParser
import ExperimentKit
import Foundation

struct Results: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write RESULTS.md and the figures from the committed records.",
        discussion: """
            Reads experiments/char-hyperlstm/configs and experiments/char-hyperlstm/runs, and writes this experiment's
            sections of RESULTS.md; those of other experiments stay as they are. The charts are drawn where gnuplot is
            installed.
            """)

    @Flag(help: "Write nothing; fail if RESULTS.md or a figure is not what the records give.")
    var check = false

    func run() throws {
        guard let project = ProjectFolder.locate() else { _ = try experimentFolder(); return }
        let results = try CharacterResults(experiment: try experimentFolder())
        if check {
            let stale = try results.staleFiles(project: project)
            guard stale.isEmpty else {
                throw UserError(
                    description: "not in step with the records: \(stale.joined(separator: ", ")); run"
                        + " `char-hyperlstm results`")
            }
            note("RESULTS.md and the figures are in step with the records")
        } else {
            for path in try results.write(project: project) { note("wrote \(path)") }
        }
    }
}
