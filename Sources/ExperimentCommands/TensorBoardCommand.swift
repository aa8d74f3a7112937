import ArgumentParser
import ExperimentKit
import Foundation

/// `tensorboard`: the logs of runs, and pictures of their checkpoints, as TensorBoard reads them.
public struct TensorBoard<Pictures: CheckpointPictures>: ParsableCommand {
    public typealias Work = Pictures.Work

    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "tensorboard",
            abstract: "Write logs of runs, and pictures of their checkpoints, as files for TensorBoard.",
            discussion: """
                Runs may be finished, under way or stopped. The command can be called again at any time: what is new is \
                added, and a TensorBoard that is open shows it (of a run that was killed and went on from its checkpoint it \
                shows the new lines once it is started anew). Pictures are of the best checkpoint, since weights of \
                the others are not kept; those of a later one come beside those of the earlier calls, so a call after each \
                validation gives pictures of each best one. For example, for runs under way:

                  watch -n 60 \(Work.program) tensorboard runs
                  tensorboard --logdir tensorboard
                """)
    }

    @OptionGroup var runs: RunArguments<Work>
    @Option(help: "The folder that gets CONFIG/SEED/ of each run.", completion: .directory)
    var output = "tensorboard"
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let chosen = try distinct(try runs.recorded())
        try threads.set()
        for run in chosen {
            let folder = URL(fileURLWithPath: output, isDirectory: true).appendingPathComponent(run.name)
            // TensorBoard reads the files whose names begin so.
            try run.events.write(to: folder.appendingPathComponent("events.out.tfevents.run"))
            note("\(run.name): \(grouped(run.record.training.stepsDone)) steps")
            guard let (step, pictures) = Pictures.pictures(of: run) else { continue }
            // A folder of their own, because TensorBoard reads the files of a folder one after the other, and does not
            // come back to one that it has read to its end.
            let file = folder.appendingPathComponent("pictures/events.out.tfevents.\(String(format: "%09d", step))")
            try run.events(
                of: pictures.compactMap { picture in picture.pixels.map { (picture.name, $0) } }, step: step
            ).write(to: file)
        }
        note("in \(output); to see it: \(shellCommand("tensorboard", "--logdir", output, called: nil))")
    }

    /// Each run once.
    ///
    /// - Throws: `UserError` for two of one name, before anything is written.
    private func distinct(_ runs: [RecordedRun<Work>]) throws -> [RecordedRun<Work>] {
        try runs.reduce(into: []) { chosen, run in
            guard !chosen.contains(where: { $0.record == run.record }) else { return }
            if let other = chosen.first(where: { $0.name == run.name }) {
                throw UserError(
                    description: "\(other.path) and \(run.path) are both \(run.name): give each another --output")
            }
            chosen.append(run)
        }
    }
}
