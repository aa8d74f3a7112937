import ExperimentCommands
import ExperimentKit
import Figures
import Foundation

/// Step times of one run on several processes of a machine, as scaling.py measured them.
struct ScaledSteps: Codable {
    struct Run: Codable {
        let model: String
        let processes: Int
        /// Of each process.
        let threads: Int
        let shards: Int
        /// Median seconds of a step; nil where none was measured.
        let median: Double?
    }

    let cpu: String
    /// Physical cores.
    let physical: Int
    /// What a reader should know of the measurement.
    let note: String?
    let runs: [Run]

    func seconds(_ model: String, processes: Int, threads: Int, shards: Int? = nil) -> Double? {
        runs.first {
            $0.model == model && $0.processes == processes && $0.threads == threads
                && $0.shards == shards ?? $0.shards
        }?.median
    }

    var models: [String] { runs.map(\.model).uniqued() }
}

/// c₁ x₁ + c₂ x₂ = y by least squares of the relative errors; neither coefficient is below zero.
func fit(_ points: [(x1: Double, x2: Double, y: Double)]) -> (c1: Double, c2: Double) {
    func sum(_ term: ((x1: Double, x2: Double, y: Double)) -> Double) -> Double {
        points.reduce(0) { $0 + term($1) / ($1.y * $1.y) }
    }
    let aa = sum { $0.x1 * $0.x1 }, ab = sum { $0.x1 * $0.x2 }, bb = sum { $0.x2 * $0.x2 }
    let ay = sum { $0.x1 * $0.y }, by = sum { $0.x2 * $0.y }
    let determinant = aa * bb - ab * ab
    let c1 = (ay * bb - by * ab) / determinant, c2 = (by * aa - ay * ab) / determinant
    if c1 < 0 { return (0, by / bb) }
    if c2 < 0 { return (ay / aa, 0) }
    return (c1, c2)
}

/// The time of a step on P processes: what is computed, c₁ + c₂ / P, and what is sent, calls · latency · log₂ P +
/// bytes / bandwidth.
struct ScalingModel {
    struct Network {
        let name: String
        let latency: Double
        let secondsPerByte: Double

        init(_ exchange: Exchange) {
            name = exchange.networkName
            (latency, secondsPerByte) = fit(
                exchange.entries.map { (Double($0.calls) * log2(Double($0.processes)), Double($0.bytes), $0.seconds) })
        }

        func seconds(calls: Int, bytes: Double, processes: Int) -> Double {
            Double(calls) * latency * log2(Double(processes)) + bytes * secondsPerByte
        }
    }

    let kind: StepKind
    let messages: StepMessages
    /// c₁: seconds of a step that do not depend on the number of processes.
    let serialSeconds: Double
    /// c₂: seconds of a step that are divided among the processes.
    let parallelSeconds: Double

    /// Nil where fewer than three numbers of processes were measured.
    init?(_ kind: StepKind, _ measured: ScaledSteps, shards: Int) {
        let points = [1, 2, 4, 8, 16].compactMap { processes in
            measured.seconds(kind.rawValue, processes: processes, threads: 1, shards: shards)
                .map { (x1: 1.0, x2: 1 / Double(processes), y: $0) }
        }
        guard points.count >= 3 else { return nil }
        self.kind = kind
        messages = StepMessages(kind)
        (serialSeconds, parallelSeconds) = fit(points)
    }

    func computing(_ processes: Int) -> Double { serialSeconds + parallelSeconds / Double(processes) }

    func seconds(_ processes: Int, _ network: Network) -> Double {
        computing(processes)
            + (processes == 1
                ? 0
                : network.seconds(
                    calls: messages.calls, bytes: messages.bytes(processes), processes: processes))
    }
}

/// The generated parts of docs/scaling.md and its figure.
struct ScalingPage {
    private let machines: [ScaledSteps]
    private let exchanges: [Exchange]
    /// Training steps of the paper's budget.
    private let paperSteps: [StepKind: Int]
    /// The machine that the computing is fitted to: the one of most cores.
    private let largest: ScaledSteps?
    private let networks: [ScalingModel.Network]
    private let models: [ScalingModel]
    /// Parts of a batch in the runs that the computing is fitted to.
    private let shards: Int
    private static let counts = [1, 2, 4, 8, 16, 32, 64]

    /// - Throws: `UserError` naming the file of the largest machine, where no model can be fitted to it.
    init(
        machines: [(file: URL, value: ScaledSteps)], exchanges: [Exchange], paperSteps: [StepKind: Int]
    ) throws {
        self.machines = machines.map(\.value)
        (self.exchanges, self.paperSteps) = (exchanges, paperSteps)
        networks = exchanges.map(ScalingModel.Network.init)
        guard let largest = machines.max(by: { $0.value.physical < $1.value.physical }) else {
            self.largest = nil
            self.shards = 1
            models = []
            return
        }
        self.largest = largest.value
        let runs = largest.value.runs.filter { $0.threads == 1 && $0.processes > 1 }
        let shards = runs.map(\.shards).max() ?? 1
        self.shards = shards
        models = StepKind.inTable.compactMap { ScalingModel($0, largest.value, shards: shards) }
        guard !models.isEmpty else {
            throw UserError(
                description: "\(largest.file.path): expected the step times of a model in \(shards) shards on three"
                    + " numbers of processes of one thread, such as 1, 2 and 4, found none; measure anew with"
                    + " scaling.py")
        }
    }

    /// The parts by their markers' names.
    var sections: [(id: String, body: String)] {
        [("steps", steps), ("messages", messages), ("model", modelTable), ("prediction", prediction)]
    }

    private var steps: String {
        machines.map { machine in
            let settings = machine.runs.map { [$0.processes, $0.threads, $0.shards] }.uniqued()
            let rows = settings.map { setting in
                setting.map(String.init)
                    + machine.models.map {
                        machine.seconds($0, processes: setting[0], threads: setting[1], shards: setting[2])
                            .map { fixed($0, 3) } ?? "–"
                    }
            }
            return
                "\(machine.cpu), \(machine.physical) cores\(machine.note.map { "; \($0)" } ?? ""). Median seconds of a step:\n\n"
                + markdownTable(["processes", "threads of each", "shards"] + machine.models, rows)
        }.joined(separator: "\n\n")
    }

    private var messages: String {
        let counts = [2, 4]
        let header =
            ["step", "parameters", "calls"] + counts.map { "MB sent by each of \($0)" }
            + exchanges.flatMap { exchange in counts.map { "s, \(exchange.networkName), \($0) processes" } }
        let rows = StepKind.inTable.map { kind in
            let messages = StepMessages(kind)
            return [kind.rawValue, grouped(messages.parameters), "\(messages.calls)"]
                + counts.map { fixed(messages.bytes($0) * 1e-6, 2) }
                + exchanges.flatMap { exchange in
                    counts.map { count in
                        exchange.entries.first { $0.kind == kind.rawValue && $0.processes == count }
                            .map { fixed($0.seconds, 3) } ?? "–"
                    }
                }
        }
        return markdownTable(header, rows)
    }

    private var modelTable: String {
        guard let machine = largest else { return "" }
        let computed = models.flatMap { model in
            Self.counts.compactMap { count -> [String]? in
                guard
                    let measured = machine.seconds(
                        model.kind.rawValue, processes: count, threads: 1, shards: self.shards)
                else { return nil }
                return row("\(model.kind.rawValue), computed", count, measured, model.computing(count))
            }
        }
        let sent = zip(exchanges, networks).flatMap { exchange, network in
            exchange.entries.map { entry in
                row(
                    "\(entry.kind), sent over \(network.name)", entry.processes, entry.seconds,
                    network.seconds(calls: entry.calls, bytes: Double(entry.bytes), processes: entry.processes))
            }
        }
        let constants = networks.map {
            "\($0.name): \(fixed($0.latency * 1e6, 0)) µs a call and doubling of the processes,"
                + " \(fixed(1e-6 / max($0.secondsPerByte, 1e-15), 0)) MB/s"
        }
        return "Fitted: \(constants.joined(separator: "; ")).\n\n"
            + markdownTable(
                ["what", "processes", "measured, s", "by the model, s", "model / measured"], computed + sent)
    }

    private func row(_ what: String, _ processes: Int, _ measured: Double, _ modeled: Double) -> [String] {
        [what, "\(processes)", fixed(measured, 3), fixed(modeled, 3), fixed(modeled / measured, 2)]
    }

    private var prediction: String {
        let counts = [1, 4, 16, 64]
        let rows = models.flatMap { model in
            networks.map { network in
                [model.kind.rawValue, network.name]
                    + counts.map { fixed(model.seconds($0, network), 3) }
                    + counts.map { count in
                        paperSteps[model.kind].map { fixed(Double($0) * model.seconds(count, network) / 86400, 1) }
                            ?? "–"
                    }
            }
        }
        return markdownTable(
            ["step", "network"] + counts.map { "s on \($0)" } + counts.map { "days of the paper's budget on \($0)" },
            rows)
    }

    /// Speed-up against processes: a color for each model, a kind of line for each network.
    var figure: String {
        LineChart(
            title: "Speed-up predicted by the model of the step", xLabel: "processes of one thread each",
            yLabel: "speed-up over one process", xScale: .logarithmic, yScale: .logarithmic,
            series: models.enumerated().flatMap { color, model in
                networks.enumerated().map { dash, network in
                    LineChart.Series(
                        name: "\(model.kind.rawValue), \(network.name.prefix { $0 != "," })",
                        look: LineChart.Series.Look(color: color, dash: dash),
                        points: Self.counts.map {
                            (Double($0), model.seconds(1, network) / model.seconds($0, network))
                        })
                }
            }
        ).svg
    }
}
