import ArgumentParser
import Foundation
import HyperNetworks

/// Times training steps and prints one line of JSON for each, as the PyTorch programs in `pytorch/` do.
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks",
        abstract: "Times one training step of a character model: forward, backward, clipping, Adam.",
        discussion: "1000 units, 50 symbols, batch 128 x 100 unless told otherwise, on random symbols. Prints a line of "
            + "JSON: median and minimum seconds per step, GFLOP/s, peak resident MiB.")

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case lstm
        case lnLSTM = "ln-lstm"
        case hyperLSTM = "hyperlstm"
        case lnHyperLSTM = "ln-hyperlstm"
    }

    @Argument(help: "Which model: \(Kind.allCases.map(\.rawValue).joined(separator: ", ")).") var kind: Kind
    @Option(help: "Threads; without it the physical cores.") var threads: Int?
    @Option(help: "Steps to time, after two that are not.") var steps = 5
    @Option(help: "Units of the main cell.") var units = 1000
    @Option(help: "Sequences in a batch.") var batch = 128
    @Option(help: "Steps of a sequence.") var sequence = 100
    @Option(help: "Keep probability of the recurrent dropout.") var keep: Float = 0.9

    func run() throws {
        try ComputeEnvironment.configure(threads: threads)
        let vocabulary = 50, hyper = kind == .hyperLSTM || kind == .lnHyperLSTM
        let configuration = CharacterModelConfiguration(
            cell: hyper ? .hyperLSTM : .lstm, units: units, layerNorm: kind == .lnLSTM || kind == .lnHyperLSTM,
            hyperUnits: hyper ? 128 : 0, embeddingSize: hyper ? 4 : 0, keepRecurrent: kind == .lstm ? 1 : keep)
        let model = CharacterModel(configuration: configuration, vocabularySize: vocabulary, seed: 0)
        let parameters = model.parameters, optimizer = Adam(parameters: parameters)
        var data = RandomStream(seed: 1, stream: 1)
        let symbols = (0..<(sequence + 1) * batch).map { _ in Int32(data.integer(below: vocabulary)) }
        let inputs = Array(symbols.dropLast(batch)), targets = Array(symbols.dropFirst(batch))
        var state = model.zeroState(batch: batch), random: RandomStream? = RandomStream(seed: 2, stream: 2)
        var seconds: [Double] = []
        for step in 0..<steps + 2 {
            let start = DispatchTime.now().uptimeNanoseconds
            model.clearGradients()
            model.loss(inputs: inputs, targets: targets, batch: batch, state: &state, dropout: &random).backward()
            clipGlobalNorm(parameters, maximum: 1)
            optimizer.step(learningRate: 1e-3)
            if step > 1 { seconds.append(Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9) }
        }
        seconds.sort()
        // Each weight takes part in one multiplication forward and two backward; a one-hot input in none.
        let H = units, h = configuration.hyperUnits, weights = hyper ? H * (4 * H + 4 * h) + 4 * h * h + 24 * h * 2
            : 4 * H * H
        let flops = 6.0 * Double(weights + H * vocabulary) * Double(batch * sequence), median = seconds[seconds.count / 2]
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let line: [String: Any] = [
            "step": kind.rawValue, "mode": "swift", "parameters": model.parameterCount,
            "median_s": (median * 1e4).rounded() / 1e4, "min_s": (seconds[0] * 1e4).rounded() / 1e4,
            "gflops": (flops / median * 1e-9).rounded(), "peak_mib": usage.ru_maxrss / 1024,
            "threads": ComputeEnvironment.threads, "blas": ComputeEnvironment.blasCoreName,
            "simd": ComputeEnvironment.simdName,
        ]
        let json = try JSONSerialization.data(withJSONObject: line, options: [.sortedKeys])
        FileHandle.standardOutput.write(json + Data("\n".utf8))
    }
}

Benchmarks.main()
