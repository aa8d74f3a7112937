import Foundation
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite struct RunReportTests {
    /// Two seeds of one configuration, one of another that was stopped.
    private static func folder() throws -> (run: TestRun, out: URL) {
        let run = try TestRun()
        let out = run.folder.url.appendingPathComponent("runs")
        func train(_ name: String, seed: Int, overrides: [String] = [], stopAt step: Int? = nil) throws {
            let url = try run.folder.write(TestRun.yaml, to: "\(name).yaml")
            let interruption = Interruption()
            let training = try CharacterRun(
                beginning: try NamedConfiguration(try ConfigurationFile(contentsOf: url, overrides: overrides)),
                seed: seed, data: run.corpus, out: out,
                code: RunRecord.Code(commit: "0123456789abcdef", treeDirty: nil),
                progress: step.map { StopAtStep($0, interruption) } ?? SilentProgress(), interruption: interruption)
            _ = try training.run()
        }
        try train("small", seed: 0)
        try train("small", seed: 1)
        try train("wide", seed: 0, overrides: ["model.units=16"], stopAt: 20)
        return (run, out)
    }

    private static func report(_ folders: URL...) throws -> RunReport<CharacterExperiment> {
        RunReport(try folders.flatMap { try RecordedRun<CharacterExperiment>.all(in: $0) })
    }

    @Test func theTableHasALineARunAndTheMeanOverSeeds() throws {
        let (run, out) = try Self.folder()
        defer { withExtendedLifetime(run) {} }
        let text = try Self.report(out).text
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.count { $0.hasPrefix("small ") } == 3)
        let figures = try (0...1).map { seed in
            try #require(
                try RunRecord(contentsOf: out.appendingPathComponent("small/\(seed)/record.json")).test?.bits)
        }
        let mean = try #require(lines.first { $0.contains("mean ± s.d.") })
        #expect(mean.contains(try #require(SeedStatistics(figures)).text(decimals: 4)))
        let stopped = try #require(lines.first { $0.hasPrefix("wide ") })
        #expect(stopped.contains("20 of 40") && stopped.contains("so far") && stopped.contains("interrupted"))
        #expect(lines.contains { $0.hasPrefix("model.units") && $0.contains("12") && $0.contains("16") })
        #expect(!text.contains("model.layers"), "a setting that is the same in all is not listed")
    }

    @Test func aRunNamedTwiceIsShownOnce() throws {
        let (run, out) = try Self.folder()
        defer { withExtendedLifetime(run) {} }
        let small = out.appendingPathComponent("small")
        #expect(try Self.report(small, small.appendingPathComponent("0")).text == (try Self.report(small).text))
    }

    @Test func thePageStandsAlone() throws {
        let (run, out) = try Self.folder()
        defer { withExtendedLifetime(run) {} }
        let page = try Self.report(out).html(now: Date(timeIntervalSince1970: 0))
        for part in [
            ">small</td>", "mean ± s.d.", "<svg", "validation by time", "small, seed 1",
            "<code>0123456789</code>", "Sittings", ">model.units</td>",
        ] { #expect(page.contains(part), "\(part)") }
        // Nothing is fetched: the only addresses are the names of formats.
        let outside = page.replacingOccurrences(of: "http://www.w3.org/2000/svg", with: "")
        for word in ["<script", "src=", "<link", "@import", "url(", "http:", "https:"] {
            #expect(!outside.contains(word), "\(word)")
        }
    }

    @Test func aFolderWithoutRunsAndARunOfAnotherProgramAreNamed() throws {
        let folder = try TemporaryFolder()
        #expect(throws: RecordError.noRun(path: folder.url.path)) { try Self.report(folder.url) }
        let other = checkout.experiment("static-hypernet").appendingPathComponent("runs/table7-convnet/0")
        #expect(
            throws: RecordError.otherProgram(
                path: other.path, expected: "char-hyperlstm", found: "static-hypernet")
        ) { try Self.report(other) }
    }
}
