import ArgumentParser
import ExperimentKit
import Foundation

/// `results`: the documents and figures that the committed records give.
public struct Results<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "results",
            abstract: "Write RESULTS.md, docs/ and the figures from the committed records.",
            discussion: """
                Reads configs, runs and cross-check in experiments/\(Work.program), and writes its figures and this \
                experiment's parts of RESULTS.md, README.md, docs/configuration.md, docs/cross-check.md, \
                docs/deviations.md and docs/provenance.md; those of other experiments stay as they are.
                """)
    }

    @Flag(help: "Write nothing; fail if a document or a figure is not what the records give.")
    var check = false
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let project = try projectFolder()
        // A table may be of models as they start, and these compute.
        try threads.configure()
        let results = try ExperimentResults<Work>(experiment: project.experiment(Work.program))
        guard check else {
            for path in try results.write(project: project) { note("wrote \(path)") }
            return
        }
        let stale = try results.staleFiles(project: project)
        guard stale.isEmpty else {
            throw UserError(
                description: "not in step with the records: \(stale.joined(separator: ", ")); run `make results`")
        }
        note("the documents and figures of \(Work.program) are in step with the records")
    }
}
