import Foundation
import HyperNetworks
import NeuralNetwork
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite struct ConfigurationTests {
    private func decode(_ overrides: [String] = [], replacing: [(String, String)] = []) throws -> CharacterConfiguration
    {
        let folder = try TemporaryFolder()
        var yaml = TestRun.yaml
        for (old, new) in replacing {
            try #require(yaml.contains(old))
            yaml = yaml.replacingOccurrences(of: old, with: new)
        }
        let url = try folder.write(yaml, to: "tiny.yaml")
        return try CharacterConfiguration(try ConfigurationFile(contentsOf: url, overrides: overrides).root)
    }

    private func error(_ overrides: [String] = [], replacing: [(String, String)] = []) throws -> ConfigurationError {
        do {
            _ = try decode(overrides, replacing: replacing)
        } catch let error as ConfigurationError {
            return error
        }
        return try #require(nil, "the configuration was accepted")
    }

    @Test func everyValueOfTheFileIsDecoded() throws {
        let configuration = try decode()
        #expect(configuration.model.cell == .hyperLSTM)
        #expect(configuration.model.keepHyperRecurrent == 0.9)
        #expect(configuration.training.batch == 4)
        #expect(configuration.loop.learningRate.rate(atStep: 1000) == 0.01)
        #expect(configuration.loop.validate == .every(8))
        #expect(configuration.loop.patience == nil)
    }

    /// In every committed file the two of inputs and outputs are equal.
    @Test func everyKeepProbabilityIsThatOfItsOwnKey() throws {
        let model = try decode([
            "model.keepInput=0.5", "model.keepOutput=0.625", "model.keepRecurrent=0.75",
            "model.keepHyperRecurrent=0.875",
        ]).model
        #expect(model.keepInput == 0.5 && model.keepOutput == 0.625)
        #expect(model.keepRecurrent == 0.75 && model.keepHyperRecurrent == 0.875)
    }

    @Test func anUnknownKeyIsNamedWithFileLineAndTheNearestValidKey() throws {
        let error = try error(replacing: [("  clipNorm: 1.0", "  clipNorm: 1.0\n  clipNrom: 2")])
        #expect(
            error == .unknownKey(origin: "tiny.yaml:24", keyPath: "training.clipNrom", nearest: "training.clipNorm"))
        #expect("\(error)".contains("tiny.yaml:24") && "\(error)".contains("nearest valid key is 'training.clipNorm'"))
    }

    @Test func aKeyWithoutItsSectionIsAnsweredWithItsWholePath() throws {
        #expect(
            try error(["units=7"])
                == .unknownKey(origin: "--set units=7", keyPath: "units", nearest: "model.units"))
        #expect(
            try error(["training.beta1=0"])
                == .unknownKey(
                    origin: "--set training.beta1=0", keyPath: "training.beta1", nearest: "training.adam.beta1"))
    }

    @Test func aBaseMayBeAnAbsolutePath() throws {
        let folder = try TemporaryFolder()
        let base = try folder.write(TestRun.yaml, to: "bases/tiny.yaml")
        let top = try folder.write("base: \(base.path)\nbudget: quick\n", to: "top.yaml")
        #expect(try ConfigurationFile(contentsOf: top).differences.map(\.key) == ["budget"])
        let beside = try folder.write("base: ../bases/tiny.yaml\nbudget: quick\n", to: "others/top.yaml")
        #expect(try ConfigurationFile(contentsOf: beside).differences.map(\.key) == ["budget"])
    }

    @Test func aMisspeltKeyIsReportedAsUnknownRatherThanMissing() throws {
        let error = try error(replacing: [("  sequenceLength: 10", "  sequenceLenght: 10")])
        guard case .unknownKey(_, "training.sequenceLenght", "training.sequenceLength", _) = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test(arguments: [
        "budget: tiny\n", "  units: 12\n", "  steps: 40\n", "  carryState: true\n", "  validateAt: 8\n",
        "  forgetBias: 1\n", "data: {corpus: sample}\n", "  seeds: [0]\n",
    ])
    func everyKeyIsRequired(line: String) throws {
        let error = try error(replacing: [(line, "")])
        guard case .missingKey(_, let path) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(line.contains(path.split(separator: ".").last ?? "?"))
    }

    @Test(arguments: [
        ("training.steps=many", "training.steps", "a whole number", "the string 'many'"),
        ("training.steps=1.5", "training.steps", "a whole number", "'1.5' (a number)"),
        ("training.clipNorm=[1]", "training.clipNorm", "a number", "the sequence [1]"),
        ("model.layerNorm=1", "model.layerNorm", "true or false", "'1' (an integer)"),
        ("training.carryState=null", "training.carryState", "true or false", "nothing (null)"),
        ("budget=3", "budget", "a string", "'3' (an integer)"),
        ("training.seeds=0", "training.seeds", "a sequence of whole numbers", "'0' (an integer)"),
        ("model=5", "model", "a mapping of keys to values", "'5' (an integer)"),
        ("model.layerNorm=!!bool maybe", "model.layerNorm", "true or false", "the string 'maybe'"),
    ])
    func aValueOfTheWrongTypeIsNamedWithWhatWasExpectedAndFound(
        override: String, keyPath: String, expected: String, found: String
    ) throws {
        #expect(
            try error([override])
                == .wrongType(origin: "--set \(override)", keyPath: keyPath, expected: expected, found: found))
    }

    /// A key that is left out means its default, and a number is the same in another spelling.
    @Test func whatMeansTheSameIsNoDifference() throws {
        let folder = try TemporaryFolder(), url = try folder.write(TestRun.yaml, to: "tiny.yaml")
        func root(_ overrides: String...) throws -> ConfigurationNode {
            try ConfigurationFile(contentsOf: url, overrides: overrides).root
        }
        func differences(_ one: ConfigurationNode, _ other: ConfigurationNode) -> [String] {
            CharacterConfiguration.differences(of: one, from: other).map(\.key)
        }
        let base = try root(), stated = try root("deviations.inputInitialValues=orthogonal")
        #expect(differences(stated, base).isEmpty && differences(base, stated).isEmpty)
        let spelled = try root("training.learningRate=1e-2", "training.logEvery=7")
        #expect(differences(spelled, base).isEmpty)
        let other = try root("deviations.inputInitialValues=uniform-unit-scaling", "training.logEvery=7")
        #expect(differences(other, base) == ["deviations.inputInitialValues"])
        // Beside a real difference too.
        let both = try root("deviations.inputInitialValues=orthogonal", "model.units=16")
        #expect(differences(both, base) == ["model.units"])
    }

    @Test(arguments: [
        "model.cell=perceptron", "model.keepInput=0", "model.keepInput=1.1", "training.batch=0", "training.steps=-1",
        "evaluation.reportedStreams=0", "training.clipNorm=0", "data.corpus=wikitext", "training.seeds=[-1]",
        "model.hyperUnits=0", "evaluation.validateAt=[5, 1000000001]", "training.steps=1000000001",
        "training.steps=99999999999999999999", "training.steps=0x10", "training.clipNorm=.inf",
        "training.clipNorm=1e400", "evaluation.validateAt=[]", "evaluation.validateAt=[16, 8]",
        "evaluation.validateAt=[8, 8]", "training.seeds=[1, 1]", "model.keepRecurrent=1e-30",
        "training.learningRate={peak: 0.1, final: 0.2, warmUpSteps: 0, totalSteps: 10}",
    ])
    func aValueThatMakesNoSenseIsRefused(override: String) throws {
        guard case .invalidValue(let origin, _, _, _) = try error([override]) else {
            Issue.record("another error for \(override)")
            return
        }
        #expect(origin == "--set \(override)")
    }

    /// Of `--set` as it was typed.
    @Test func anUnknownKeyOfAnOverrideIsAnsweredWithItsText() throws {
        let override = "training.learningRate[0].rate=3"
        let error = try error([override])
        #expect("\(error)".hasPrefix("--set \(override): unknown key 'training.learningRate[0]'"), "\(error)")
    }

    /// The configuration of every run bears one name.
    @Test func theConfigurationOfARunIsCalledByItsPath() throws {
        let folder = try TemporaryFolder()
        let damaged = TestRun.yaml.replacingOccurrences(of: "units: 12", with: "units: many")
        for (name, isPath) in [("small/0/config.yaml", true), ("small.yaml", false)] {
            let url = try folder.write(damaged, to: name), root = try ConfigurationFile(contentsOf: url).root
            let error = #expect(throws: ConfigurationError.self) { try CharacterConfiguration(root) }
            #expect(try #require(error).description.hasPrefix("\(isPath ? url.path : name):8: "), "\(error!)")
        }
    }

    @Test func whatIsNoFileIsNamed() throws {
        let folder = try TemporaryFolder(), pipe = folder.path("pipe.yaml")
        #expect(mkfifo(pipe, 0o600) == 0)
        for (path, what) in [(pipe, "a pipe or a device"), (folder.path, "a folder")] {
            #expect(
                throws: ConfigurationError.unreadableFile(path: path, reason: "\(what); expected a YAML file")
            ) { try ConfigurationFile(contentsOf: URL(fileURLWithPath: path)) }
        }
    }

    @Test func anLSTMWithAHyperCellIsRefused() throws {
        let error = try error(["model.cell=lstm"])
        guard case .invalidValue(_, "model.hyperUnits", _, _) = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test func dropoutInTheHyperCellOfAnLSTMIsRefused() throws {
        let lstm = ["model.cell=lstm", "model.hyperUnits=0", "model.embeddingSize=0"]
        guard case .invalidValue(_, "model.keepHyperRecurrent", let expected, _) = try error(lstm) else {
            Issue.record("another error")
            return
        }
        #expect(expected == "1 for the cell 'lstm', which has no hyper cell")
        #expect(try decode(lstm + ["model.keepHyperRecurrent=1"]).model.cell == .lstm)
    }

    @Test func theSameKeyTwiceIsRefused() throws {
        guard case .invalidYAML = try error(replacing: [("budget: tiny", "budget: tiny\nbudget: other")]) else {
            Issue.record("another error")
            return
        }
    }

    @Test func brokenYAMLAndMissingFilesAreNamedByPath() throws {
        let folder = try TemporaryFolder()
        let broken = try folder.write("budget: [1, 2\n", to: "broken.yaml")
        #expect(throws: ConfigurationError.self) { try ConfigurationFile(contentsOf: broken) }
        let missing = folder.url.appendingPathComponent("missing.yaml")
        #expect(throws: ConfigurationError.unreadableFile(path: missing.path, reason: "no such file")) {
            try ConfigurationFile(contentsOf: missing)
        }
    }

    @Test(arguments: [
        ("[", 101, "at most 100 levels"), ("#", 1 << 18 | 1, "at most 262144 bytes"),
        ("- 0\n", 10_001, "at most 10000 values"),
    ])
    func aFileBeyondTheBoundsIsRefused(part: String, count: Int, bound: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("a:\n" + String(repeating: part, count: count), to: "large.yaml")
        let error = #expect(throws: ConfigurationError.self) { try ConfigurationFile(contentsOf: file) }
        let description = error?.description ?? ""
        #expect(description.contains("large.yaml") && description.contains(bound), "\(description)")
    }

    @Test(arguments: ["training.steps", "=3", "training..steps=3", ".a=3"])
    func anOverrideThatIsNoAssignmentIsRefused(text: String) throws {
        #expect(throws: ConfigurationError.invalidOverride(text)) { try ConfigurationNode(override: text) }
        // The error names what was given, not a part of how it is laid over a file.
        #expect(throws: ConfigurationError.invalidOverride(text)) { try TestRun(overrides: [text]).file }
    }

    @Test func learningRatesHaveFourSpellings() throws {
        #expect(
            try decode(["training.learningRate=[{untilStep: 10, rate: 0.1}, {untilStep: 20, rate: 0.01}]"])
                .loop.learningRate
                == .piecewiseConstant([.init(untilStep: 10, rate: 0.1), .init(untilStep: 20, rate: 0.01)]))
        #expect(
            try decode(["training.learningRate={peak: 0.1, final: 0, warmUpSteps: 5, totalSteps: 50}"])
                .loop.learningRate == .cosine(peak: 0.1, final: 0, warmUpSteps: 5, totalSteps: 50))
        let hold = "training.learningRate={peak: 0.1, final: 0, warmUpSteps: 5, holdUntilStep: 40, totalSteps: 50}"
        #expect(
            try decode([hold]).loop.learningRate
                == .hold(peak: 0.1, final: 0, warmUpSteps: 5, holdUntilStep: 40, totalSteps: 50))
        // One given whole takes the place of another; one key of it, or null for one, does not.
        let whole = "training.learningRate={peak: 0.2, final: 0, warmUpSteps: 5, totalSteps: 50}"
        #expect(
            try decode([hold, whole]).loop.learningRate == .cosine(peak: 0.2, final: 0, warmUpSteps: 5, totalSteps: 50))
        #expect(
            try decode([hold, "training.learningRate.peak=0.2"]).loop.learningRate
                == .hold(peak: 0.2, final: 0, warmUpSteps: 5, holdUntilStep: 40, totalSteps: 50))
        #expect(
            try decode([hold, "training.learningRate.holdUntilStep=null"]).loop.learningRate
                == .cosine(peak: 0.1, final: 0, warmUpSteps: 5, totalSteps: 50))
        #expect(throws: ConfigurationError.self) {
            try decode(["training.learningRate={peak: 0.1, final: 0, warmUpSteps: 51, totalSteps: 50}"])
        }
        for (from, to) in [("40", "51"), ("40", "4")] {
            #expect(throws: ConfigurationError.self) {
                try decode([hold.replacingOccurrences(of: "holdUntilStep: \(from)", with: "holdUntilStep: \(to)")])
            }
        }
        #expect(throws: ConfigurationError.self) {
            try decode(["training.learningRate=[{untilStep: 10, rate: 0.1}, {untilStep: 5, rate: 0.01}]"])
        }
    }

    @Test func anEvaluationScheduleIsAnIntervalOrAListAndAlwaysHoldsTheLastStep() {
        let list = EvaluationSchedule.at([100, 250])
        #expect((1...300).filter { list.contains(step: $0, of: 300) } == [100, 250, 300])
        #expect((1...10).filter { EvaluationSchedule.every(4).contains(step: $0, of: 10) } == [4, 8, 10])
    }

    // MARK: - Bases

    @Test func aBaseIsOverlaidKeyByKeyAndTheDifferenceIsComputed() throws {
        let folder = try TemporaryFolder()
        try folder.write(TestRun.yaml, to: "tiny.yaml")
        try folder.write("base: tiny.yaml\nbudget: quick\ntraining:\n  steps: 7\n", to: "middle.yaml")
        let top = try folder.write("base: middle.yaml\nmodel: {units: 5}\n", to: "top.yaml")
        let file = try ConfigurationFile(contentsOf: top, overrides: ["evaluation.validateAt=[3, 5]"])
        let configuration = try CharacterConfiguration(file.root)
        #expect(configuration.loop.steps == 7)
        #expect(configuration.model.units == 5)
        #expect(configuration.training.batch == 4)
        #expect(
            file.differences == [
                .init(key: "budget", base: "tiny", value: "quick"), .init(key: "model.units", base: "12", value: "5"),
                .init(key: "training.steps", base: "40", value: "7"),
                .init(key: "evaluation.validateAt", base: "8", value: "[3, 5]"),
            ])
        #expect(file.name == "top")
    }

    @Test func aSectionInPlaceOfAValueIsOneDifferenceForReaders() throws {
        let folder = try TemporaryFolder()
        try folder.write(TestRun.yaml, to: "tiny.yaml")
        let schedule = "{peak: 0.02, final: 0, warmUpSteps: 4, totalSteps: 40}"
        let top = try folder.write(
            "base: tiny.yaml\ntraining:\n  batch: 2\n  learningRate: \(schedule)\n", to: "top.yaml")
        let differences = try ConfigurationFile(contentsOf: top).differences
        #expect(
            differences.bySection == [
                .init(key: "training.batch", base: "4", value: "2"),
                .init(key: "training.learningRate", base: "0.01", value: schedule),
            ])
        let reversed = differences.map {
            ConfigurationFile.Difference(key: $0.key, base: $0.value, value: $0.base)
        }
        #expect(reversed.bySection.last == .init(key: "training.learningRate", base: schedule, value: "0.01"))
        #expect(Array(differences.prefix(1)).bySection == Array(differences.prefix(1)))
    }

    @Test func anErrorInABaseNamesTheBase() throws {
        let folder = try TemporaryFolder()
        try folder.write(TestRun.yaml.replacingOccurrences(of: "steps: 40", with: "steps: x"), to: "tiny.yaml")
        let top = try folder.write("base: tiny.yaml\nbudget: quick\n", to: "top.yaml")
        do {
            _ = try CharacterConfiguration(try ConfigurationFile(contentsOf: top).root)
            Issue.record("accepted")
        } catch {
            #expect("\(error)".hasPrefix("tiny.yaml:19: 'training.steps' expects a whole number"))
        }
    }

    @Test func aCircleOfBasesIsRefused() throws {
        let folder = try TemporaryFolder()
        let a = try folder.write("base: b.yaml\n", to: "a.yaml")
        try folder.write("base: a.yaml\n", to: "b.yaml")
        #expect(throws: ConfigurationError.baseCycle(path: "a.yaml", chain: ["a.yaml", "b.yaml"])) {
            try ConfigurationFile(contentsOf: a)
        }
    }

    @Test func theResolvedConfigurationReadsBackAsItself() throws {
        let folder = try TemporaryFolder()
        for url in try ConfigurationFile.all(in: committedConfigurations) {
            let file = try ConfigurationFile(contentsOf: url)
            let copy = try folder.write(file.root.yaml, to: "config.yaml")
            #expect(try ConfigurationFile(contentsOf: copy).root == file.root, "\(file.name)")
        }
    }

    @Test(arguments: [
        "plain", "with, comma", "quote \" and \\", "true", "12", "null", "a: b", "- a", "", "line\nend", "ö",
        "\u{1B}[1m", "a\rb", "\t\0", "\u{85}",
    ])
    func everyTextSurvivesTheResolvedConfiguration(text: String) throws {
        let node = ConfigurationNode(
            origin: "",
            content: .mapping([.init(key: "a", value: .init(origin: "", content: .scalar(text: text, type: .text)))]))
        #expect(try ConfigurationNode(yaml: node.yaml, path: "x") == node)
    }

    /// An editor's link for a file that is open leads nowhere.
    @Test func aHiddenFileIsNoConfiguration() throws {
        let folder = try TemporaryFolder()
        try folder.write("", to: "a.yaml")
        try FileManager.default.createSymbolicLink(atPath: folder.path(".#a.yaml"), withDestinationPath: "nowhere")
        #expect(try ConfigurationFile.all(in: folder.url).map(\.lastPathComponent) == ["a.yaml"])
    }

    @Test func anUnknownConfigurationIsAnsweredWithTheNearestName() throws {
        do {
            _ = try ConfigurationFile.locate("table3-layernorm-lstm", in: committedConfigurations)
            Issue.record("found")
        } catch {
            #expect("\(error)".contains("the nearest name is 'table3-layer-norm-lstm'"))
        }
    }
}
