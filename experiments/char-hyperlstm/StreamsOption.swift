import ArgumentParser
import CharacterExperiments
import ExperimentCommands

/// The option of `evaluate` for the parallel streams that a text is read as.
struct StreamsOption: EvaluationOptions {
    typealias Work = CharacterExperiment

    @Option(
        help: "Parallel streams that the split is read as; 1 is the paper's way, more are faster and a little worse.")
    var streams = 1

    func validate() throws {
        if streams < 1 { throw ValidationError("--streams expects a whole number of at least 1, found \(streams)") }
    }

    func apply(to configuration: inout CharacterConfiguration) { configuration.evaluation.reportedStreams = streams }
}
