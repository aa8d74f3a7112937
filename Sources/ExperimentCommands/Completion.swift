import ArgumentParser
import ExperimentKit
import Foundation

extension CompletionKind {
    /// The names that `list` prints.
    static func configurations<Work: Experiment>(of experiment: Work.Type) -> CompletionKind {
        .custom { _, _, _ in
            guard let folder = try? configurationFolder(of: experiment) else { return [] }
            return ((try? ConfigurationFile.all(in: folder)) ?? []).map { $0.deletingPathExtension().lastPathComponent }
        }
    }

    /// The committed runs by name, and folders of runs by path.
    static func runs<Work: Experiment>(of experiment: Work.Type) -> CompletionKind {
        .custom { _, _, typed in
            let committed = ProjectFolder.locate()?.experiment(Work.program).appendingPathComponent("runs")
            return (committed.map { runs(in: $0).map { RunFolder(url: $0).name } } ?? []) + paths(typed)
        }
    }

    /// What `modelLocation` finds: the committed weights by name, folders of runs and files of weights by path.
    public static func models(of experiment: String) -> CompletionKind {
        .custom { _, _, typed in
            let weights = ProjectFolder.locate().map {
                CommittedRun.withWeights(in: $0.experiment(experiment)) { _ in }
            }
            return Set((weights ?? []).flatMap { [$0.row, $0.name] }).sorted() + paths(typed, files: "safetensors")
        }
    }

    /// Folders of runs by path.
    static var runFolders: CompletionKind { .custom { _, _, typed in paths(typed) } }

    /// The runs under runs/ in the checkout; as soon as something is typed, the folders that it begins to name too.
    ///
    /// - Parameter files: The extension of files that are wanted as well.
    private static func paths(_ typed: String, files: String? = nil) -> [String] {
        let own = ProjectFolder.locate().map { runs(in: $0.runs).map(\.path) } ?? []
        guard !typed.isEmpty else { return own }
        let head = typed.lastIndex(of: "/").map { String(typed[...$0]) } ?? ""
        let folder = URL(fileURLWithPath: head.isEmpty ? "." : head, isDirectory: true)
        let names = (try? Files.names(in: folder)) ?? []
        return own + Files.readableFolders(in: folder).map { head + $0.lastPathComponent }
            + names.filter { name in files.map { name.hasSuffix(".\($0)") } ?? false }.sorted().map { head + $0 }
    }

    /// CONFIG/SEED in a folder of runs.
    private static func runs(in folder: URL) -> [URL] {
        RunFolder.seeds(in: folder) { _ in }.filter { RunFolder(url: $0).holdsRecord }
    }
}
