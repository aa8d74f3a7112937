import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Figures
import Foundation
import HyperNetworks
import ImageExperiments
import PaperFigures

struct FiguresCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "figures",
        abstract: "Draw kernels and layer embeddings: Figures 2, 12 and 13, and a map of z.",
        discussion: """
            figure-2-kernels       second kernels of MNIST networks, owned beside generated
            figures-12-13-kernels  kernels of Wide ResNets, owned beside generated
            embeddings-MODEL       embeddings z of all layers along two principal axes

            Each as SVG; pictures made of pixels as PNG too. Without MODEL the committed weights of every row are drawn, \
            of several budgets the longest.
            """)

    @Argument(
        help: "Runs' folders, files of weights, or names of committed weights.",
        completion: .models(of: ImageExperiment.program))
    var models: [String] = []
    @OptionGroup var figures: FigureOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    func run() throws {
        let locations = try modelLocations(models, of: ImageExperiment.self)
        try threads.configure()
        let folder = try FigureFolder(figures, experiment: ImageExperiment.program, isWhole: models.isEmpty)
        var convNets: [KernelFigures.Named<MNISTConvNet>] = [], residuals: [KernelFigures.Named<WideResNet>] = []
        for (name, url) in locations {
            let trained = try TrainedImageModel(at: url)
            noteConverted(name, from: trained.convertedType)
            let label = "\(shortName(name)), \(trained.configuration.kernels.rawValue)"
            switch trained.model {
            case let network as MNISTConvNet: convNets.append((label, network))
            case let network as WideResNet:
                residuals.append((label, network))
                if let map = EmbeddingMap.figure(of: network, name: shortName(name)) {
                    try folder.write("embeddings-\(shortName(name))", map.svg)
                }
            default: note("\(name): nothing to draw")
            }
        }
        // Owned kernels first, as the paper has them.
        func ownedFirst<Network>(_ networks: [KernelFigures.Named<Network>]) -> [KernelFigures.Named<Network>] {
            networks.filter { $0.name.hasSuffix(KernelSource.owned.rawValue) }
                + networks.filter { !$0.name.hasSuffix(KernelSource.owned.rawValue) }
        }
        if !convNets.isEmpty { try folder.write("figure-2-kernels", KernelFigures.figure2(ownedFirst(convNets))) }
        if !residuals.isEmpty {
            try folder.write("figures-12-13-kernels", KernelFigures.figures12And13(ownedFirst(residuals)))
        }
        try folder.finish()
    }
}

/// The kernels of a network and the embeddings that they are made from, as `figures` draws them.
enum ImageModelPictures: CheckpointPictures {
    typealias Work = ImageExperiment

    static func pictures(of checkpoint: Checkpoint, name: String) throws -> [CheckpointPicture] {
        let trained = try TrainedImageModel(at: checkpoint.weightsURL)
        let label = "\(name), \(trained.configuration.kernels.rawValue)"
        switch trained.model {
        case let network as MNISTConvNet:
            return [CheckpointPicture("kernels", KernelFigures.figure2([(label, network)]))]
        case let network as WideResNet:
            let map = EmbeddingMap.figure(of: network, name: name)
            return [CheckpointPicture("kernels", KernelFigures.figures12And13([(label, network)]))]
                + (map.map { [CheckpointPicture("embeddings", svg: $0.svg)] } ?? [])
        default: return []
        }
    }
}
