import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation
import HyperNetworks
import Processes

/// The messages between the processes of one run in a training step (`TrainingStep`).
struct StepMessages {
    /// Parameters, each with a gradient that all processes add up.
    let parameters: Int
    /// Channels of each batch normalization: statistics forward, sums backward.
    let normalizations: [Int]

    init(_ kind: StepKind) {
        if let wideResNet = kind.wideResNet {
            let model = WideResNet(configuration: wideResNet, seed: 0)
            parameters = model.parameterCount
            normalizations = model.buffers.filter { $0.name.hasSuffix("runningMean") }.map(\.tensor.count)
        } else {
            parameters = kind.characterModel(units: 1000, keep: 0.9).parameterCount(vocabularySize: 50)
            normalizations = []
        }
    }

    /// Calls that each process takes part in: the order to begin, its length first; what was measured; statistics; and
    /// the gradients, out and back.
    var calls: Int { 2 + 1 + 2 * normalizations.count + 2 }

    /// Bytes that a process sends in a step of `processes`, each with one shard.
    func bytes(_ processes: Int) -> Double {
        let numbers = 3 + normalizations.reduce(0) { $0 + 4 * $1 + 1 }
        return Double(processes - 1) * (8 * Double(numbers) + 2 * 4 * Double(parameters) / Double(processes))
    }
}

/// The measurements of `exchange` on one network.
struct Exchange: Codable {
    struct Entry: Codable {
        let kind: String
        let processes: Int
        let bytes: Int
        let calls: Int
        let seconds: Double
    }

    /// For people: the network, such as "10gbit, no delay added".
    let network: String
    let library: String
    let cpu: String
    let entries: [Entry]

    /// The network with the unit of its rate written out.
    var networkName: String { network.replacing("gbit", with: " Gbit/s").replacing("mbit", with: " Mbit/s") }

    /// The measurements that a file has from an earlier call; nil where there is none.
    ///
    /// - Throws: `RecordError`: what is there and cannot be read is not replaced.
    static func earlier(in file: String) throws -> Exchange? {
        let url = URL(fileURLWithPath: file)
        guard try Files.exists(url) else { return nil }
        return try StableJSON.decode(
            Exchange.self, at: url,
            remedy: "expected measurements of an earlier call, to add these to; move it away, or name another file with"
                + " --output")
    }
}

/// Times the messages of a training step, without the step.
struct ExchangeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exchange",
        abstract: "Times what the processes of one run tell each other in a training step; started by mpirun.",
        discussion:
            "The messages of each model's step are sent as in training, but nothing is computed between them: what "
            + "a network costs. network.sh tries slower networks on one machine.")

    @Option(help: "The network, in words.") var network: String
    @Option(help: "Steps to time, after one that is not.") var steps = 7
    @Option(help: "A file of JSON that this is added to.") var output: String?

    func validate() throws { try require("--steps", steps, in: 1...mostTimed) }

    func run() throws {
        let earlier = try output.flatMap { try Exchange.earlier(in: $0) }
        guard let processes = try MPIProcesses.started(onFailure: { note("Error: \($0)") }) else {
            throw UserError(description: "exchange is for several processes: mpirun -n 4 benchmarks exchange …")
        }
        defer { processes.leave() }
        let entries = StepKind.inTable.map { time($0, processes) }
        guard processes.isFirst else { return }
        let bytes = try StableJSON.encode(
            Exchange(
                network: network, library: processes.library, cpu: ComputeEnvironment.cpuName,
                entries: (earlier?.entries ?? []) + entries))
        guard let output else { return try writeResult(bytes: bytes) }
        try Files.write(bytes, to: URL(fileURLWithPath: output))
    }

    private func time(_ kind: StepKind, _ processes: MPIProcesses) -> Exchange.Entry {
        let messages = StepMessages(kind), count = processes.count
        let padded = (messages.parameters + 16 * count - 1) / (16 * count) * 16 * count
        let gradient = [Float](repeating: 0, count: padded)
        var slices = gradient
        let before = processes.traffic
        var seconds: [Double] = []
        for step in 0...steps {
            let start = DispatchTime.now().uptimeNanoseconds
            _ = processes.broadcast([0])
            for channels in messages.normalizations {
                _ = processes.allGather([Double](repeating: 0, count: 2 * channels + 1))
            }
            _ = processes.allGather([0, 0, 0] as [Double])
            for channels in messages.normalizations.reversed() {
                _ = processes.allGather([Double](repeating: 0, count: 2 * channels))
            }
            gradient.withUnsafeBytes { given in
                slices.withUnsafeMutableBytes { taken in
                    processes.allToAll(given, into: taken)
                    let slice = UnsafeRawBufferPointer(rebasing: given[..<(given.count / count)])
                    processes.allGather(slice, into: taken)
                }
            }
            if step > 0 { seconds.append(Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9) }
        }
        let after = processes.traffic
        return Exchange.Entry(
            kind: kind.rawValue, processes: count, bytes: (after.bytes - before.bytes) / (steps + 1),
            calls: (after.calls - before.calls) / (steps + 1), seconds: median(seconds))
    }
}
