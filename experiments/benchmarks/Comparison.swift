import ExperimentKit
import Foundation

/// The measurements of `compare` on one kind of machine.
struct Comparison: Codable {
    /// A program over all rounds.
    struct Program: Codable {
        let mode: String
        let torch: String?
        /// The library beside PyTorch that it uses, with its version; nil where it uses none.
        let package: String?
        let parameters: Int
        /// Median of the rounds' medians, and the fastest step, in seconds.
        let median: Double
        let minimum: Double
        /// By the definition of the model's products, in 10⁹ operations a second; nil where it is not counted.
        let gflops: Double?
        /// Resident memory at its peak, in MiB.
        let peak: Int

        init(_ runs: [StepMeasurement]) {
            mode = runs[0].mode
            torch = runs[0].torch
            package = runs[0].package
            parameters = runs[0].parameters
            median = benchmarks.median(runs.map(\.median_s))
            minimum = runs.map(\.min_s).min() ?? 0
            gflops = runs[0].gflops == nil ? nil : benchmarks.median(runs.compactMap(\.gflops))
            peak = runs.map(\.peak_mib).max() ?? 0
        }
    }

    struct Step: Codable {
        let kind: String
        let ours: Program
        /// The fastest of its peers; nil where there was none.
        let peer: Program?

        var ratio: Double? { peer.map { ours.median / $0.median } }
        var memoryRatio: Double? { peer.map { Double(ours.peak) / Double(max(1, $0.peak)) } }
    }

    /// Characters a second, one at a time, with the rate in GB/s at which the weights are read.
    struct Characters: Codable {
        let sampled: Double
        let samplingGB: Double
        let read: Double
        let readingGB: Double
        let copyGB: Double
        let peerSampled: Double?
        let peerMode: String?
    }

    let date: String
    let cpu: String
    let threads: Int
    let blas: String
    /// The kernels that ran.
    let simd: String
    /// The instruction set that all programs were held to on a processor with a wider one; nil where none was.
    let heldTo: String?
    /// Rates of sgemm 2048³ before and after, in GFLOP/s.
    let sgemm: [Double]
    let torch: String?
    let rounds: Int
    let stepsARound: Int
    let steps: [Step]
    let characters: Characters?
    let library: [Step]

    // MARK: - Text

    /// Such as "AVX-512".
    private var instructions: String {
        ["amx": "AMX", "avx512": "AVX-512", "avx2": "AVX2", "portable": "portable kernels"][simd] ?? simd
    }

    /// Such as "AVX-512, Intel Xeon".
    var kindOfMachine: String { "\(instructions), \(processorText(cpu))" }

    /// One is kept for each instruction set and maker of processors.
    static func fileName(simd: String, cpu: String) -> String { "\(simd)-\(processorMaker(cpu)).json" }
    var fileName: String { Self.fileName(simd: simd, cpu: cpu) }

    /// A sentence on where and how it was measured.
    var provenance: String {
        let held = heldTo == nil ? "" : ", restricted to \(instructions) (this suite, OpenBLAS and PyTorch)"
        let rates = sgemm.map { fixed($0, 0) }.joined(separator: " and ")
        return """
            \(date), \(cpu)\(held), \(threads) \(threads == 1 ? "thread" : "threads"). \(blas); sgemm 2048³ at \(rates) \
            GFLOP/s before and after. \(torch.map { "PyTorch \($0)." } ?? "PyTorch was not there.") \(rounds) \(rounds == 1 ? "round" : "rounds") of \
            \(stepsARound) steps, the programs in turn; medians of the rounds' medians.
            """
    }

    /// All that was measured, as tables.
    var text: String {
        let ceiling = sgemm.reduce(0, +) / Double(max(1, sgemm.count))
        var text = markdownTable(
            ["step", "median, s", "minimum, s", "GFLOP/s", "of sgemm", "peak MiB", "PyTorch, s (mode)", "ratio"]
                + ["its peak MiB", "ratio"],
            steps.map { step in
                [
                    step.kind, fixed(step.ours.median, 2), fixed(step.ours.minimum, 2),
                    step.ours.gflops.map { fixed($0, 0) } ?? "–",
                    step.ours.gflops.map { "\(fixed($0 / ceiling * 100, 0)) %" } ?? "–", "\(step.ours.peak)",
                    step.peer.map { "\(fixed($0.median, 2)) (\($0.mode))" } ?? "–", optional(step.ratio),
                    step.peer.map { "\($0.peak)" } ?? "–", optional(step.memoryRatio),
                ]
            })
        text += "\n\n\(provenance)\n"
        if let characters {
            let ratio = characters.peerSampled.map { fixed(characters.sampled / $0, 1) } ?? "–"
            let peer = characters.peerSampled.map { "\(fixed($0, 0)) (\(characters.peerMode ?? ""))" } ?? "–"
            text += "\nOne character at a time; every character needs all weights once.\n\n"
            text += markdownTable(
                [
                    "Layer Norm HyperLSTM, 1000 units", "characters/s", "weights, GB/s",
                    "PyTorch, characters/s (mode)", "ratio",
                ],
                [
                    ["drawing a text", fixed(characters.sampled, 0), fixed(characters.samplingGB, 0), peer, ratio],
                    [
                        "reading a split as one sequence", fixed(characters.read, 0), fixed(characters.readingGB, 0),
                        "–",
                        "–",
                    ],
                ])
            text +=
                "\n\nA copy runs at \(fixed(characters.copyGB, 0)) GB/s, reading and writing counted; caches that hold "
            text += "the weights are faster.\n"
        }
        if !library.isEmpty {
            let package = library.compactMap { $0.peer?.package }.first ?? "hypnettorch"
            text += "\nNetworks whose kernels are generated, beside those of the library \(package) (a chunked "
            text += "hypernetwork of like size).\n\n"
            text += markdownTable(
                ["step", "ours, s", "hypnettorch, s", "ratio", "peak MiB", "its", "parameters", "its"],
                library.map { step in
                    [
                        step.kind, fixed(step.ours.median, 2), step.peer.map { fixed($0.median, 2) } ?? "–",
                        optional(step.ratio), "\(step.ours.peak)", step.peer.map { "\($0.peak)" } ?? "–",
                        grouped(step.ours.parameters), step.peer.map { grouped($0.parameters) } ?? "–",
                    ]
                })
            text += "\n"
        }
        return text
    }

    private func optional(_ value: Double?) -> String { value.map { fixed($0, 2) } ?? "–" }
}

extension Comparison {
    func write(to folder: URL) throws {
        try Files.makeFolder(folder)
        try Files.write(try StableJSON.encode(self), to: folder.appendingPathComponent(fileName))
    }
}

/// The middle one of some values, of an even count the mean of the two middle ones.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted(), middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
