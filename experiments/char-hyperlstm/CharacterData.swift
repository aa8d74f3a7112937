import Datasets
import ExperimentCommands
import ExperimentKit

let characterRuns = Runs<CharacterWork>(unit: .characters)

extension DataOptions {
    /// Opens a corpus. The sample is part of the checkout and is found there whatever the data folder is.
    func corpus(_ name: CorpusName) throws -> CharacterCorpus {
        if name == .sample, let project = ProjectFolder.locate() {
            do {
                return try CharacterCorpus.open(.sample, dataFolder: folder)
            } catch DatasetError.missing {
                return try CharacterCorpus.open(
                    .sample, dataFolder: DataFolder(path: project.data.path, origin: .standard))
            }
        }
        return try CharacterCorpus.open(name, dataFolder: folder)
    }
}
