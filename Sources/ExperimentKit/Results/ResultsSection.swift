import Foundation

/// The part of RESULTS.md that one experiment makes from its committed configurations and records.
public protocol ResultsSection {
    /// The experiment's program and folder, such as `char-hyperlstm`.
    var experiment: String { get }
    var section: String { get }
    var figures: [CurveFigure] { get }
}

extension ResultsSection {
    /// The files that the records give, by path relative to the checkout.
    func files(existingDocument: String) -> [(path: String, text: String)] {
        var document = ResultsDocument(existingDocument)
        document.replace(id: experiment, body: section)
        return [("RESULTS.md", document.text)] + figures.map { ($0.path, $0.chart.svg) }
    }

    /// Files that are not what the records give.
    public func staleFiles(project: ProjectFolder) throws -> [String] {
        let existing = (try? String(contentsOf: project.results, encoding: .utf8)) ?? ""
        return files(existingDocument: existing).filter { file in
            (try? String(contentsOf: project.url.appendingPathComponent(file.path), encoding: .utf8)) != file.text
        }.map(\.path)
    }

    /// Writes RESULTS.md and the figures.
    ///
    /// - Returns: the paths written, relative to the checkout.
    /// - Throws: `RecordError.unwritable`.
    public func write(project: ProjectFolder) throws -> [String] {
        let existing = (try? String(contentsOf: project.results, encoding: .utf8)) ?? ""
        var written: [String] = []
        for file in files(existingDocument: existing) {
            let url = project.url.appendingPathComponent(file.path)
            do {
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(file.text.utf8).write(to: url, options: .atomic)
            } catch {
                throw RecordError.unwritable(path: url.path, reason: "\(error)")
            }
            written.append(file.path)
        }
        return written
    }

    /// Where records come from: commit, machine, libraries.
    func provenanceTable(_ runs: [(record: RunRecord, path: String)]) -> String {
        guard !runs.isEmpty else { return "" }
        let rows = runs.map { record, path -> [String] in
            let dirty = record.code.treeDirty == true ? ", with uncommitted changes" : ""
            let machine = record.environments.last
            return [
                "[`\(record.configuration)`, seed \(record.seed)](\(path)/record.json)",
                "`\(record.code.commit.prefix(10))`\(dirty)", machine.map { "\($0.cpu), \($0.threads) threads" } ?? "-",
                machine.map { "\($0.blas); \($0.simd); \($0.swift)" } ?? "-",
                record.data.official || record.data.isSample
                    ? record.data.displayName : "\(record.data.displayName) (not the official file)",
            ]
        }
        return "### Where each record was made\n\n"
            + markdownTable(["run", "commit", "machine", "libraries", "data"], rows)
    }
}
