import Foundation
import TestSupport
import Testing

@testable import ExperimentKit

/// What the build writes into the program about its sources: `Plugins/WriteSourceCommit/write.sh`.
@Suite struct SourceCommitTests {
    @discardableResult private func shell(_ command: String, in folder: URL) throws -> String {
        try #require(SystemCommand(["sh", "-c", "cd '\(folder.path)' && \(command)"])).output
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The line that the script writes for a project: its commit, whether the code differs, why the commit is unknown.
    private func found(_ project: URL, path: String? = nil) throws -> String {
        let script = checkout.url.appendingPathComponent("Plugins/WriteSourceCommit/write.sh").path
        let folder = try TemporaryFolder(), environment = path.map { "PATH=\($0) " } ?? ""
        try shell("\(environment)/bin/sh '\(script)' '\(project.path)' found.swift", in: folder.url)
        let text = try String(contentsOf: folder.url.appendingPathComponent("found.swift"), encoding: .utf8)
        return try #require(text.split(separator: "\n").first { $0.hasPrefix("    (") })
            .trimmingCharacters(in: .whitespaces)
    }

    /// A commit that was rewritten after its program ran is no origin. Without the history, as in a shallow clone, it
    /// is not looked at.
    @Test func theCommitsOfCommittedRecordsAreInTheHistory() throws {
        func git(_ arguments: String...) -> SystemCommand? {
            SystemCommand(["git", "-C", checkout.url.path] + arguments)
        }
        guard git("rev-parse", "--is-shallow-repository")?.output.hasPrefix("false") == true else { return }
        var places: [String: String] = [:]
        for program in ["char-hyperlstm", "static-hypernet"] {
            for run in CommittedRun.all(in: checkout.experiment(program), damaged: { Issue.record("\($0)") }) {
                for code in [run.record.code] + (run.record.sittings ?? []).map(\.code) {
                    places[code.commit] = run.folder.path
                }
            }
        }
        #expect(!places.isEmpty)
        for (commit, place) in places {
            #expect(git("merge-base", "--is-ancestor", commit, "HEAD")?.status == 0, "\(place): \(commit)")
        }
    }

    private func repository() throws -> (folder: TemporaryFolder, head: String) {
        let folder = try TemporaryFolder(), author = "-c user.name=a -c user.email=a@b -c commit.gpgsign=false"
        try shell("git init && git \(author) commit --allow-empty -m one", in: folder.url)
        let head = try shell("git rev-parse HEAD", in: folder.url)
        #expect(head.count == 40)
        return (folder, head)
    }

    @Test func recordsAndDocumentsAreNoChangesOfTheCodeAndOtherFilesAre() throws {
        let (folder, head) = try repository()
        #expect(try found(folder.url) == "(\"\(head)\", false, nil)")
        try shell(
            "mkdir -p docs experiments/a/runs/b experiments/a/cross-check && touch experiments/a/runs/b/record.json"
                + " experiments/a/cross-check/lstm.json RESULTS.md docs/deviations.md",
            in: folder.url)
        #expect(try found(folder.url) == "(\"\(head)\", false, nil)")
        try shell("touch new.swift", in: folder.url)
        #expect(try found(folder.url) == "(\"\(head)\", true, nil)")
    }

    /// A source archive unpacked inside somebody's own repository is not at that repository's commit.
    @Test func theCommitOfARepositoryAroundTheProjectIsNotItsOwn() throws {
        let (folder, _) = try repository()
        try shell("mkdir hypernetworks", in: folder.url)
        let project = folder.url.appendingPathComponent("hypernetworks")
        #expect(try found(project).hasPrefix("(nil, nil, \"the project lay in another repository"))
    }

    @Test func whyThereIsNoCommitIsSaid() throws {
        let folder = try TemporaryFolder()
        #expect(try found(folder.url).hasPrefix("(nil, nil, \"the project was no git checkout"))
        #expect(try found(folder.url, path: "/nonexistent").hasPrefix("(nil, nil, \"no git"))
        try shell("git init", in: folder.url)
        #expect(try found(folder.url).hasPrefix("(nil, nil, \"the project had no commit"))
    }

    @Test func theProgramKnowsItsCommitOrWhyNot() {
        let code = RunRecord.Code.current
        #expect(code.commit.count == 40 ? code.unknownBecause == nil : code.unknownBecause?.isEmpty == false)
    }
}
