import ArgumentParser
import ExperimentCommands
import ExperimentKit
import Foundation
import HyperNetworks

@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks",
        abstract: "Times training steps, alone or beside the PyTorch programs in pytorch/.",
        version: Software.version,
        subcommands: [
            StepCommand.self, CharactersCommand.self, CompareCommand.self, ExchangeCommand.self, TablesCommand.self,
        ],
        defaultSubcommand: CompareCommand.self)

    static func main() { Foundation.exit(runProgram(Self.self)) }
}

/// Steps, rounds and characters that can be timed in a call.
let mostTimed = 1_000_000

/// A model whose step is timed.
enum StepKind: String, ExpressibleByArgument, CaseIterable {
    case lstm
    case lnLSTM = "ln-lstm"
    case hyperLSTM = "hyperlstm"
    case lnHyperLSTM = "ln-hyperlstm"
    case wideResNet1 = "wrn-40-1"
    case hyperWideResNet1 = "hyper-wrn-40-1"
    case wideResNet2 = "wrn-40-2"
    case hyperWideResNet2 = "hyper-wrn-40-2"
    case wideResNet4 = "wrn-40-4"

    /// The rows of the table; the others only show how time grows.
    static let inTable = allCases.filter { $0 != .hyperLSTM && $0 != .wideResNet4 }

    /// k and where the kernels come from, of a Wide ResNet; nil for the others.
    var wideResNet: WideResNetConfiguration? {
        func configuration(_ kernels: KernelSource, widening: Int) -> WideResNetConfiguration {
            WideResNetConfiguration(
                kernels: kernels, blocks: 6, widening: widening, baseWidth: 16, classes: 10, embeddingSize: 64,
                basicChannels: 16, initialValues: .he)
        }
        return switch self {
        case .wideResNet1: configuration(.owned, widening: 1)
        case .hyperWideResNet1: configuration(.generated, widening: 1)
        case .wideResNet2: configuration(.owned, widening: 2)
        case .hyperWideResNet2: configuration(.generated, widening: 2)
        case .wideResNet4: configuration(.owned, widening: 4)
        case .lstm, .lnLSTM, .hyperLSTM, .lnHyperLSTM: nil
        }
    }

    /// The model of characters of a kind that is no Wide ResNet.
    func characterModel(units: Int, keep: Float) -> CharacterModelConfiguration {
        let hyper = self == .hyperLSTM || self == .lnHyperLSTM
        return CharacterModelConfiguration(
            cell: hyper ? .hyperLSTM : .lstm, layers: 1, units: units,
            layerNorm: self == .lnLSTM || self == .lnHyperLSTM, hyperUnits: hyper ? 128 : 0,
            embeddingSize: hyper ? 4 : 0, keepInput: 1, keepOutput: 1, keepRecurrent: self == .lstm ? 1 : keep,
            keepHyperRecurrent: 1, forgetBias: 1, layerNormEpsilon: 1e-3, hyperStateForEmbeddings: .current,
            hyperLayerNorm: .matchMain)
    }

    /// The program and the configuration of the paper's row; nil where there is none.
    var paperRow: (program: String, configuration: String)? {
        switch self {
        case .lstm: ("char-hyperlstm", "table3-lstm")
        case .lnLSTM: ("char-hyperlstm", "table3-layer-norm-lstm")
        case .hyperLSTM: ("char-hyperlstm", "table3-hyperlstm")
        case .lnHyperLSTM: ("char-hyperlstm", "table3-layer-norm-hyperlstm")
        case .wideResNet1: ("static-hypernet", "table2-wide-resnet-40-1")
        case .hyperWideResNet1: ("static-hypernet", "table2-hyper-wide-resnet-40-1")
        case .wideResNet2: ("static-hypernet", "table2-wide-resnet-40-2")
        case .hyperWideResNet2: ("static-hypernet", "table2-hyper-wide-resnet-40-2")
        case .wideResNet4: nil
        }
    }

    /// The PyTorch programs that do the same, as arguments: program, subject, mode.
    var peers: [[String]] {
        switch self {
        case .lstm: [["char.py", rawValue, "eager"]]
        case .lnLSTM, .lnHyperLSTM: [["char.py", rawValue, "eager"], ["char.py", rawValue, "compile"]]
        case .hyperLSTM: []
        // There is no hypernetwork in PyTorch to time; the plain network stands beside both of ours.
        case .wideResNet1, .hyperWideResNet1: ["eager-cl", "eager", "compile-cl"].map { ["wrn.py", "1", $0] }
        case .wideResNet2, .hyperWideResNet2: ["eager-cl", "eager", "compile-cl"].map { ["wrn.py", "2", $0] }
        case .wideResNet4: ["eager-cl", "eager", "compile-cl"].map { ["wrn.py", "4", $0] }
        }
    }
}

/// A timed step as a program prints it, in one line of JSON.
struct StepMeasurement: Codable {
    let step: String
    /// "swift", or how PyTorch ran it.
    let mode: String
    let parameters: Int
    let median_s: Double
    let min_s: Double
    let gflops: Double?
    let peak_mib: Int
    let threads: Int?
    let torch: String?
    /// The library that a peer uses beside PyTorch, with its version.
    let package: String?
    let blas: String?
    let simd: String?
}
