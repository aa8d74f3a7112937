import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation
import HyperNetworks

/// Times the training step of one model in this process.
struct StepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "step",
        abstract: "Times one training step: forward, backward, clipping, update.",
        discussion: "A character model: 1000 units, 50 symbols, batch 128 x 100 unless told otherwise, Adam, on random "
            + "symbols. A Wide ResNet: batch 128, L2 on the kernels, Nesterov momentum, or Adam where the kernels are "
            + "generated, on random images. Prints a line of JSON: median and minimum seconds per step, GFLOP/s, peak "
            + "resident MiB.")

    @Argument(help: "Which model: \(StepKind.allCases.map(\.rawValue).joined(separator: ", ")).") var kind: StepKind
    @Option(help: "Threads; without it what the process may use.") var threads: Int?
    @Option(help: "Steps to time, after two that are not.") var steps = 5
    @Option(help: "Units of the main cell. Default: 1000.") var units: Int?
    @Option(help: "Sequences, or images, in a batch.") var batch = 128
    @Option(help: "Steps of a sequence. Default: 100.") var sequence: Int?
    @Option(help: "Keep probability of the recurrent dropout (the plain LSTM has none). Default: 0.9.") var keep: Float?

    @Flag(help: "Print where the time goes instead: time, GFLOP/s and GB/s of each operation.") var profile = false

    func validate() throws {
        try require("--steps", steps, in: 1...mostTimed)
        // Small enough that no count of numbers or operations overflows; what memory allows is less.
        for (name, value) in [("--units", units), ("--batch", batch), ("--sequence", sequence)] {
            try require(name, value, in: 1...10_000)
        }
        if kind.wideResNet != nil, units != nil || sequence != nil || keep != nil {
            throw ValidationError(
                "--units, --sequence and --keep are for models of characters; \(kind.rawValue) reads images")
        }
        let keeps = Float(CharacterModelConfiguration.leastKeep)...1
        if let keep, !keeps.contains(keep) {
            throw ValidationError("--keep expects a number from \(keeps.lowerBound) to 1, found \(keep)")
        }
    }

    func run() throws {
        try ComputeEnvironment.configure(threads: threads)
        for warning in ComputeEnvironment.warnings {
            note("warning: \(warning)")
        }
        let (model, flops, step) = kind.wideResNet.map(imageStep) ?? characterStep()
        if profile {
            for _ in 0..<2 { step() }
            try writeResult(ProfileTable(steps: steps, step).text, terminator: "")
            return
        }
        var seconds: [Double] = []
        for index in 0..<steps + 2 {
            let start = DispatchTime.now().uptimeNanoseconds
            step()
            if index > 1 { seconds.append(Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9) }
        }
        let median = benchmarks.median(seconds), minimum = seconds.min() ?? 0
        var usage = rusage()
        #if canImport(Darwin)
            getrusage(RUSAGE_SELF, &usage)
            let peak = usage.ru_maxrss >> 20  // in bytes
        #else
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            let peak = usage.ru_maxrss >> 10  // in KiB
        #endif
        let measurement = StepMeasurement(
            step: kind.rawValue, mode: "swift", parameters: model.parameterCount,
            median_s: (median * 1e4).rounded() / 1e4, min_s: (minimum * 1e4).rounded() / 1e4,
            gflops: (flops / median * 1e-9).rounded(), peak_mib: peak,
            threads: ComputeEnvironment.threads, torch: nil, package: nil,
            blas: ComputeEnvironment.blasCoreName,
            simd: ComputeEnvironment.simdName)
        try writeResult(bytes: try StableJSON.encodeLine(measurement))
    }

    /// A model, the floating-point operations of a step's products, and the step.
    private typealias Subject = (model: any Module, flops: Double, step: () -> Void)

    private func imageStep(_ configuration: WideResNetConfiguration) -> Subject {
        let model = WideResNet(configuration: configuration, seed: 0), parameters = model.parameters
        var data = RandomStream(seed: 1, stream: 1)
        let images = Variable(Tensor(data.normal(batch * 32 * 32 * 3), shape: [batch, 32, 32, 3]))
        let targets = (0..<batch).map { _ in Int32(data.integer(below: 10)) }
        let adam = Adam(parameters: parameters), nesterov = NesterovSGD(parameters: parameters)
        let isHyper = configuration.kernels == .generated
        // Each multiplication with its addition, once forward and twice backward.
        let flops = 6 * Double(configuration.multiplicationCount) * Double(batch)
        return (
            model, flops,
            {
                model.clearGradients()
                let result = model.forward(images, mode: .training)
                (crossEntropy(result.logits, targets) + l2Penalty(result.kernels, coefficient: 5e-4)).backward()
                if isHyper { adam.step(learningRate: 1e-3) } else { nesterov.step(learningRate: 0.1) }
            }
        )
    }

    private func characterStep() -> Subject {
        let vocabulary = 50, sequence = sequence ?? 100
        let configuration = kind.characterModel(units: units ?? 1000, keep: keep ?? 0.9)
        let model = CharacterModel(configuration: configuration, vocabularySize: vocabulary, seed: 0)
        let parameters = model.parameters, optimizer = Adam(parameters: parameters)
        var data = RandomStream(seed: 1, stream: 1)
        let symbols = (0..<(sequence + 1) * batch).map { _ in Int32(data.integer(below: vocabulary)) }
        let inputs = Array(symbols.dropLast(batch)), targets = Array(symbols.dropFirst(batch))
        var state = model.zeroState(batch: batch), random: RandomStream? = RandomStream(seed: 2, stream: 2)
        return (
            model, flops(configuration, vocabulary: vocabulary, sequence: sequence),
            {
                model.clearGradients()
                model.loss(inputs: inputs, targets: targets, batch: batch, state: &state, dropout: &random).backward()
                clipGlobalNorm(parameters, maximum: 1)
                optimizer.step(learningRate: 1e-3)
            }
        )
    }

    /// Floating-point operations of the matrix products of a step: every weight takes part in one multiplication and
    /// addition forward and two backward, for each character; the one-hot input in none.
    private func flops(_ configuration: CharacterModelConfiguration, vocabulary: Int, sequence: Int) -> Double {
        let H = configuration.units, h = configuration.hyperUnits, Nz = configuration.embeddingSize
        let weights = 4 * H * H + H * vocabulary + (h == 0 ? 0 : 4 * h * (H + h) + 12 * h * Nz)
        return 6 * Double(weights) * Double(batch * sequence)
    }
}
