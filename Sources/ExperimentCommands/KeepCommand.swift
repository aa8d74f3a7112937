import ArgumentParser
import ExperimentKit
import Foundation

/// `keep`: a finished run's record and weights, copied into the experiment's folder.
public struct Keep<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "keep",
            abstract: "Put a finished run's record and weights among the committed ones.",
            discussion: """
                Copies the record, the configuration, the log and the weights of the best checkpoint. Weights of more \
                than \(grouped(CommittedRun.greatestSize)) bytes are refused.
                """)
    }

    @Argument(
        help: ArgumentHelp("The folder of a finished run, OUT/CONFIG/SEED.", valueName: "run"), completion: .runFolders)
    var runFolder: String
    @Flag(help: "Round the weights to half precision: half the bytes, nearly the same figures.")
    var half = false
    @Flag(help: "Keep no weights: for a model that is too large even in half precision.")
    var withoutWeights = false
    @Flag(help: "Overwrite another record, or other weights, in its place.")
    var replace = false
    @OptionGroup var project: ProjectOption

    public init() {}

    public func validate() throws {
        guard !(half && withoutWeights) else {
            throw ValidationError("--half rounds weights and --without-weights keeps none: give one of them")
        }
    }

    public func run() throws {
        let run = try onlySeed(in: URL(fileURLWithPath: runFolder, isDirectory: true))
        try RunFolder(url: run).requireRun(experiment: Work.program)
        let kept = try CommittedRun.keep(
            run, in: try experimentFolder(Work.program), half: half, replace: replace, withoutWeights: withoutWeights)
        note("kept \(kept.name) in \(kept.folder.path); `make figures` brings pictures and documents in step")
    }
}
