import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation
import HyperNetworks

/// Times our steps and PyTorch's in turn, each in a process of its own, and keeps what was measured.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Times every step beside PyTorch (where python3 has torch), in turn, and prints tables of ratios.",
        discussion: "Ours and each of PyTorch's modes run one after the other, several rounds, so that a machine whose "
            + "speed drifts slows all of them. A ratio is the median of ours over the best median of PyTorch's modes. "
            + "Nothing is kept from a busy machine: sgemm must run at the same rate before and after, within 15 %. "
            + "With HYPERNETWORKS_SIMD=avx2 everything is held to AVX2, OpenBLAS and PyTorch too.")

    @Argument(help: "Which models; without any: lstm, ln-lstm, ln-hyperlstm and the Wide ResNets of widths 1 and 2.")
    var kinds: [StepKind] = []
    @Option(help: "Rounds of all programs.") var rounds = 3
    @Option(help: "Steps that each program times in a round.") var steps = 3
    @Option(help: "Threads of all programs; without it what the process may use.") var threads: Int?
    @Option(help: "The folder of the PyTorch programs.") var peers = "experiments/benchmarks/pytorch"
    @Option(
        help: """
            A folder that gets one file for each kind of machine, such as avx512-amd.json, for `tables`. One that is there \
            is replaced by all steps beside PyTorch's, never by a part of them.
            """)
    var output: String?

    func validate() throws {
        try require("--rounds", rounds, in: 1...mostTimed)
        try require("--steps", steps, in: 1...mostTimed)
    }

    func run() throws {
        for (name, value) in Self.limits where ProcessInfo.processInfo.environment[name] == nil {
            setenv(name, value, 1)
        }
        try ComputeEnvironment.configure(threads: threads)
        let threads = ComputeEnvironment.threads
        let hasPeers = has("torch")
        if !hasPeers { note("python3 has no torch here: ours only (pip install torch==2.13.0 brings it)") }
        if hasPeers, try !Files.exists(URL(fileURLWithPath: "\(peers)/char.py")) {
            throw UserError(
                description: "--peers expects the folder of the PyTorch programs, experiments/benchmarks/pytorch in the"
                    + " checkout; there is no char.py in \(peers)")
        }
        if let output { try Files.makeFolder(URL(fileURLWithPath: output, isDirectory: true)) }
        if !kinds.isEmpty || !hasPeers { try requireNothingThere() }
        let before = ComputeEnvironment.measureGEMM()
        // Kinds that are held to the same peers, together: one run of the peers serves all of them.
        let groups = (kinds.isEmpty ? StepKind.inTable : kinds).inGroups { $0.peers == $1.peers }
        let steps = try groups.flatMap { group in
            try compare(group, with: hasPeers ? group[0].peers : [], threads: threads)
        }
        let characters = kinds.isEmpty ? try characters(threads, hasPeers: hasPeers) : nil
        let library = kinds.isEmpty && hasPeers && has("hypnettorch") ? try library(threads: threads) : []
        let after = ComputeEnvironment.measureGEMM()
        guard abs(before - after) <= 0.15 * max(before, after) else {
            throw UserError(
                description:
                    "the machine was busy: sgemm ran at \(fixed(before, 0)) GFLOP/s before and \(fixed(after, 0)) "
                    + "after, and less than 15 % apart is expected; nothing was written. Stop what else runs and try "
                    + "again")
        }
        let measured = Comparison(
            date: String(ISO8601DateFormatter().string(from: Date()).prefix(10)), cpu: ComputeEnvironment.cpuName,
            threads: threads, blas: ComputeEnvironment.blasDescription, simd: ComputeEnvironment.simdName,
            heldTo: Self.limits.isEmpty ? nil : ComputeEnvironment.simdName, sgemm: [before, after],
            torch: steps.compactMap { $0.peer?.torch }.first, rounds: rounds, stepsARound: self.steps, steps: steps,
            characters: characters, library: library)
        try writeResult(measured.text, terminator: "")
        if let output {
            try measured.write(to: URL(fileURLWithPath: output, isDirectory: true))
            note("wrote \(output)/\(measured.fileName); `benchmarks tables` puts it into the documents")
        }
    }

    /// Checks that the file for these measurements does not exist: a part of them must not replace all.
    ///
    /// - Throws: `UserError`.
    private func requireNothingThere() throws {
        guard let output else { return }
        let name = Comparison.fileName(simd: ComputeEnvironment.simdName, cpu: ComputeEnvironment.cpuName)
        let file = URL(fileURLWithPath: output, isDirectory: true).appendingPathComponent(name)
        guard try Files.exists(file) else { return }
        throw UserError(
            description: "\(file.path) is there already, and this call measures a part of what belongs into it: name"
                + " another folder with --output")
    }

    /// Variables that hold OpenBLAS and PyTorch to AVX2 too, where our kernels are held to it.
    private static let limits: [(name: String, value: String)] =
        ProcessInfo.processInfo.environment["HYPERNETWORKS_SIMD"] == "avx2"
        ? [
            ("OPENBLAS_CORETYPE", "Haswell"), ("ATEN_CPU_CAPABILITY", "avx2"), ("ONEDNN_MAX_CPU_ISA", "AVX2"),
            ("MKL_ENABLE_INSTRUCTIONS", "AVX2"),
        ] : []

    private func has(_ module: String) -> Bool { (try? capture(["python3", "-c", "import \(module)"])) != nil }

    /// Our steps, each beside the fastest of its peers.
    ///
    /// - Parameter peers: Programs of the folder `peers` with their arguments; none where python3 lacks what they need.
    private func compare(_ group: [StepKind], with peers: [[String]], threads: Int) throws -> [Comparison.Step] {
        let commands =
            group.map {
                [CommandLine.arguments[0], "step", $0.rawValue, "--threads", "\(threads)", "--steps", "\(steps)"]
            }
            + peers.map { ["python3", "\(self.peers)/\($0[0])", $0[1], $0[2], "\(threads)", "\(steps)"] }
        var measured = [[StepMeasurement]](repeating: [], count: commands.count)
        for round in 1...rounds {
            for (index, command) in commands.enumerated() {
                let program =
                    index < group.count ? "ours, \(command[2])" : "\(peers[index - group.count][0]), \(command[3])"
                note("round \(round) of \(rounds): \(program)")
                if let step: StepMeasurement = try measure(command, isPeer: index >= group.count) {
                    measured[index].append(step)
                }
            }
        }
        let summaries = measured.filter { !$0.isEmpty }.map(Comparison.Program.init)
        let best = summaries.dropFirst(group.count).min { $0.median < $1.median }
        return zip(group, summaries).map { Comparison.Step(kind: $0.rawValue, ours: $1, peer: best) }
    }

    /// Runs a program and reads what it measured.
    ///
    /// - Returns: Nil for a peer that fails: PyTorch's compiler does now and then, and its other modes are compared all
    ///   the same.
    private func measure<Measurement: Decodable>(_ command: [String], isPeer: Bool) throws -> Measurement? {
        do {
            return try JSONDecoder().decode(Measurement.self, from: capture(command))
        } catch let failure where isPeer {
            note("left out: \(failure)")
            return nil
        }
    }

    /// Networks with generated kernels beside those of the library that a user of PyTorch would take.
    private func library(threads: Int) throws -> [Comparison.Step] {
        try [(StepKind.hyperWideResNet1, "1"), (.hyperWideResNet2, "2")].flatMap { kind, width in
            try compare([kind], with: [["hypnettorch_wrn.py", width, "eager"]], threads: threads)
        }
    }

    /// A Layer Norm HyperLSTM, one character at a time, beside PyTorch's.
    private func characters(_ threads: Int, hasPeers: Bool) throws -> Comparison.Characters {
        var ours: [CharactersMeasurement] = [], theirs: [String: [Double]] = [:]
        for round in 1...rounds {
            note("round \(round) of \(rounds): ours, characters")
            let command = [CommandLine.arguments[0], "characters", "--threads", "\(threads)"]
            ours.append(try JSONDecoder().decode(CharactersMeasurement.self, from: capture(command)))
            for mode in hasPeers ? ["eager", "compile"] : [] {
                note("round \(round) of \(rounds): PyTorch, sampling \(mode)")
                let command = ["python3", "\(peers)/char.py", "ln-hyperlstm", mode, "\(threads)", "--sample", "1000"]
                if let sampling: PeerSampling = try measure(command, isPeer: true) {
                    theirs[mode, default: []].append(sampling.characters_per_s)
                }
            }
        }
        let best = theirs.mapValues(median).max { $0.value < $1.value }
        return Comparison.Characters(
            sampled: median(ours.map(\.sampled_per_s)), samplingGB: median(ours.map(\.sampling_gb_per_s)),
            read: median(ours.map(\.read_per_s)), readingGB: median(ours.map(\.reading_gb_per_s)),
            copyGB: median(ours.map(\.copy_gb_per_s)), peerSampled: best?.value, peerMode: best?.key)
    }

    /// Runs a program and returns what it printed.
    private func capture(_ command: [String]) throws -> Data {
        guard let ended = SystemCommand(command) else { throw UserError(description: "\(command[0]): not found") }
        guard ended.status == 0 else {
            throw UserError(
                description: "\(command.joined(separator: " ")) ended with status \(ended.status): "
                    + ended.errors.suffix(2000))
        }
        return Data(ended.output.utf8)
    }
}
