import Foundation
import Testing

@testable import ExperimentKit

/// The modules of the package may import only what stands below them.
@Suite struct LayeringTests {
    /// The modules of this package that each target may import.
    private static let allowed: [String: Set<String>] = [
        "Compute": ["CKernels", "COpenBLAS"],
        "Safetensors": [],
        "Processes": ["CMPI"],
        "Datasets": ["CZlib"],
        "NeuralNetwork": ["Compute", "Safetensors"],
        "HyperNetworks": ["NeuralNetwork", "Compute"],
        "SourceCommit": [],
        "ExperimentKit": [
            "Figures", "NeuralNetwork", "Compute", "Datasets", "Processes", "Safetensors", "SourceCommit", "Yams",
        ],
        "CharacterExperiments": ["ExperimentKit", "HyperNetworks", "NeuralNetwork", "Compute", "Datasets"],
        "ImageExperiments": [
            "ExperimentKit", "HyperNetworks", "NeuralNetwork", "Compute", "Datasets", "Safetensors",
        ],
        "Figures": ["CZlib"],
        "PaperFigures": ["Figures", "HyperNetworks", "Compute"],
        "ExperimentCommands": ["ExperimentKit", "Figures", "Compute", "Datasets", "Processes", "ArgumentParser"],
        "char-hyperlstm": [
            "CharacterExperiments", "ExperimentKit", "ExperimentCommands", "PaperFigures", "Figures", "Datasets",
            "ArgumentParser",
        ],
        "static-hypernet": [
            "ImageExperiments", "ExperimentKit", "ExperimentCommands", "PaperFigures", "Figures", "HyperNetworks",
            "Datasets", "ArgumentParser",
        ],
        "benchmarks": [
            "CharacterExperiments", "ExperimentKit", "ExperimentCommands", "Figures", "HyperNetworks", "Processes",
            "Compute", "ArgumentParser",
        ],
    ]
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

    private static func violations(in target: String, source: String) -> [String] {
        source.split(separator: "\n").compactMap(importedModule)
            .filter { !system.contains($0) && !(allowed[target] ?? []).contains($0) }
    }

    @Test func everyImportPointsDownwards() throws {
        let folders = try ["Sources", "experiments"].map(checkout.url.appendingPathComponent).flatMap { parent in
            try FileManager.default.contentsOfDirectory(atPath: parent.path).map(parent.appendingPathComponent)
        }.filter { !["CKernels", "CMPI", "COpenBLAS", "CZlib"].contains($0.lastPathComponent) }
        #expect(Set(folders.map(\.lastPathComponent)) == Set(Self.allowed.keys))
        for folder in folders {
            let target = folder.lastPathComponent
            let files = try #require(FileManager.default.enumerator(atPath: folder.path)).compactMap { $0 as? String }
                .filter { $0.hasSuffix(".swift") }
            #expect(!files.isEmpty)
            for file in files {
                let source = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
                #expect(Self.violations(in: target, source: source) == [], "\(target)/\(file)")
            }
        }
    }

    /// What a target imports and does not declare is found by chance alone.
    @Test func thePackageDeclaresWhatMayBeImported() throws {
        let package = try String(contentsOf: checkout.url.appendingPathComponent("Package.swift"), encoding: .utf8)
            .replacing(/, package: "[^"]+"/, with: "")
        for (target, modules) in Self.allowed {
            let declaration = try Regex(#"arget\(\s*name: "\#(target)"(?:,\s*dependencies: \[([^\]]*)\])?"#)
            let found = try #require(package.firstMatch(of: declaration), "\(target)")
            let names = (found.output[1].substring ?? "").matches(of: /"([^"]+)"/).map { String($0.1) }
            #expect(Set(names) == modules && Set(names).count == names.count, "\(target)")
        }
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

    @Test func anImportUpwardsIsFound() {
        #expect(
            Self.violations(in: "Compute", source: "import Foundation\n@testable import Datasets\n") == ["Datasets"])
        #expect(
            Self.violations(in: "NeuralNetwork", source: "@_exported public import struct HyperNetworks.A") == [
                "HyperNetworks"
            ])
        #expect(Self.violations(in: "NeuralNetwork", source: "@_exported import Compute // import Yams") == [])
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
