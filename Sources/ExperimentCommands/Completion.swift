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
        func names(_ url: URL) -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).sorted()
        }
        return names(folder).flatMap { configuration in
            names(folder.appendingPathComponent(configuration)).compactMap { seed in
                let url = folder.appendingPathComponent("\(configuration)/\(seed)")
                let record = url.appendingPathComponent("record.json").path
                return FileManager.default.fileExists(atPath: record) ? ("\(configuration)/\(seed)", url) : nil
            }
        }
    }
}
