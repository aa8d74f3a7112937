import ArgumentParser
import Datasets
import ExperimentCommands
import ExperimentKit
import Foundation

struct Reproduce: ParsableCommand {
    enum Profile: String, ExpressibleByArgument, CaseIterable {
        case quick, paper, epochs100 = "epochs-100", epochs400 = "epochs-400"
    }

    enum Experiment: String, ExpressibleByArgument, CaseIterable {
        case cifar, mnist

        var dataset: ImageDatasetName { self == .cifar ? .cifar10 : .mnist }
        var sample: ImageDatasetName { self == .cifar ? .sampleCIFAR10 : .sampleMNIST }
    }

    static let configuration = CommandConfiguration(
        abstract: "Train every configuration of a budget and print a table beside the paper's numbers.",
        discussion: """
            --profile quick   minutes: reduced networks or a few epochs
            --profile epochs-100, epochs-400   hours on two cores
            --profile paper   the paper's own settings: days to weeks on two cores for CIFAR-10 (see `list`)

            Runs already finished in OUT are kept, unfinished ones are resumed. Without the images, and with the default
            data folder, it trains on small generated images instead and says so: those are no numbers of the paper's.
            """)

    @Option(help: "cifar (Table 2), or mnist (Table 7 and A.1).")
    var experiment: Experiment = .cifar
    @Option(help: "quick, epochs-100, epochs-400 or paper.")
    var profile: Profile = .quick
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var out: OutOptions

    func run() throws {
        let configs = try experimentFolder(ImageWork.experiment).appendingPathComponent("configs")
        let all = try ConfigurationFile.all(in: configs).map {
            let file = try ConfigurationFile(contentsOf: $0)
            return (file: file, decoded: try ImageConfiguration(file.root))
        }
        func chosen(_ dataset: ImageDatasetName, _ budget: String) throws -> [(ConfigurationFile, ImageConfiguration)] {
            let files = all.filter { $0.decoded.data.dataset == dataset && $0.decoded.budget == budget }
                .sorted { left, right in
                    func place(_ entry: (file: ConfigurationFile, decoded: ImageConfiguration)) -> (String, Int, String)
                    {
                        (entry.decoded.reproduces?.table.rawValue ?? "", entry.decoded.tableRow ?? 0, entry.file.name)
                    }
                    return place(left) < place(right)
                }
            guard !files.isEmpty else {
                throw UserError(
                    description: "no configuration of \(dataset.title) has the budget '\(budget)'; see `list`")
            }
            return files.map { ($0.file, $0.decoded) }
        }

        var files = try chosen(experiment.dataset, profile.rawValue), isSample = false
        // One reading serves all configurations that divide the images alike.
        var opened: (data: ImageConfiguration.Data, images: ImageDataset)?
        do {
            opened = (files[0].1.data, try data.images(files[0].1.data))
        } catch let error as DatasetError {
            // Only where nobody named a folder: whoever did wants to know that the data is not in it.
            guard case .missingImages = error, data.folder.origin == .standard, profile == .quick else { throw error }
            note("\(error)")
            note(sampleWarning)
            files = try chosen(experiment.sample, "sample")
            isSample = true
        }
        try threads.configure()
        catchSignals()
        var runs: [ImageRun] = []
        for (file, decoded) in files {
            if opened?.data.splitSeed != decoded.data.splitSeed
                || opened?.data.validationImages != decoded.data.validationImages
            {
                opened = (decoded.data, try data.images(decoded.data))
            }
            guard let images = opened?.images else { continue }
            for seed in decoded.seeds {
                runs.append(try imageRuns.trainOrResume(file, seed: seed, data: images, out: out.url))
            }
        }
        try writeResult(ImageRunTable(runs).text)
        if isSample { try writeResult(sampleWarning) }
    }

    private var sampleWarning: String {
        let name = experiment.dataset.title
        return """

            ================================================================================
              These are NOT \(name) numbers.
              \(name) was not found, so small networks are trained on the small generated
              images that are part of the repository. Compare the ordinary network and the
              one with generated kernels with each other, with nothing in the paper.
              For the real thing: `make data`, or set HYPERNETWORKS_DATA, then call this again.
            ================================================================================

            """
    }
}
