import ArgumentParser
import ExperimentCommands
import ExperimentKit

struct Results: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write RESULTS.md from the committed records.",
        discussion: """
            Reads experiments/static-hypernet/configs and experiments/static-hypernet/runs, and writes this experiment's
            section of RESULTS.md; those of other experiments stay as they are.
            """)

    @Flag(help: "Write nothing; fail if RESULTS.md is not what the records give.")
    var check = false
    @OptionGroup var threads: ThreadOptions

    func run() throws {
        // The table of initial values draws networks.
        try threads.configure()
        try writeResults(try ImageResults(experiment: try experimentFolder(ImageWork.experiment)), check: check)
    }
}
