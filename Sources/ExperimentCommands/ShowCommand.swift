import ArgumentParser
import ExperimentKit
import Foundation

/// `show`: a configuration with every key that it states, whatever it is based on.
public struct Show<Work: Experiment>: ParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "show",
            abstract: "Print a configuration, and what differs from its row's full settings.",
            discussion: """
                CONFIG is a path or a name from `\(Work.program) list`. What is printed is itself a configuration file. \
                What each key means: docs/configuration.md.
                """)
    }

    @Argument(help: "A configuration: a YAML file, or a name from `list`.", completion: .configurations(of: Work.self))
    var config: String
    @Option(name: .customLong("set"), help: "key.path=value, may be repeated.")
    var overrides: [String] = []
    @Flag(help: "Print one JSON document.")
    var json = false
    @OptionGroup var project: ProjectOption

    public init() {}

    public func run() throws {
        let configuration = try namedConfiguration(config, of: Work.self, overrides: overrides)
        let file = configuration.file, count = Work.parameterCount(configuration.values, nil)
        guard !json else {
            return try writeResult(
                .object([
                    "configuration": .text(file.name), "parameters": .count(count), "settings": file.root.json,
                    "differences": try JSONValue(encoding: file.differences),
                ]))
        }
        var lines = ["# \(file.name): \(grouped(count)) parameters"]
        if !file.differences.isEmpty { lines.append("# Differs from the row's full settings in:") }
        lines += file.differences.bySection.map { "#   \($0.key): \($0.base) → \($0.value)" }
        try writeResult(lines.joined(separator: "\n") + "\n" + file.root.yaml, terminator: "")
    }
}
