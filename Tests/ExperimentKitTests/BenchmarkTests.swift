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

    /// What is there is neither passed over nor replaced.
    @Test func measurementsThatCannotBeReadAreNotReplaced() throws {
        let folder = try TemporaryFolder(), file = try folder.write("{", to: "exchange.json")
        for path in [file.path, folder.url.path] {
            let outcome = try Self.program.run(["exchange", "--network", "none", "--output", path])
            #expect(
                outcome.status == 1 && outcome.errors.contains("\(path): expected measurements"), "\(outcome.errors)")
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == "{")
    }
}
