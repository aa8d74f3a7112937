import ArgumentParser
import ExperimentCommands
import ExperimentKit

struct Results: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write RESULTS.md and the figures from the committed records.",
        discussion: """
            Reads experiments/char-hyperlstm/configs and experiments/char-hyperlstm/runs, and writes this experiment's
            sections of RESULTS.md and its charts; those of other experiments stay as they are.
            """)

    @Flag(help: "Write nothing; fail if RESULTS.md or a figure is not what the records give.")
    var check = false

    func run() throws {
        try writeResults(
            try CharacterResults(experiment: try experimentFolder(CharacterWork.experiment)), check: check)
    }
}
