import ExperimentKit
import Foundation
import TestSupport
import Testing

/// The built `benchmarks`, as a user meets it.
@Suite struct BenchmarkTests {
    private static let program = BuiltProgram(name: "benchmarks")

    @Test(arguments: [
        ["step", "lstm", "--steps=9223372036854775807"], ["step", "lstm", "--units=10000000000"],
        ["step", "wrn-40-1", "--batch=9223372036854775807"], ["step", "lstm", "--sequence=0"],
        ["characters", "--count=9223372036854775807"], ["compare", "--rounds=-1"], ["compare", "--steps=0"],
        ["exchange", "--network=none", "--steps=-1"],
    ])
    func aNumberOutOfRangeIsRefusedByItsOption(arguments: [String]) throws {
        let outcome = try Self.program.run(arguments)
        let parts = try #require(arguments.last).split(separator: "=")
        #expect(outcome.status == 64 && outcome.output.isEmpty)
        #expect(outcome.errors.contains("\(parts[0]) expects a whole number from 1 to"), "\(outcome.errors)")
        #expect(outcome.errors.contains("found \(parts[1])"), "\(outcome.errors)")
    }

    @Test(arguments: ["--units=5", "--sequence=5", "--keep=0.5"])
    func whatIsForCharactersIsRefusedForImages(option: String) throws {
        let outcome = try Self.program.run(["step", "wrn-40-1", option])
        #expect(outcome.status == 64 && outcome.errors.contains("are for models of characters"), "\(outcome.errors)")
    }

    @Test(arguments: [
        ("AMD EPYC", "amd"), ("Intel(R) Xeon(R) Processor", "intel"), ("13th Gen Intel(R) Core(TM) i7", "intel"),
        ("unknown", "other"),
    ])
    func aFileIsCalledByTheMakerOfTheProcessor(name: String, maker: String) {
        #expect(processorMaker(name) == maker)
    }

    /// What puts another `python3` in the place of the system's, and holds the program to one set of kernels.
    private static func setting(python script: String, in folder: TemporaryFolder) throws -> String {
        try folder.writeScript(script, to: "bin/python3")
        return "export HYPERNETWORKS_SIMD=portable PATH='\(folder.path("bin"))':\"$PATH\";"
    }

    /// Without PyTorch, or with a kind that is named, a part is measured.
    @Test(arguments: [[], ["lstm"]] as [[String]])
    func aPartOfTheMeasurementsDoesNotTakeThePlaceOfAll(kinds: [String]) throws {
        let folder = try TemporaryFolder(), before = try Self.setting(python: "exit 1", in: folder)
        for maker in ["intel", "amd", "apple", "arm", "other"] {
            try folder.write("{}", to: "measured/portable-\(maker).json")
        }
        let outcome = try Self.program.run(["compare", "--output", folder.path("measured")] + kinds, before: before)
        #expect(
            outcome.status == 1 && outcome.errors.contains("name another folder with --output"), "\(outcome.errors)")
    }

    @Test func aFolderWithoutThePeersIsRefused() throws {
        let folder = try TemporaryFolder(), before = try Self.setting(python: "exit 0", in: folder)
        let outcome = try Self.program.run(["compare", "--peers", folder.path], before: before)
        #expect(
            outcome.status == 1 && outcome.errors.contains("there is no char.py in \(folder.path)"),
            "\(outcome.errors)")
    }

    /// A checkout with what `tables` reads: step times without a rate to compare with, and those of processes in 16
    /// shards.
    private static func project(processes: [Int]) throws -> TemporaryFolder {
        let project = try TemporaryFolder(), measured = "experiments/benchmarks/measured"
        try project.makeCheckout()
        for (document, sections) in [
            ("README.md", ["benchmarks"]), ("docs/scaling.md", ["steps", "messages", "model", "prediction"]),
        ] {
            let markers = sections.map { "<!-- \($0): begin -->\n<!-- \($0): end -->\n" }
            try project.write(markers.joined(), to: document)
        }
        try project.write(
            """
            {"date": "", "cpu": "a", "threads": 1, "blas": "", "simd": "avx2", "sgemm": [], "rounds": 1,
             "stepsARound": 1, "library": [], "steps": [{"kind": "lstm", "ours":
              {"mode": "swift", "parameters": 1, "median": 1, "minimum": 1, "gflops": 1e300, "peak": 1}}]}
            """, to: "\(measured)/avx2-a.json")
        let runs = processes.map {
            #"{"model": "lstm", "processes": \#($0), "threads": 1, "shards": 16, "median": \#(1 / Double($0))}"#
        }
        try project.write(
            #"{"cpu": "a", "physical": 16, "runs": [\#(runs.joined(separator: ", "))]}"#,
            to: "\(measured)/scaling-a.json")
        for experiment in ["char-hyperlstm", "static-hypernet"] {
            try FileManager.default.createSymbolicLink(
                atPath: project.path("experiments/\(experiment)"),
                withDestinationPath: checkout.experiment(experiment).path)
        }
        return project
    }

    @Test func tablesAreMadeOfAnyNumbersAndAnyNumberOfShards() throws {
        let project = try Self.project(processes: [1, 2, 4])
        let outcome = try Self.program.run(["tables", "--project", project.path])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let results = String(decoding: try project.read("experiments/benchmarks/RESULTS.md"), as: UTF8.self)
        #expect(results.contains("| lstm | 1.00 | 1.00 | 1") && results.contains("| - % |"), "\(results)")
        let scaling = String(decoding: try project.read("docs/scaling.md"), as: UTF8.self)
        #expect(scaling.contains("| lstm, computed | 2 | 0.500 | 0.500 |"), "\(scaling)")
    }

    @Test func aFileThatNoModelCanBeFittedToIsNamed() throws {
        let project = try Self.project(processes: [1, 2])
        let outcome = try Self.program.run(["tables", "--project", project.path])
        #expect(
            outcome.status == 1 && outcome.errors.contains("scaling-a.json: expected the step times"),
            "\(outcome.errors)")
    }

    /// What is there is neither passed over nor replaced.
    @Test func measurementsThatCannotBeReadAreNotReplaced() throws {
        let folder = try TemporaryFolder(), file = try folder.write("{", to: "exchange.json")
        for path in [file.path, folder.path] {
            let outcome = try Self.program.run(["exchange", "--network", "none", "--output", path])
            #expect(outcome.status == 1 && outcome.errors.contains("\(path): cannot be read"), "\(outcome.errors)")
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == "{")
    }
}
