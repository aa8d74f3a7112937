import ArgumentParser
import ExperimentKit
import Foundation

extension CompletionKind {
    /// The names that `list` prints.
    static func configurations<Work: Experiment>(of experiment: Work.Type) -> CompletionKind {
        .custom { _, _, _ in
            guard let folder = try? configurationFolder(of: experiment) else { return [] }
            return ConfigurationFile.all(in: folder).map { $0.deletingPathExtension().lastPathComponent }
        }
    }

    /// The committed runs by name, and those under runs/ in the checkout by path.
    static func runs<Work: Experiment>(of experiment: Work.Type) -> CompletionKind {
        .custom { _, _, _ in
            guard let project = ProjectFolder.locate() else { return [] }
            return seeds(in: project.experiment(Work.program).appendingPathComponent("runs")).map(\.name)
                + seeds(in: project.runs).map(\.folder.path)
        }
    }

    /// CONFIG/SEED of a folder of runs.
    private static func seeds(in folder: URL) -> [(name: String, folder: URL)] {
        RunFolder.folders(in: folder).flatMap(RunFolder.folders).filter { RunFolder(url: $0).holdsRecord }.map { url in
            ("\(url.deletingLastPathComponent().lastPathComponent)/\(url.lastPathComponent)", url)
        }
    }
}
