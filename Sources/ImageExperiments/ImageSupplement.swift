import Compute
import ExperimentKit
import Foundation
import HyperNetworks

extension ImageExperiment {
    public static func supplement(
        to table: PaperTable, _ configurations: [NamedConfiguration<ImageConfiguration>]
    ) -> String {
        table.id == "Table 2" ? initialValues(configurations) : ""
    }

    /// Deviation `staticInitialValues`, measured on the networks of Table 2 as they start with seed 0.
    private static func initialValues(_ configurations: [NamedConfiguration<ImageConfiguration>]) -> String {
        let rows = configurations.filter {
            $0.values.budget == "paper" && $0.values.model.network == .wideResNet
                && $0.values.model.kernels == .generated
        }
        let cells = rows.flatMap { row -> [[String]] in
            guard let network = row.values.model.model(seed: 0) as? WideResNet,
                case .generated(let hypernetwork) = network.kernels
            else { return [] }
            let kernels = withoutGradient { hypernetwork.kernels() }
            // Layers of one fan-in start alike: one line for all of them.
            var lines: [(inputs: Int, he: Float, measured: [Double])] = []
            for (kernel, shape) in zip(kernels, hypernetwork.layers) {
                let squares = kernel.value.floats.reduce(0) { $0 + Double($1) * Double($1) }
                let measured = (squares / Double(shape.count)).squareRoot()
                if let line = lines.firstIndex(where: { $0.inputs == shape.inputs }) {
                    lines[line].measured.append(measured)
                } else {
                    lines.append((shape.inputs, shape.heStandardDeviation, [measured]))
                }
            }
            return lines.map { line in
                [
                    "`\(row.name)`", "\(9 * line.inputs)", "\(line.measured.count)", fixed(Double(line.he), 4),
                    "\(fixed(line.measured.min() ?? .nan, 4)) to \(fixed(line.measured.max() ?? .nan, 4))",
                ]
            }
        }
        return "#### How generated kernels start (deviation `staticInitialValues`)\n\n"
            + markdownTable(["network", "fan-in", "layers", "s.d. of He et al.", "measured s.d."], cells)
    }
}
