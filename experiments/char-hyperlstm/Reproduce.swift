import ArgumentParser
import Compute
import Datasets
import ExperimentCommands
import ExperimentKit
import Foundation

struct Reproduce: ParsableCommand {
    enum Profile: String, ExpressibleByArgument, CaseIterable {
        case quick, paper, steps5000 = "steps-5000", steps20000 = "steps-20000", prefix
    }

    static let configuration = CommandConfiguration(
        abstract: "Train every configuration of a budget and print a table beside the paper's numbers.",
        discussion: """
            --profile quick   minutes: reduced models; says how far a HyperLSTM is from an LSTM of the same budget
            --profile steps-5000, steps-20000, prefix   hours on two cores
            --profile paper   the paper's own settings: days on two cores (see `list`)

            Runs already finished in OUT are kept, unfinished ones are resumed. Without the corpus, and with the default
            data folder, it trains on the small generated sample instead and says so: those are no Penn Treebank numbers.
            """)

    @Option(help: "quick, steps-5000, steps-20000, prefix or paper.")
    var profile: Profile = .quick
    @Option(help: "ptb (Table 3), enwik8 (Table 4), text8 or sample.")
    var corpus: CorpusName = .ptb
    @OptionGroup var data: DataOptions
    @OptionGroup var threads: ThreadOptions
    @OptionGroup var out: OutOptions

    func run() throws {
        let (opened, budget) = try openOrFallBack()
        let configs = ConfigurationFile.all(
            in: try experimentFolder(CharacterWork.experiment).appendingPathComponent("configs"))
        let files = try configs.map { try ConfigurationFile(contentsOf: $0) }.map {
            (file: $0, decoded: try CharacterConfiguration($0.root))
        }
        .filter { $0.decoded.corpus == opened.name && $0.decoded.budget == budget }
        .sorted { ($0.decoded.reproduces?.row ?? 0, $0.file.name) < ($1.decoded.reproduces?.row ?? 0, $1.file.name) }
        guard !files.isEmpty else {
            throw UserError(
                description: "no configuration of \(opened.name.rawValue) has the budget '\(budget)'; see `list`")
        }
        try threads.configure()
        catchSignals()
        var runs: [CharacterRun] = []
        for (file, decoded) in files {
            for seed in decoded.training.seeds {
                runs.append(
                    try characterRuns.trainOrResume(file, seed: seed, data: opened.corpus, out: out.url))
            }
        }
        try writeResult(RunTable(runs).text)
        if opened.name == .sample { try writeResult(Self.sampleWarning) }
    }

    private func openOrFallBack() throws -> (opened: (name: CorpusName, corpus: CharacterCorpus), budget: String) {
        do {
            return ((corpus, try data.corpus(corpus)), corpus == .sample ? "sample" : profile.rawValue)
        } catch let error as DatasetError {
            // Only where nobody named a folder: whoever did wants to know that the data is not in it.
            guard case .missing = error, data.folder.origin == .standard, profile == .quick else { throw error }
            note("\(error)")
            note(Self.sampleWarning)
            return ((.sample, try data.corpus(.sample)), "sample")
        }
    }

    static let sampleWarning = """

        ================================================================================
          These are NOT Penn Treebank numbers.
          No corpus was found, so small models are trained on the generated sample that
          is part of the repository. Compare them with the sample's own entropy rate and
          with each other, with nothing in the paper.
          For the real thing: `make data`, or set HYPERNETWORKS_DATA, then call this again.
        ================================================================================

        """
}

extension CorpusName: ExpressibleByArgument {}
