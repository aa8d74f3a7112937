import ArgumentParser
import CharacterExperiments
import ExperimentCommands
import ExperimentKit
import Foundation

/// The character experiments of *HyperNetworks* (Ha, Dai, Le 2016), sections 4.3 and 4.4.
@main
struct CharHyperLSTM: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "char-hyperlstm",
        abstract: "LSTM and HyperLSTM language models of characters: Tables 3 and 4 of \"HyperNetworks\".",
        discussion: """
            Begin with one of these:

              char-hyperlstm list                        configurations, hours, rows
              char-hyperlstm reproduce --profile quick   a few, beside the paper's
              char-hyperlstm reproduce --profile steps-5000 --jobs 2
              char-hyperlstm train table3-lstm           a row, as in the paper
              char-hyperlstm train table3-lstm --set training.steps=100 --out my-runs
              char-hyperlstm report my-runs              any runs on one HTML page

            A run writes the folder OUT/CONFIG/SEED: config.yaml, record.json, steps.jsonl, checkpoints/. \
            Ctrl-C stops it with a checkpoint; `char-hyperlstm resume OUT/CONFIG/SEED` goes on, bit by bit as if it had \
            never stopped (at the same --threads).

            Data is looked for in --data DIR, else in $HYPERNETWORKS_DATA, else in data/. Configurations and records are \
            those of the checkout around the working directory or the program; from elsewhere: --project DIR, or \
            $HYPERNETWORKS_PROJECT.
            """,
        version: Software.version,
        subcommands: [
            Train<CharacterExperiment>.self, Resume<CharacterExperiment>.self, Reproduce<CharacterExperiment>.self,
            Evaluate<StreamsOption>.self, Sample.self, List<CharacterExperiment>.self,
            Show<CharacterExperiment>.self, Compare<CharacterExperiment>.self, Report<CharacterModelPictures>.self,
            TensorBoard<CharacterModelPictures>.self,
            Results<CharacterExperiment>.self, MakeSample.self, FiguresCommand.self, Verify.self,
            Keep<CharacterExperiment>.self,
        ])

    static func main() { Foundation.exit(runProgram(Self.self)) }
}
