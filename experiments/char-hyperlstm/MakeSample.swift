import ArgumentParser
import Datasets
import ExperimentCommands
import ExperimentKit
import Foundation

struct MakeSample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the generated sample corpus into a data folder; the same bytes every time.")

    @OptionGroup var data: DataOptions
    @OptionGroup var project: ProjectOption

    func run() throws {
        for path in try SampleCorpus.write(to: data.folder) { note("wrote \(path)") }
    }
}
