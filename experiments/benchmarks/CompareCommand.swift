import ArgumentParser
import ExperimentCommands
import Foundation
import HyperNetworks

/// Times our steps and PyTorch's in turn, each in a process of its own, and writes the table.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Times every step beside PyTorch (where python3 has torch), in turn, and prints a table of ratios.",
        discussion: "Ours and each of PyTorch's modes run one after the other, several rounds, so that a machine whose "
            + "speed drifts slows all of them. A ratio is the median of ours over the best median of PyTorch's modes.")

    @Argument(help: "Which models; without any: lstm, ln-lstm, ln-hyperlstm and the Wide ResNets of widths 1 and 2.")
    var kinds: [StepKind] = []
    @Option(help: "Rounds of all programs.") var rounds = 3
    @Option(help: "Steps that each program times in a round.") var steps = 3
    @Option(help: "Threads of all programs; without it what the process may use.") var threads: Int?
    @Option(help: "The folder of the PyTorch programs.") var peers = "experiments/benchmarks/pytorch"
    @Option(help: "A Markdown file to write the table to; it is printed in any case.") var output: String?

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds: expected at least 1, found \(rounds)") }
        guard steps > 0 else { throw ValidationError("--steps: expected at least 1, found \(steps)") }
    }

    func run() throws {
        try ComputeEnvironment.configure(threads: threads)
        let threads = ComputeEnvironment.threads
        let hasPeers = (try? capture(["python3", "-c", "import torch"])) != nil
        if !hasPeers { note("python3 has no torch here: ours only (pip install torch==2.13.0+cpu brings it)") }
        let ceiling = ComputeEnvironment.measureGEMM(size: 2048)
        var rows: [String] = [], torch: String?
        for group in grouped(kinds.isEmpty ? StepKind.inTable : kinds) {
            var commands = group.map {
                [CommandLine.arguments[0], "step", $0.rawValue, "--threads", "\(threads)", "--steps", "\(steps)"]
            }
            if hasPeers {
                commands += group[0].peers.map {
                    ["python3", "\(peers)/\($0[0])", $0[1], $0[2], "\(threads)", "\(steps)"]
                }
            }
            var measured = [[StepMeasurement]](repeating: [], count: commands.count)
            for round in 1...rounds {
                for (index, command) in commands.enumerated() {
                    let program = index < group.count ? "ours, \(command[2])" : "PyTorch, \(command[2]) \(command[3])"
                    note("round \(round) of \(rounds): \(program)")
                    measured[index].append(try JSONDecoder().decode(StepMeasurement.self, from: capture(command)))
                }
            }
            func median(_ runs: [StepMeasurement]) -> Double {
                runs.map(\.median_s).sorted()[runs.count / 2]
            }
            let best = measured.dropFirst(group.count).min { median($0) < median($1) }
            for (kind, ours) in zip(group, measured) {
                let gflops = ours.map { $0.gflops ?? 0 }.sorted()[ours.count / 2]
                let peak = ours.map(\.peak_mib).max() ?? 0
                torch = best?.first?.torch ?? torch
                var cells = [
                    kind.rawValue, number(median(ours)), number(ours.map(\.min_s).min() ?? 0), "\(Int(gflops))",
                    "\(Int(gflops / ceiling * 100)) %", "\(peak)",
                ]
                if let best {
                    let peerPeak = best.map(\.peak_mib).max() ?? 0
                    cells += [
                        "\(number(median(best))) (\(best[0].mode))", number(median(ours) / median(best)), "\(peerPeak)",
                        number(Double(peak) / Double(max(1, peerPeak))),
                    ]
                } else {
                    cells += ["–", "–", "–", "–"]
                }
                rows.append("| " + cells.joined(separator: " | ") + " |")
            }
        }
        let date = ISO8601DateFormatter().string(from: Date()).prefix(10)
        let table = """
            | step | median, s | minimum, s | GFLOP/s | of sgemm | peak MiB | PyTorch, s (mode) | ratio | its peak MiB | ratio |
            |---|---|---|---|---|---|---|---|---|---|
            \(rows.joined(separator: "\n"))

            \(date), \(ComputeEnvironment.cpuName), \(threads) threads. \(ComputeEnvironment.blasDescription); \
            \(ComputeEnvironment.simdName) kernels; sgemm 2048³ at \(Int(ceiling)) GFLOP/s. \
            \(torch.map { "PyTorch \($0)." } ?? "PyTorch was not there.") \
            \(rounds) rounds of \(steps) steps, the programs in turn; medians of the rounds' medians.

            """
        let text =
            "# Training steps, timed\n\nWritten by `make bench`; not edited by hand.\n\n\(table)"
            + (kinds.isEmpty ? "\n## One character at a time\n\n" + (try characters(threads, hasPeers: hasPeers)) : "")
        try writeResult(text, terminator: "")
        if let output {
            try text.write(toFile: output, atomically: true, encoding: .utf8)
        }
    }

    /// A Layer Norm HyperLSTM, one character at a time, beside PyTorch's: a table of rates.
    private func characters(_ threads: Int, hasPeers: Bool) throws -> String {
        var ours: [CharactersMeasurement] = [], theirs: [String: [Double]] = [:]
        for round in 1...rounds {
            note("round \(round) of \(rounds): ours, characters")
            let command = [CommandLine.arguments[0], "characters", "--threads", "\(threads)"]
            ours.append(try JSONDecoder().decode(CharactersMeasurement.self, from: capture(command)))
            for mode in hasPeers ? ["eager", "compile"] : [] {
                note("round \(round) of \(rounds): PyTorch, sampling \(mode)")
                let command = ["python3", "\(peers)/char.py", "ln-hyperlstm", mode, "\(threads)", "--sample", "1000"]
                let sampling = try JSONDecoder().decode(PeerSampling.self, from: capture(command))
                theirs[mode, default: []].append(sampling.characters_per_s)
            }
        }
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        func whole(_ value: Double) -> String { "\(Int(value.rounded()))" }
        let sampled = median(ours.map(\.sampled_per_s))
        let best = theirs.mapValues(median).max { $0.value < $1.value }
        let peer = best.map { "\(whole($0.value)) (\($0.key))" } ?? "–"
        let ratio = best.map { String(format: "%.1f", sampled / $0.value) } ?? "–"
        return """
            | Layer Norm HyperLSTM, 1000 units | characters/s | weights, GB/s | PyTorch, characters/s (mode) | ratio |
            |---|---|---|---|---|
            | drawing a text | \(whole(sampled)) | \(whole(median(ours.map(\.sampling_gb_per_s)))) | \(peer) | \(ratio) |
            | reading a split as one sequence | \(whole(median(ours.map(\.read_per_s)))) | \
            \(whole(median(ours.map(\.reading_gb_per_s)))) | – | – |

            Every character needs all weights once. A copy runs at \(whole(median(ours.map(\.copy_gb_per_s)))) GB/s, reading and \
            writing counted; caches that hold the weights are faster.

            """
    }

    /// Kinds that are held to the same peers, together: one run of the peers serves all of them.
    private func grouped(_ kinds: [StepKind]) -> [[StepKind]] {
        kinds.reduce(into: []) { groups, kind in
            if let index = groups.firstIndex(where: { $0[0].peers == kind.peers }) {
                groups[index].append(kind)
            } else {
                groups.append([kind])
            }
        }
    }

    private func number(_ value: Double) -> String { String(format: "%.2f", value) }

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// Runs a program and returns what it printed.
    private func capture(_ command: [String]) throws -> Data {
        let process = Process(), output = Pipe(), errors = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        let complaint = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(
                description: "\(command.joined(separator: " ")) ended with status \(process.terminationStatus): "
                    + String(decoding: complaint.suffix(2000), as: UTF8.self))
        }
        return data
    }
}
