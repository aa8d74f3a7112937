/// One table of the paper: what lists, run tables and RESULTS.md print of it.
public struct PaperTable: Sendable {
    /// The paper's word for it, which configurations name it by: `Table 3`.
    public let id: String
    /// Its heading in RESULTS.md.
    public let title: String
    /// The data set whose figures are compared with the paper's.
    public let dataName: String
    /// Whether the paper has this table; false for one that borrows its settings.
    public let isInPaper: Bool
    /// Whether the paper states the settings of its rows; where it does not, they are this suite's.
    public let statesSettings: Bool
    /// Decimals of the paper's own figures.
    public let decimals: Int
    /// Figures that the paper quotes, or the best ones of its time: one sentence, may be empty.
    public let context: String
    /// A warning about its short budgets: one paragraph, may be empty.
    public let caution: String
    /// Baseline rows by number, each with the rows that are compared with it.
    public let baselines: [Int: [Int]]
    /// The paper's own validation curve of a row, where it draws one.
    public let curves: [Int: PaperCurve]

    public init(
        id: String, title: String, dataName: String, isInPaper: Bool = true, statesSettings: Bool = true, decimals: Int,
        context: String = "", caution: String = "", baselines: [Int: [Int]],
        curves: [Int: PaperCurve] = [:]
    ) {
        self.id = id
        self.title = title
        self.dataName = dataName
        self.isInPaper = isInPaper
        self.statesSettings = statesSettings
        self.decimals = decimals
        self.context = context
        self.caution = caution
        self.baselines = baselines
        self.curves = curves
    }

    /// The row that a row's runs are compared with; nil for one that is itself a baseline or has none.
    public func baseline(ofRow row: Int) -> Int? { baselines.first { $0.value.contains(row) }?.key }
}

/// The row of the paper that a configuration claims to reproduce.
public struct ReproducedRow: Codable, Equatable, Sendable {
    /// The table's `id`.
    public let table: String
    /// The row's place in its table, counted from 1.
    public let row: Int
    /// The row's words in the paper.
    public let name: String
    /// The paper's figures, in the metric of the experiment; nil where the paper has none.
    public let test: Double?
    public let validation: Double?
    /// Millions of parameters, as the paper rounds them; nil where the paper has none.
    public let parametersInMillions: Double?
    /// The greatest distance of our mean test figure from the paper's that counts as reproduced, in the metric's unit.
    public let tolerance: Double

    /// Whether another configuration means the same row, whatever else it states.
    public func isSameRow(as other: ReproducedRow) -> Bool { table == other.table && row == other.row }
}

extension ConfigurationReader {
    /// The section `reproduces`, or null.
    ///
    /// - Parameters:
    ///   - tables: Those that the experiment has.
    ///   - metric: The metric that the figures must be stated in.
    ///   - range: What the figures may be.
    ///   - hasValidation: Whether a file states the paper's validation figure too.
    /// - Throws: `ConfigurationError`.
    public func reproducedRow(
        tables: [PaperTable], metric: Metric, range: ClosedRange<Double>, hasValidation: Bool
    ) throws(ConfigurationError) -> ReproducedRow? {
        guard try !isNull("reproduces") else { return nil }
        let keys: ConfigurationKeys = [
            "table": "the paper's table, as RESULTS.md names it",
            "row": "the row's place in its table, counted from 1",
            "name": "the row's words in the paper",
            "metric": "what the figures are measured in: \(metric.name)",
            "test": "the paper's test figure; null where it has none",
            "parametersInMillions": "millions of parameters, as the paper rounds them; null where it does not say",
            "tolerance":
                "how far the mean test figure over the seeds may lie from the paper's to count as reproduced",
        ]
        let reader = try section(
            "reproduces",
            keys: keys.adding(
                hasValidation ? ["validation": "the paper's validation figure; null where it has none"] : [:]))
        let table = try reader.text("table")
        guard tables.contains(where: { $0.id == table }) else {
            let names = tables.map { "'\($0.id)'" }.joined(separator: ", ")
            throw reader.invalid("table", expected: "one of \(names)", found: "'\(table)'")
        }
        let row = ReproducedRow(
            table: table,
            row: try reader.integer("row", atLeast: 1),
            name: try reader.text("name"),
            test: try reader.optionalNumber("test", in: range),
            validation: hasValidation ? try reader.optionalNumber("validation", in: range) : nil,
            parametersInMillions: try reader.optionalNumber("parametersInMillions", in: 0...1e6),
            tolerance: try reader.number("tolerance", in: range))
        // The unit is stated in each file, so that no reader has to guess it.
        let stated = try reader.text("metric")
        guard stated == metric.name else {
            throw reader.invalid("metric", expected: "'\(metric.name)'", found: "'\(stated)'")
        }
        reader.finish()
        return row
    }
}

/// A training curve of the paper: a validation figure against training steps.
public struct PaperCurve: Sendable {
    public let title: String
    /// Steps, ascending, and the figure.
    public let points: [(step: Int, value: Double)]

    public init(title: String, points: [(step: Int, value: Double)]) {
        self.title = title
        self.points = points
    }

    /// The curve at a step, linear between its points; nil before the first and after the last.
    public func value(atStep step: Int) -> Double? {
        guard let next = points.firstIndex(where: { $0.step >= step }) else { return nil }
        if points[next].step == step { return points[next].value }
        guard next > 0 else { return nil }
        let (left, right) = (points[next - 1], points[next])
        let part = Double(step - left.step) / Double(right.step - left.step)
        return left.value + part * (right.value - left.value)
    }
}

/// The paper whose tables an experiment reproduces.
public struct PaperDescription: Sendable {
    /// Short, the same in all experiments of the paper: names its part of RESULTS.md.
    public let name: String
    /// Authors, title, year and address.
    public let citation: String
    /// Its tables that nobody here can run, one sentence each.
    public let outOfReach: [String]

    public init(name: String, citation: String, outOfReach: [String]) {
        self.name = name
        self.citation = citation
        self.outOfReach = outOfReach
    }
}

/// A decision that the paper leaves open, and what an experiment does.
public struct OpenDecision: Sendable {
    /// Stable, for reference from configurations, tests and results.
    public let id: String
    /// The place in the paper.
    public let section: String
    /// The paper's words, or its silence.
    public let paper: String
    public let choice: String
    public let reason: String
    /// The configuration keys that switch it; empty where none does.
    public let keys: [String]

    public init(id: String, section: String, paper: String, choice: String, reason: String, keys: [String]) {
        self.id = id
        self.section = section
        self.paper = paper
        self.choice = choice
        self.reason = reason
        self.keys = keys
    }
}
