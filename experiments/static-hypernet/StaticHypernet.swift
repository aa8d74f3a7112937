import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation
import ImageExperiments

/// The experiments with images of *HyperNetworks* (Ha, Dai, Le 2016): sections 4.1 and 4.2, appendix A.1.
@main
struct StaticHypernet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "static-hypernet",
        abstract: "Image classifiers with owned and generated kernels: Tables 2 and 7 and A.1 of \"HyperNetworks\".",
        discussion: """
            Begin with one of these:

              static-hypernet list                            configurations, hours
              static-hypernet reproduce --experiment mnist    a few, beside the paper's
              static-hypernet train table2-wide-resnet-40-1   a row, as in the paper
              static-hypernet train cifar-10-epochs-hyper-wide-resnet-40-1
              static-hypernet bake OUT/CONFIG/SEED            its kernels made once
              static-hypernet report OUT                      any runs on one HTML page

            A run writes the folder OUT/CONFIG/SEED: config.yaml, record.json, steps.jsonl, checkpoints/. \
            Ctrl-C stops it with a checkpoint; `static-hypernet resume OUT/CONFIG/SEED` goes on, bit by bit as if it had \
            never stopped (at the same --threads).

            Data is looked for in --data DIR, else in $HYPERNETWORKS_DATA, else in data/. Configurations and records are \
            those of the checkout around the working directory or the program; from elsewhere: --project DIR, or \
            $HYPERNETWORKS_PROJECT.
            """,
        version: Software.version,
        subcommands: [
            Train<ImageExperiment>.self, Resume<ImageExperiment>.self, Reproduce<ImageExperiment>.self,
            Evaluate<NoEvaluationOptions<ImageExperiment>>.self, Bake.self, List<ImageExperiment>.self,
            Show<ImageExperiment>.self, Compare<ImageExperiment>.self, Report<ImageModelPictures>.self,
            TensorBoard<ImageModelPictures>.self,
            Results<ImageExperiment>.self, MakeSample.self, FiguresCommand.self, Verify.self,
            Keep<ImageExperiment>.self,
        ])

    static func main() { Foundation.exit(runProgram(Self.self)) }
}
