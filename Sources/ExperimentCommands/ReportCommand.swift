import ArgumentParser
import ExperimentKit
import Foundation

/// The runs that `report` and `compare` are given.
struct RunArguments<Work: Experiment>: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "Folders of runs, finished or not: OUT/CONFIG/SEED, OUT/CONFIG with all its seeds, or OUT; or names of committed runs, or of rows.",
            valueName: "run"), completion: .runs(of: Work.self))
    var runs: [String]

    func report() throws -> RunReport<Work> {
        RunReport(try recorded())
    }

    /// The runs of all arguments. Of several in one folder those that cannot be read are left out, and it is said why.
    func recorded() throws -> [RecordedRun<Work>] {
        try runs.flatMap { try RecordedRun<Work>.all(in: try folder($0)) { note("left out: \($0)") } }
    }

    private func folder(_ argument: String) throws -> URL {
        let experiment = ProjectFolder.locate()?.experiment(Work.program)
        let committed = experiment?.appendingPathComponent("runs/\(argument)")
        let candidates = [URL(fileURLWithPath: argument), committed].compactMap { $0 }
        if let found = candidates.first(where: { FileManager.default.fileExists(atPath: $0.path) }) { return found }
        let runs = experiment.map { CommittedRun.all(in: $0) { note("left out: \($0)") } } ?? []
        if let found = CommittedRun.named(argument, among: runs, tables: Work.tables) { return found.folder }
        let nearest = nearestName(to: argument, among: runs.flatMap { [$0.row, $0.record.configuration] })
        throw UserError(
            description:
                "\(argument): expected a folder of runs, a name in experiments/\(Work.program)/runs or a row by its"
                + " words, such as \(nearest ?? runs.first?.row ?? "lstm"); found none of them")
    }
}

/// `report`: any runs on one page.
public struct Report<Pictures: CheckpointPictures>: ParsableCommand {
    public typealias Work = Pictures.Work

    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "report",
            abstract: "Put runs on one HTML page: figures, curves, pictures, settings, where they were made.",
            discussion: """
                The page stands alone: no network, no scripts. Runs may be finished, under way or stopped; pictures are of \
                the best checkpoint. For example:

                  \(Work.program) report runs --output report.html
                """)
    }

    @OptionGroup var runs: RunArguments<Work>
    @Option(help: "The file that gets the page.", completion: .file(extensions: ["html"]))
    var output = "report.html"
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let report = try runs.report()
        guard (try? FileManager.default.contentsOfDirectory(atPath: output)) == nil else {
            throw UserError(
                description: "--output expects a file, found the folder \(output): such as \(output)/report.html")
        }
        let file = URL(fileURLWithPath: output)
        try requireReplaceable(file, by: "page") {
            String(decoding: try Files.bytes(of: file).prefix(64), as: UTF8.self).lowercased().hasPrefix(
                "<!doctype html")
        }
        try threads.set()
        let page = report.html(pictures: report.runs.flatMap { Pictures.pictures(of: $0)?.pictures.map(\.svg) ?? [] })
        try Files.write([UInt8](page.utf8), to: file)
        note("wrote \(output)")
    }
}

/// `compare`: any runs in one table.
public struct Compare<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "compare",
            abstract: "Print runs side by side: figures, mean and standard deviation over seeds, settings that differ.")
    }

    @OptionGroup var runs: RunArguments<Work>
    @Flag(help: "Print one JSON document: the runs with their records and settings.")
    var json = false
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let report = try runs.report()
        if json {
            try writeResult(try report.json)
        } else {
            try writeResult(report.text(width: terminalWidth(of: STDOUT_FILENO)), terminator: "")
        }
    }
}
