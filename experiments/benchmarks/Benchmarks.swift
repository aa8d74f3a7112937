import ArgumentParser

@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks",
        abstract: "Times training steps, alone or beside the PyTorch programs in pytorch/.",
        subcommands: [StepCommand.self, CompareCommand.self], defaultSubcommand: CompareCommand.self)
}

/// A model whose step is timed.
enum StepKind: String, ExpressibleByArgument, CaseIterable {
    case lstm
    case lnLSTM = "ln-lstm"
    case hyperLSTM = "hyperlstm"
    case lnHyperLSTM = "ln-hyperlstm"

    /// The PyTorch programs that do the same, as arguments: program, subject, mode.
    var peers: [[String]] {
        switch self {
        case .lstm: [["char.py", rawValue, "eager"]]
        case .lnLSTM, .lnHyperLSTM: [["char.py", rawValue, "eager"], ["char.py", rawValue, "compile"]]
        case .hyperLSTM: []
        }
    }
}

/// What a program prints of a timed step, in one line of JSON.
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
    let blas: String?
    let simd: String?
}
