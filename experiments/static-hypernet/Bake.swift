import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation
import ImageExperiments
import Safetensors

struct Bake: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Generate the kernels of a trained hypernetwork once and write the plain network.",
        discussion: """
            MODEL is a run's folder (its best checkpoint is taken), a folder checkpoints/step-…, or a name of committed \
            weights. The file holds an ordinary network with the same logits, running statistics and the statistics of its \
            images; it needs no hypernetwork, no data and no configuration.

              static-hypernet bake hyper-wide-resnet-40-1 --output plain.safetensors
              static-hypernet evaluate plain.safetensors
            """)

    @Argument(
        help: "A run's folder, a checkpoint's, or a name of committed weights.",
        completion: .models(of: ImageExperiment.program))
    var model: String
    @Option(
        help: """
            The file to write. Default: baked.safetensors in the folder of the model; of committed weights that are \
            called by name, in the working folder.
            """)
    var output: String?
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    func validate() throws {
        // By this ending the other commands know a file of weights.
        guard let output, !output.hasSuffix(".safetensors") else { return }
        throw ValidationError("--output expects a name that ends in .safetensors, found '\(output)'")
    }

    func run() throws {
        let url = try modelLocation(model, of: ImageExperiment.self)
        try threads.configure()
        let trained = try TrainedImageModel(at: url)
        noteConverted(model, from: trained.convertedType)
        guard trained.configuration.kernels == .generated else {
            throw UserError(description: "\(url.path): a plain network already, there is nothing to bake")
        }
        let file = output.map { URL(fileURLWithPath: $0) } ?? defaultFile(for: url)
        try requireReplaceable(file, by: "network that `bake` wrote") {
            (try? SafetensorsFile(path: file.path).metadata)?[TrainedImageModel.bakedKey] != nil
        }
        let plain = try trained.writeBaked(to: file)
        try writeResult(
            "\(file.path): \(grouped(trained.model.parameterCount)) parameters with the hypernetwork,"
                + " \(grouped(plain.parameterCount)) without")
    }

    private func defaultFile(for url: URL) -> URL {
        let name = "baked.safetensors"
        // A name means committed weights: nothing is put among the records.
        guard FileManager.default.fileExists(atPath: model) else { return URL(fileURLWithPath: name) }
        let folder = url.pathExtension == "safetensors" ? url.deletingLastPathComponent() : url
        return folder.appendingPathComponent(name)
    }
}
