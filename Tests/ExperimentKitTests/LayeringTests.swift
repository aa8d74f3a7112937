import Foundation
import Testing

@testable import ExperimentKit

/// The modules of the package may import only what stands below them.
@Suite struct LayeringTests {
    /// The targets of the package in the order of Package.swift, with the modules that each declares.
    private static func targets() throws -> [(name: String, dependencies: Set<String>)] {
        let package = try String(contentsOf: checkout.url.appendingPathComponent("Package.swift"), encoding: .utf8)
            .replacing(/, package: "[^"]+"/, with: "")
        let target =
            /\.(?:target|executableTarget|testTarget|systemLibrary)\(\s*name: "([^"]+)"(?:,\s*dependencies: \[([^\]]*)\])?/
        return package.matches(of: target).map { match in
            (String(match.1), Set((match.2 ?? "").matches(of: /"([^"]+)"/).map { String($0.1) }))
        }
    }

    /// What every target may import.
    private static let system: Set<String> = ["Foundation", "Synchronization", "Glibc"]

    /// The module of an `import` line, whatever stands before and after it; nil for other lines.
    static func importedModule(_ line: Substring) -> String? {
        var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
        while let first = words.first,
            first.hasPrefix("@") || ["public", "package", "internal", "private"].contains(first)
        {
            words.removeFirst()
        }
        guard words.first == "import" else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        guard let name = words.dropFirst().first(where: { !kinds.contains($0) }) else { return nil }
        return name.split(separator: ".").first.map(String.init)
    }

    private static func violations(in source: String, of dependencies: Set<String>) -> [String] {
        source.split(separator: "\n").compactMap(importedModule)
            .filter { !system.contains($0) && !dependencies.contains($0) }
    }

    @Test func everyTargetDependsOnWhatStandsAboveItInThePackage() throws {
        var above: Set<String> = ["Yams", "ArgumentParser"]
        // What stands above a module and is none of its business all the same (docs/architecture.md).
        let unknown = [
            "NeuralNetwork": ["Datasets", "Processes"], "HyperNetworks": ["Datasets", "Processes"],
            "PaperFigures": ["Datasets"], "ImageExperiments": ["CharacterExperiments"],
        ]
        for (name, dependencies) in try Self.targets() {
            #expect(dependencies.isSubset(of: above), "\(name): \(dependencies.subtracting(above))")
            #expect(dependencies.isDisjoint(with: unknown[name] ?? []), "\(name)")
            above.insert(name)
        }
    }

    /// What a target imports and does not declare is found by chance alone.
    @Test func everyImportIsDeclared() throws {
        let targets = Dictionary(uniqueKeysWithValues: try Self.targets().map { ($0.name, $0.dependencies) })
        var count = 0
        for parent in ["Sources", "experiments", "Tests"] {
            let names = try FileManager.default.contentsOfDirectory(
                atPath: checkout.url.appendingPathComponent(parent).path)
            for target in names where !target.hasPrefix(".") {
                let folder = checkout.url.appendingPathComponent("\(parent)/\(target)")
                // Some of the tests are programs and scripts with packages of their own.
                if parent == "Tests", targets[target] == nil { continue }
                let dependencies = try #require(targets[target], "\(folder.path) is no target").union([
                    target, "Testing",
                ])
                let files = try #require(FileManager.default.enumerator(atPath: folder.path))
                for case let file as String in files where file.hasSuffix(".swift") {
                    var source = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
                    // Indented ones are of programs in Python that a test writes.
                    if parent == "Tests" { source.replace(/(?m)^ +import.*$/, with: "") }
                    #expect(Self.violations(in: source, of: dependencies) == [], "\(target)/\(file)")
                    count += 1
                }
            }
        }
        #expect(count > 100)
    }

    /// The page of the architecture is in step with the folders.
    @Test func everySourceThatTheArchitecturePageNamesExists() throws {
        let page = try String(contentsOf: checkout.url.appendingPathComponent("docs/architecture.md"), encoding: .utf8)
        let paths = page.matches(of: /`((?:Sources|Tests|python)\/[\w\/.]+)`/).map { String($0.1) }
        #expect(paths.count > 20)
        for path in paths {
            #expect(FileManager.default.fileExists(atPath: checkout.url.appendingPathComponent(path).path), "\(path)")
        }
    }

    @Test func anImportThatIsNotDeclaredIsFound() {
        for (source, found) in [
            ("import Foundation\n@testable import Datasets\n", ["Datasets"]),
            ("@_exported public import struct HyperNetworks.A", ["HyperNetworks"]),
            ("@_exported import Compute // import Yams", []),
        ] {
            #expect(Self.violations(in: source, of: ["Compute"]) == found)
        }
    }

    /// A write to a stream that is gone must be an error and not the end of the process.
    @Test func programsWriteThroughTheirChannelsAlone() throws {
        let forbidden = try Regex(#"(^|[^.\w])(print|debugPrint|fputs|fwrite)\(|FileHandle\.standard"#)
        for folder in ["Sources", "experiments"].map(checkout.url.appendingPathComponent) {
            for case let file as String in try #require(FileManager.default.enumerator(atPath: folder.path))
            where file.hasSuffix(".swift") {
                let source = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
                for (number, line) in source.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                    #expect(line.firstMatch(of: forbidden) == nil, "\(file):\(number + 1): \(line)")
                }
            }
        }
    }

    @Test func librariesNeitherPrintNorExit() throws {
        let sources = checkout.url.appendingPathComponent("Sources")
        let files = try #require(FileManager.default.enumerator(atPath: sources.path)).compactMap { $0 as? String }
            .filter { $0.hasSuffix(".swift") }
        let forbidden = try Regex(#"(^|[^.\w])(print|debugPrint|_?exit|fatalError)\(|try!"#)
        // Where there is no memory left, nothing can be thrown.
        for file in files where file != "Compute/TensorMemory.swift" {
            let source = try String(contentsOf: sources.appendingPathComponent(file), encoding: .utf8)
            for (number, line) in source.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                let code = line.trimmingCharacters(in: .whitespaces)
                guard !code.hasPrefix("//") else { continue }
                #expect(code.firstMatch(of: forbidden) == nil, "\(file):\(number + 1): \(code)")
            }
        }
    }
}
