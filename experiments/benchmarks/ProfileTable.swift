import Compute
import Foundation

/// The parts of a training step's time, as a Markdown table.
struct ProfileTable {
    let text: String

    /// - Parameters:
    ///   - steps: How often to run the step; times are of one step on average.
    ///   - step: What to look at.
    init(steps: Int, _ step: () -> Void) {
        let start = DispatchTime.now().uptimeNanoseconds
        let entries = Profile.record { for _ in 0..<steps { step() } }
        let total = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
        func row(_ name: String, calls: Int?, seconds: Double, flops: Double, bytes: Double) -> String {
            let rates = [flops, bytes].map {
                $0 == 0 || seconds == 0 ? "" : String(format: "%.0f", $0 / seconds * 1e-9)
            }
            let cells = [
                name, calls.map { "\($0 / steps)" } ?? "", String(format: "%.2f", seconds / Double(steps) * 1e3),
                String(format: "%.1f %%", seconds / total * 100),
            ]
            return "| " + (cells + rates).joined(separator: " | ") + " |"
        }
        let reported = entries.reduce(0) { $0 + $1.seconds }
        let rows =
            entries.map { row($0.name, calls: $0.calls, seconds: $0.seconds, flops: $0.flops, bytes: $0.bytes) }
            + [
                row("everything else", calls: nil, seconds: total - reported, flops: 0, bytes: 0),
                row("a step", calls: nil, seconds: total, flops: entries.reduce(0) { $0 + $1.flops }, bytes: 0),
            ]
        text = """
            | operation | calls | ms | share | GFLOP/s | GB/s |
            |---|---|---|---|---|---|
            \(rows.joined(separator: "\n"))

            \(ComputeEnvironment.threads) threads; sgemm 2048³ at \(Int(ComputeEnvironment.measureGEMM())) GFLOP/s, a copy \
            at \(Int(ComputeEnvironment.measureCopy())) GB/s. GFLOP/s by an operation's definition: Winograd's convolutions need \
            fewer. GB/s as if each operand were read once a call.

            """
    }
}
