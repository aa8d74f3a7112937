import Foundation
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit
@testable import ImageExperiments

@Suite struct KeyReferenceTests {
    private func files(_ folder: URL) throws -> [ConfigurationFile] {
        try ConfigurationFile.all(in: folder).map { try ConfigurationFile(contentsOf: $0) }
    }

    /// The keys of a tree, sections and the elements of lists of sections included.
    private func paths(_ node: ConfigurationNode) -> [String] {
        switch node.content {
        case .scalar: []
        case .sequence(let values): values.flatMap { paths($0).map { "[].\($0)" } }
        case .mapping(let entries):
            entries.flatMap { entry in
                [entry.key] + paths(entry.value).map { entry.key + ($0.hasPrefix("[]") ? $0 : ".\($0)") }
            }
        }
    }

    private func expectComplete(_ reference: KeyReference, _ files: [ConfigurationFile]) {
        #expect(!files.isEmpty)
        let known = Dictionary(uniqueKeysWithValues: reference.keys.map { ($0.path, $0) })
        for path in Set(files.flatMap { paths($0.root) }) {
            #expect(known[path] != nil, "\(path) is in no reference")
        }
        for key in reference.keys {
            #expect(!key.meaning.isEmpty && !key.values.isEmpty, "\(key.path)")
        }
    }

    @Test func everyKeyOfTheCommittedConfigurationsHasItsValuesAndAMeaning() throws {
        let characters = try files(committedConfigurations), images = try files(committedImageConfigurations)
        expectComplete(try KeyReference(of: CharacterConfiguration.self, files: characters), characters)
        expectComplete(try KeyReference(of: ImageConfiguration.self, files: images), images)
    }

    @Test func rangesAndSpellingsAreThoseThatTheDecoderHoldsAFileTo() throws {
        let reference = try KeyReference(of: ImageConfiguration.self, files: try files(committedImageConfigurations))
        func values(_ path: String) throws -> [String] {
            try #require(reference.keys.first { $0.path == path }, "\(path)").values
        }
        #expect(try values("model.blocks") == ["a whole number from 0 to 4,096"])
        #expect(try values("data.splitSeed") == ["a whole number of at least 0"])
        #expect(try values("training.steps") == ["a whole number of at least 1"])
        #expect(try values("training.nesterov.momentum") == ["a number from 0 to 0.999999"])
        #expect(try values("training.learningRate[].untilStep") == ["a whole number of at least 1"])
        #expect(try values("training.learningRate").contains("a list of stages"))
        #expect(try values("training.patience").contains("null"))
        #expect(try values("model.kernels") == ["one of 'owned', 'generated'"])
        #expect(reference.markdown.contains("| `training.l2` | a number from 0 to 1 | coefficient of"))
    }

    @Test func theModelsOwnBoundsAreThoseThatItIsHeldTo() throws {
        let reference = try KeyReference(
            of: CharacterConfiguration.self, files: try files(committedConfigurations))
        for (key, most, other) in [("layers", "1,024", 1025), ("units", "65,536", 65_537)] {
            let path = "model.\(key)"
            #expect(
                reference.keys.first { $0.path == path }?.values == ["a whole number from 1 to \(most)"], "\(path)")
            let file = try TestRun().file
            let root = try file.root.overlaid(with: ["\(path)=\(other)"])
            #expect {
                _ = try CharacterConfiguration(root)
            } throws: { error in
                "\(error)".contains("'\(path)' expects a whole number of at most \(most), found \(other)")
            }
        }
    }

    /// Whichever of them the committed files use.
    @Test func everySpellingOfALearningRateIsInTheReferenceOfEveryExperiment() throws {
        let references = [
            try KeyReference(of: CharacterConfiguration.self, files: try files(committedConfigurations)),
            try KeyReference(of: ImageConfiguration.self, files: try files(committedImageConfigurations)),
        ]
        for reference in references {
            for key in ["[].untilStep", "[].rate", ".peak", ".final", ".warmUpSteps", ".holdUntilStep", ".totalSteps"] {
                let path = "training.learningRate\(key)"
                #expect(reference.keys.contains { $0.path == path && !$0.values.isEmpty }, "\(path)")
            }
        }
    }

    @Test func aSectionStandsBeforeItsKeys() throws {
        let paths = try KeyReference(of: CharacterConfiguration.self, files: try files(committedConfigurations)).keys
            .map(\.path)
        for path in paths {
            let parent = path.split(separator: ".").dropLast().joined(separator: ".")
                .replacingOccurrences(of: "[]", with: "")
            guard !parent.isEmpty else { continue }
            #expect(try #require(paths.firstIndex(of: parent)) < (try #require(paths.firstIndex(of: path))))
        }
    }

    @Test func nothingIsRecordedOutsideAReference() throws {
        _ = try CharacterConfiguration(try TestRun().file.root)
        #expect(KeyReference.current == nil)
    }
}
