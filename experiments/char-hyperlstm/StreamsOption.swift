import ArgumentParser
import CharacterExperiments
import ExperimentCommands

/// The option of `evaluate` for the parallel streams that a text is read as.
struct StreamsOption: EvaluationOptions {
    typealias Work = CharacterExperiment

    @Option(
        parsing: .unconditional,
        help: """
            Parallel streams that the split is read as; 1 is the paper's way, more are faster and a little worse. Default: as \
            the run's own figures are read.
            """)
    var streams: Int?

    func validate() throws { try require("--streams", streams, in: 1...) }

    func apply(to configuration: inout CharacterConfiguration) {
        if let streams { configuration.evaluation.reportedStreams = streams }
    }
}
