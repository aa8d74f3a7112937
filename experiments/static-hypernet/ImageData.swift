import Datasets
import ExperimentCommands
import ExperimentKit

let imageRuns = Runs<ImageWork>(unit: .images)

extension DataOptions {
    /// Opens a configuration's data. The samples are part of the checkout and are found there whatever the folder is.
    func images(_ data: ImageConfiguration.Data) throws -> ImageDataset {
        guard data.dataset.isSample, let project = ProjectFolder.locate() else {
            return try ImageDataset.open(data, dataFolder: folder)
        }
        do {
            return try ImageDataset.open(data, dataFolder: folder)
        } catch DatasetError.missingImages {
            return try ImageDataset.open(
                data, dataFolder: DataFolder(path: project.data.path, origin: .standard))
        }
    }
}
