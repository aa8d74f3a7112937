import Foundation

extension ExperimentResults {
    /// The files that the records give, by path relative to the checkout.
    ///
    /// - Parameter existing: The text of a file as it is; empty where there is none.
    /// - Throws: `RecordError.unreadable`, and what `existing` throws.
    func files(existing: (String) throws -> String) throws -> [(path: String, text: String)] {
        func unpaired(_ path: String, _ error: SectionedDocument.UnpairedMarkers) -> RecordError {
            .unreadable(path: path, reason: "\(error): put it back as it was committed")
        }
        func sectioned(
            _ path: String, _ preamble: String, _ parts: [(id: String, body: String)]
        ) throws -> (path: String, text: String) {
            let text = try existing(path)
            var document: SectionedDocument
            do {
                document = try SectionedDocument(preamble: preamble, text)
            } catch {
                throw unpaired(path, error)
            }
            for part in parts { document.replace(id: part.id, body: part.body) }
            return (path, document.text)
        }
        let id = Work.program
        var files = [
            try sectioned(
                "RESULTS.md", resultsPreamble,
                [("Paper: \(Work.paper.name)", paper), ("Summary: \(id)", summary), (id, section)]),
            try sectioned(
                "docs/deviations.md",
                "# Where the paper is silent or contradicts itself, and what the runs here do\n\n" + madeBy,
                [(id, deviations)]),
            try sectioned("docs/provenance.md", "# Where each record was made\n\n" + madeBy, [(id, provenance)]),
            try sectioned(
                "docs/configuration.md",
                """
                # The keys of a configuration

                \(madeBy)
                Every key must appear in a file or in the one that its `base:` names (a path, from the file's own folder), unless
                its meaning says that it may be left out. `--set key.path=value` puts another value in a key's place, and
                `show CONFIG` prints what a name stands for.
                Whole numbers without another bound are at most 1,000,000,000, seeds excepted. A run that needs more memory than there is ends
                before its first step, naming the keys.

                """, [(id, keyReference)]),
        ]
        // Written by hand, with a place for what the records give.
        for (path, id, body) in [
            ("README.md", "Summary: \(id)", summaryOfRuns), ("docs/cross-check.md", id, crossChecks.section),
        ] {
            let before = try existing(path)
            do {
                let text = try SectionedDocument.replacing(id: id, body: body, in: before)
                if let text { files.append((path, text)) }
            } catch {
                throw unpaired(path, error)
            }
        }
        return files + figures.map { ($0.path, $0.chart.svg) } + crossChecks.figures.map { ($0.path, $0.chart.svg) }
    }

    private var madeBy: String {
        "Made by the experiments' `results` commands (`make results`) and never edited by hand.\n"
    }

    private var resultsPreamble: String {
        """
        # Results

        Made from the committed records by `make results` and never edited by hand; `make results-check` fails when it is not
        what the records give.

        ## Summary

        The tables list each row of a paper with its longest run here (most parameters × training data; among equals the run with
        the settings as they stand now, then the one with more seeds, then the better validation), its budget, and n, the number of seeds. The budget `paper`
        is a row's full settings: what the paper states, and this suite's choice where it states nothing. A row is
        *reproduced* when the mean test figure over its seeds, at full settings, lies within the tolerance that its
        configuration stated before the run. Each verdict also gives two yardsticks for the difference: the standard error of a figure on a test split of that size (√(p (1 − p) / N) for
        errors; not recorded for bits) and the standard deviation over seeds. A reduced budget gets no verdict, and rows at
        different budgets cannot be compared with each other. Validation chooses the checkpoint; the test split is read once,
        after that. What a paper leaves open: [docs/deviations.md](docs/deviations.md); machines and times:
        [docs/provenance.md](docs/provenance.md).

        """
    }

    /// Reads the files of a checkout. One that is there and cannot be read is not taken for absent: the sections of the
    /// other programs in it would be lost.
    private func existing(in project: ProjectFolder) -> (String) throws -> String {
        { path in
            let url = project.url.appendingPathComponent(path)
            guard try Files.exists(url) else { return "" }
            guard let text = String(validating: try Files.bytes(of: url), as: UTF8.self) else {
                throw RecordError.unreadable(
                    path: url.path, reason: "not UTF-8 text: put it right, or back as it was committed")
            }
            return text
        }
    }

    /// Files that are not what the records give.
    ///
    /// - Throws: `RecordError.unreadable`.
    public func staleFiles(project: ProjectFolder) throws -> [String] {
        let existing = existing(in: project)
        return try files(existing: existing).filter { try existing($0.path) != $0.text }.map(\.path)
    }

    /// Writes the documents and the figures.
    ///
    /// - Returns: The paths written, relative to the checkout.
    /// - Throws: `RecordError.unreadable` before anything is written; `RecordError.unwritable`.
    public func write(project: ProjectFolder) throws -> [String] {
        var written: [String] = []
        for file in try files(existing: existing(in: project)) {
            let url = project.url.appendingPathComponent(file.path)
            try Files.makeFolder(url.deletingLastPathComponent())
            try Files.write([UInt8](file.text.utf8), to: url)
            written.append(file.path)
        }
        return written
    }
}
