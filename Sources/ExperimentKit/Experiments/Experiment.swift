import Compute
import Datasets
import Foundation
import NeuralNetwork

/// One experiment, whole: the tables it reproduces, what a configuration of it says, the data, and what a run trains.
///
/// A value is one run's work: a model with its initial values, its data and its optimizer. Everything that any
/// experiment has in common (configuration files, the training loop, checkpoints, records, commands, results) is
/// written once, in terms of this protocol.
public protocol Experiment: TrainingTask, SendableMetatype {
    associatedtype Configuration: RunConfiguration
    associatedtype Data

    /// The experiment's program and folder, such as `char-hyperlstm`.
    static var program: String { get }
    /// The measure of a split.
    static var metric: Metric { get }
    /// The thing predicted, in the plural: `characters`, `images`.
    static var unit: String { get }
    static var paper: PaperDescription { get }
    /// The heading of its part of RESULTS.md.
    static var title: String { get }
    /// The decisions where the paper is silent or contradicts itself.
    static var openDecisions: [OpenDecision] { get }
    /// The tables of the paper, in its order.
    static var tables: [PaperTable] { get }
    /// The option of `reproduce` that names a group, without its dashes: `corpus`.
    static var datasetGroupOption: String { get }
    /// The groups of configurations, by data set, that `reproduce` can be asked for; the first is the default.
    static var datasetGroups: [DatasetGroup] { get }

    /// Opens the data that a configuration names.
    static func open(_ configuration: Configuration, in folder: DataFolder) throws -> Data

    /// A record's description of the data.
    static func describe(_ data: Data, _ configuration: Configuration) -> DataDescription

    /// The number of parameters; `data` is nil where only the configuration is known.
    static func parameterCount(_ configuration: Configuration, _ data: Data?) -> Int

    /// Checks that the data can fill every batch and split as the configuration asks.
    ///
    /// - Throws: What names the key and the split.
    static func check(_ configuration: Configuration, against data: Data) throws

    /// Memory that a run of a configuration takes at least.
    ///
    /// - Parameter shards: Shards of each batch that this process computes.
    static func memory(_ configuration: Configuration, _ data: Data, shards: Int) -> MemoryNeed

    /// Reads a split with trained weights as the reported figures are read.
    ///
    /// - Parameter weights: A run's folder, a checkpoint's, or whatever else the experiment can read weights from.
    static func evaluate(
        _ weights: URL, split: DataSplit, configuration: Configuration, data: Data, progress: any ProgressReporter,
        interruption: Interruption
    ) throws -> TrainedEvaluation

    /// The cost of a training step, to estimate its time from that of another configuration: the kind of model, within
    /// which times are proportional to multiplications, and a number that is proportional to theirs. Nil where no such
    /// estimate holds.
    static func cost(ofAStep configuration: Configuration) -> (kind: String, multiplications: Double)?

    /// Markdown that stands in RESULTS.md below a table's runs; may be empty.
    static func supplement(
        to table: PaperTable, _ configurations: [NamedConfiguration<Configuration>]
    ) -> String

    /// The data set that a file of weights says it was trained on; nil where it does not say.
    static func dataName(ofWeights url: URL) throws -> String?

    /// The size of a split as it was read, for people: `500 images`, `2,000 characters as one sequence`.
    static func reading(_ result: SplitEvaluation) -> String

    /// A model with its initial values, at the start of its data.
    ///
    /// - Parameter shard: The part of each training batch that `nextLoss` reads; the initial values do not depend on
    ///   it. A configuration without `shards` asks for `.whole` alone.
    init(
        configuration: Configuration, data: Data, seed: UInt64, shard: BatchShard, progress: any ProgressReporter,
        interruption: Interruption) throws

    var optimizer: any CheckpointedOptimizer { get }

    /// Metadata of the file of weights, with which it can be used without its run.
    func modelMetadata() throws -> [String: String]

    /// Reads a split as the reported figures are.
    ///
    /// - Throws: `Interrupted` when a stop was asked for meanwhile.
    func report(_ split: DataSplit) throws -> SplitEvaluation
}

extension Experiment {
    public static func check(_ configuration: Configuration, against data: Data) throws {}

    /// The parameters, their gradients and a moment each.
    public static func memory(_ configuration: Configuration, _ data: Data, shards: Int) -> MemoryNeed {
        MemoryNeed(parameters: parameterCount(configuration, data), copies: 3, keys: ["model"])
    }

    /// Refuses a run that its data or this machine's memory do not allow, before anything of its size is made.
    ///
    /// - Parameter shards: Shards of each batch that this process computes.
    /// - Throws: What `check` throws; `MemoryError`.
    static func requireFeasible(_ configuration: Configuration, _ data: Data, shards: Int) throws {
        try check(configuration, against: data)
        try memory(configuration, data, shards: shards).require()
    }

    public static func dataName(ofWeights url: URL) throws -> String? { nil }

    public static func cost(ofAStep configuration: Configuration) -> (kind: String, multiplications: Double)? { nil }

    public static func supplement(
        to table: PaperTable, _ configurations: [NamedConfiguration<Configuration>]
    ) -> String { "" }

    public static func reading(_ result: SplitEvaluation) -> String { "\(grouped(result.predictions)) \(unit)" }

    /// The experiment's own model, filled from the best checkpoint of a run or from the checkpoint that is named.
    public static func evaluate(
        _ weights: URL, split: DataSplit, configuration: Configuration, data: Data, progress: any ProgressReporter,
        interruption: Interruption
    ) throws -> TrainedEvaluation {
        let work = try Self(
            configuration: configuration, data: data, seed: 0, shard: .whole, progress: progress,
            interruption: interruption)
        try Checkpoint(at: weights).restore(work.tensors)
        return TrainedEvaluation(
            result: try work.report(split), model: "\(grouped(parameterCount(configuration, data))) parameters")
    }

    /// The table that a configuration claims a row of.
    public static func table(of configuration: Configuration) -> PaperTable? {
        tables.first { $0.id == configuration.reproduces?.table }
    }
}

/// A split as read with trained weights.
public struct TrainedEvaluation: Sendable {
    public let result: SplitEvaluation
    /// The model in a few words: its parameters and what else sets it apart.
    public let model: String

    public init(result: SplitEvaluation, model: String) {
        self.result = result
        self.model = model
    }
}

/// The end of a model's description where its weights were converted from another type of number; empty where not.
public func convertedNote(_ type: String?) -> String { type.map { ", weights converted from \($0)" } ?? "" }

/// The part of a decoded configuration that every experiment has.
public protocol RunConfiguration: Equatable, Sendable {
    /// - Throws: `ConfigurationError` naming file, key path, what was expected and what was found.
    init(_ root: ConfigurationNode) throws(ConfigurationError)

    /// `paper` for a row's own settings; otherwise the name of the smaller budget.
    var budget: String { get }
    var seeds: [Int] { get }
    /// The row of the paper that it claims to reproduce; nil for none.
    var reproduces: ReproducedRow? { get }
    /// The data set's name, as in the file.
    var dataName: String { get }
    var loop: TrainingLoopSettings { get }
    /// Predictions that one training step learns from.
    var unitsPerStep: Int { get }

    /// Whether a key changes neither the model, nor its training, nor the figures of a run with this resolved file.
    static func leavesFiguresUnchanged(_ key: String, in root: ConfigurationNode) -> Bool
}

extension RunConfiguration {
    public static func leavesFiguresUnchanged(_ key: String, in root: ConfigurationNode) -> Bool {
        RunRecord.leavesFiguresUnchanged(key)
    }

    /// Whether two resolved files give the same run up to its seed: `leavesFiguresUnchanged` says which keys do not
    /// count, and a key that one of them leaves out has its default there.
    ///
    /// - Throws: `ConfigurationError`.
    static func agree(_ left: ConfigurationNode, _ right: ConfigurationNode) throws(ConfigurationError) -> Bool {
        func overrides(_ tree: ConfigurationNode, from other: ConfigurationNode) -> [String] {
            ConfigurationFile.differences(of: tree, from: other)
                .filter {
                    leavesFiguresUnchanged($0.key, in: left) && leavesFiguresUnchanged($0.key, in: right)
                        && $0.value != "-"
                }.map { "\($0.key)=\($0.value)" }
        }
        // Of the keys that leave figures unchanged, both get left's values, and right's where left has none.
        let second = try right.overlaid(with: overrides(left, from: right))
        let first = try left.overlaid(with: overrides(second, from: left))
        return try Self(first) == Self(second)
    }

    /// The differences of two resolved files that make them different runs: a key that one of them leaves out has its
    /// default there, and `leavesFiguresUnchanged` says which do not count.
    static func differences(
        of tree: ConfigurationNode, from base: ConfigurationNode
    ) -> [ConfigurationFile.Difference] {
        // One number may be spelled in two ways.
        if (try? agree(tree, base)) == true { return [] }
        return ConfigurationFile.differences(of: tree, from: base).filter { change in
            !(leavesFiguresUnchanged(change.key, in: tree) && leavesFiguresUnchanged(change.key, in: base))
                && !(change.base == "-" && holds(change.key, change.value, in: base))
                && !(change.value == "-" && holds(change.key, change.base, in: tree))
        }
    }

    /// Whether a resolved file that leaves out a key means this value by that.
    static func holds(_ key: String, _ value: String, in tree: ConfigurationNode) -> Bool {
        (try? agree(tree, tree.overlaid(with: ["\(key)=\(value)"]))) == true
    }
}

/// A configuration file with its values: read and decoded once.
public struct NamedConfiguration<Values: RunConfiguration>: Sendable {
    public let file: ConfigurationFile
    public let values: Values

    public var name: String { file.name }

    /// - Throws: `ConfigurationError`.
    public init(_ file: ConfigurationFile) throws {
        self.file = file
        values = try Values(file.root)
    }

    /// Every configuration of a folder: the paper's own budgets first, each budget in the order of the paper's rows.
    ///
    /// - Throws: `ConfigurationError`.
    public static func all(in directory: URL) throws -> [NamedConfiguration] {
        try ConfigurationFile.all(in: directory).map { try NamedConfiguration(try ConfigurationFile(contentsOf: $0)) }
            .sorted { $0.place < $1.place }
    }

    private var place: (Int, String, String, Int, String) {
        let row = values.reproduces
        return (
            values.budget == "paper" ? 0 : row == nil ? 2 : 1, values.budget, row?.table ?? "", row?.row ?? 0, name
        )
    }
}

/// A group of configurations that are trained together because they belong to one data set.
public struct DatasetGroup: Sendable {
    /// As the command line names it.
    public let name: String
    /// For people: the data set.
    public let title: String
    /// The data sets that belong to it, by the names that configurations use.
    public let dataNames: Set<String>
    /// The data sets of the generated sample that stands in for them where they are missing.
    public let sampleDataNames: Set<String>

    public init(name: String, title: String, dataNames: Set<String>, sampleDataNames: Set<String>) {
        self.name = name
        self.title = title
        self.dataNames = dataNames
        self.sampleDataNames = sampleDataNames
    }
}
