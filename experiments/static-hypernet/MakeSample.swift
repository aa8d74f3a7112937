import ArgumentParser
import Datasets
import ExperimentCommands
import ExperimentKit
import Foundation

struct MakeSample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw the sample images and write them into a data folder; the same images every time.")

    @OptionGroup var data: DataOptions
    @OptionGroup var project: ProjectOption

    func run() throws {
        for path in try SampleImages.write(to: data.folder) { note("wrote \(path)") }
    }
}
