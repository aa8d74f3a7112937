import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation

/// Puts what `compare` measured into the documents.
struct TablesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tables",
        abstract:
            "Writes experiments/benchmarks/RESULTS.md, the README's table of speed and docs/scaling.md from what was"
            + " measured.",
        discussion:
            "Reads from experiments/benchmarks/measured one file for each kind of machine, by `compare`; scaling-*, by"
            + " scaling.py; and exchange-*, by network.sh.")

    @Flag(help: "Write nothing; fail if a document is not what the measurements give.") var check = false
    @OptionGroup var project: ProjectOption

    func run() throws {
        let project = try projectFolder()
        let folder = project.url.appendingPathComponent("experiments/benchmarks")
        let measured = folder.appendingPathComponent("measured")
        let comparisons = try ["amx-", "avx512-", "avx2-", "portable-"].flatMap {
            try Self.all($0, Comparison.self, in: measured).map(\.value)
        }
        let results = folder.appendingPathComponent("RESULTS.md")
        let readme = project.url.appendingPathComponent("README.md")
        let text = try String(contentsOf: readme, encoding: .utf8)
        let replaced = try Self.replacing("benchmarks", Self.summary(comparisons), in: text, of: "README.md")
        let scaling = project.url.appendingPathComponent("docs/scaling.md")
        let page = try Self.scalingPage(measured, project)
        var pageText = try String(contentsOf: scaling, encoding: .utf8)
        for (id, body) in page.sections {
            pageText = try Self.replacing(id, body, in: pageText, of: "docs/scaling.md")
        }
        let figure = project.url.appendingPathComponent("docs/scaling.svg")
        let documents = [
            (results, Self.results(comparisons)), (readme, replaced), (scaling, pageText), (figure, page.figure),
        ]
        for (url, text) in documents
        where (try? String(contentsOf: url, encoding: .utf8)) != text {
            guard !check else {
                throw UserError(description: "\(url.path) is stale; run `benchmarks tables`")
            }
            try Files.write([UInt8](text.utf8), to: url)
            note("wrote \(url.path)")
        }
    }

    /// A document with one section put anew.
    ///
    /// - Throws: `UserError` naming the file where it lacks the section's markers, or one of them.
    private static func replacing(_ id: String, _ body: String, in text: String, of file: String) throws -> String {
        guard let replaced = try? SectionedDocument.replacing(id: id, body: body, in: text) else {
            throw UserError(
                description: "\(file): expected the line '<!-- \(id): begin -->' and below it '<!-- \(id): end -->'")
        }
        return replaced
    }

    /// What the JSON files of a folder hold whose names begin so, by name.
    ///
    /// - Throws: `RecordError.unreadable`.
    private static func all<Value: Decodable>(
        _ prefix: String, _ type: Value.Type, in folder: URL
    ) throws -> [(file: URL, value: Value)] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasPrefix(prefix) && $0.hasSuffix(".json") }.sorted()
            .map { name in
                let file = folder.appendingPathComponent(name)
                let remedy = "put it back as it was committed, or measure anew"
                return (file: file, value: try StableJSON.decode(type, at: file, remedy: remedy))
            }
    }

    /// The measurements of one run on several processes.
    private static func scalingPage(_ measured: URL, _ project: ProjectFolder) throws -> ScalingPage {
        let steps = try StepKind.allCases.compactMap { kind -> (StepKind, Int)? in
            guard let row = kind.paperRow else { return nil }
            let configs = project.experiment(row.program).appendingPathComponent("configs")
            let file = try ConfigurationFile(
                contentsOf: configs.appendingPathComponent("\(row.configuration).yaml"))
            return file.root["training"]?["steps"]?.integer.map { (kind, $0) }
        }
        return try ScalingPage(
            machines: try all("scaling-", ScaledSteps.self, in: measured),
            exchanges: try all("exchange-", Exchange.self, in: measured).map(\.value),
            paperSteps: Dictionary(uniqueKeysWithValues: steps))
    }

    private static func results(_ comparisons: [Comparison]) -> String {
        let sections = comparisons.map { "\n## A processor with \($0.kindOfMachine)\n\n\($0.text)" }
        return """
            # Training steps, timed

            Written by `make bench`; not edited by hand.

            Seconds for one training step (characters: batch 128 × 100 characters; images: batch 128), here and in the
            fastest PyTorch mode that ran, eager or compiled (`lstm`: `torch.nn.LSTM`, which has no compiled mode; without
            dropout, as that has none inside); a ratio below 1 means that this suite is faster. The
            `hyper-wrn` rows are compared with PyTorch's plain Wide ResNet. `ln` is Layer Norm, `wrn` Wide ResNet.

            """ + sections.joined()
    }

    /// Ratios of all steps on every kind of machine, for the README; memory hardly depends on the machine.
    private static func summary(_ comparisons: [Comparison]) -> String {
        let kinds = comparisons.flatMap { $0.steps.map(\.kind) }.uniqued()
        let header =
            ["step"] + comparisons.flatMap { ["\($0.kindOfMachine): ours / PyTorch, s", "ratio"] }
            + ["peak memory, ratio"]
        let rows = kinds.map { kind -> [String] in
            let steps = comparisons.map { $0.steps.first { $0.kind == kind } }
            let times = steps.flatMap { step -> [String] in
                guard let step else { return ["–", "–"] }
                return [
                    "\(fixed(step.ours.median, 2)) / \(step.peer.map { fixed($0.median, 2) } ?? "–")",
                    step.ratio.map { fixed($0, 2) } ?? "–",
                ]
            }
            let memory = steps.compactMap { $0?.memoryRatio }
            let range = memory.min().map { least in
                let most = memory.max() ?? least
                return fixed(least, 2) + (fixed(most, 2) == fixed(least, 2) ? "" : " to \(fixed(most, 2))")
            }
            return [kind] + times + [range ?? "–"]
        }
        return markdownTable(header, rows) + "\n\n" + comparisons.map(\.provenance).joined(separator: "\n\n")
    }
}
