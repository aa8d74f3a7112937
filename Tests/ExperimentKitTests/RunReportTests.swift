import Figures
import Foundation
import TestSupport
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
                seed: seed, data: run.data, out: out,
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
        RunReport(
            try folders.flatMap {
                try RecordedRun<CharacterExperiment>.all(in: $0) { Issue.record("left out: \($0)") }
            })
    }

    @Test func theTableHasALineARunAndTheMeanOverSeeds() throws {
        let (run, out) = try Self.folder()
        defer { withExtendedLifetime(run) {} }
        let text = try Self.report(out).text(width: nil)
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

    @Test func onANarrowTerminalEachRowIsABlock() {
        let rows = [
            ["run", "steps", "test", "status"], ["small", "1,000", "1.31", "finished"], ["wide", "20", "-", ""],
        ]
        let columns = """
            run    steps  test  status
            -----  -----  ----  --------
            small  1,000  1.31  finished
            wide   20     -
            """
        #expect(alignedColumns(rows) == columns && alignedColumns(rows, width: 28) == columns)
        #expect(
            alignedColumns(rows, width: 27) == """
                small
                  steps   1,000
                  test    1.31
                  status  finished

                wide
                  steps  20
                  test   -
                """)
    }

    @Test func aRunNamedTwiceIsShownOnce() throws {
        let (run, out) = try Self.folder()
        defer { withExtendedLifetime(run) {} }
        let small = out.appendingPathComponent("small")
        let twice = try Self.report(small, small.appendingPathComponent("0"))
        #expect(try twice.text(width: nil) == Self.report(small).text(width: nil))
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

    /// The first that reads a page of the temporary folder, which a browser in a sandbox of its own may not see.
    private static let browser = ["chromium", "chromium-browser", "google-chrome"].first { browser in
        guard let folder = try? TemporaryFolder(), let page = try? folder.write("<p>here</p>", to: "page.html") else {
            return false
        }
        return content(of: page, read: browser)?.contains("here") == true
    }

    /// A page as a browser holds it.
    private static func content(of page: URL, read browser: String) -> String? {
        SystemCommand([
            browser, "--headless", "--no-sandbox", "--disable-gpu",
            "--user-data-dir=\(page.deletingLastPathComponent().path)/browser", "--dump-dom", "file://\(page.path)",
        ])?.output
    }

    /// A browser mends a page that is not well formed: what it holds afterwards must be what was written.
    @Test(.enabled(if: browser != nil, "needs chromium"))
    func aBrowserHasEveryPartOfThePage() throws {
        let (run, out) = try Self.folder()
        let grid = ImageGrid(
            title: "a < b & \"c\"", caption: "", scale: (1, 1),
            rows: [.init(name: "row", cells: [.init(name: "cell", image: Raster(width: 2, height: 2))])])
        let page = try Self.report(out).html(pictures: [grid.svg])
        let file = try run.folder.write(page, to: "page.html")
        let browser = try #require(Self.browser), read = try #require(Self.content(of: file, read: browser))
        for part in [
            "<h2>", "<p>", "<table", "<tr", "<th", "<td", "<svg", "<text", "<polyline", "<image", "mean ± s.d.",
        ] {
            let count = page.components(separatedBy: part).count
            #expect(count > 1 && read.components(separatedBy: part).count == count, "\(part)")
        }
    }

    @Test func damagedRunsAmongOthersAreLeftOutWithAWordEach() throws {
        let (run, out) = try Self.folder()
        defer { withExtendedLifetime(run) {} }
        func recorded(_ folder: URL) throws -> (names: [String], words: [String]) {
            var words: [String] = []
            let runs = try RecordedRun<CharacterExperiment>.all(in: folder) { words.append("\($0)") }
            return (runs.map { "\($0.record.configuration)/\($0.record.seed)" }, words)
        }
        let record = out.appendingPathComponent("small/1/record.json")
        let log = out.appendingPathComponent("small/0/steps.jsonl")
        try Data("{".utf8).write(to: record)
        var (names, words) = try recorded(out)
        #expect(names == ["small/0", "wide/0"])
        #expect(words.count == 1 && words[0].hasPrefix("\(record.path): cannot be read"), "\(words)")
        // A finished run whose log lacks its first line.
        let lines = try String(contentsOf: log, encoding: .utf8)
        try Data(lines[lines.index(after: try #require(lines.firstIndex(of: "\n")))...].utf8).write(to: log)
        try FileManager.default.removeItem(at: out.appendingPathComponent("wide/0/config.yaml"))
        // Alone, or all of them: it is said what is wrong.
        for folder in ["small/1", "small", ""] {
            #expect(throws: RecordError.self) { try recorded(out.appendingPathComponent(folder)) }
        }
        try Data(lines.utf8).write(to: log)
        (names, words) = try recorded(out)
        #expect(names == ["small/0"] && words.count == 2 && words[1].contains("config.yaml is missing"), "\(words)")
    }

    @Test func aFolderWithoutRunsAndARunOfAnotherProgramAreNamed() throws {
        let folder = try TemporaryFolder()
        #expect(throws: RecordError.noRun(path: folder.path)) { try Self.report(folder.url) }
        let other = checkout.experiment("static-hypernet").appendingPathComponent("runs/table7-convnet/0")
        #expect(
            throws: RecordError.otherProgram(
                path: other.path, expected: "char-hyperlstm", found: "static-hypernet")
        ) { try Self.report(other) }
    }
}
