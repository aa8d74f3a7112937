import Figures
import HyperNetworks

/// Figures 2, 12 and 13: kernels that a network owns beside kernels that a hypernetwork makes.
public enum KernelFigures {
    /// A network's kernels under its name in the picture.
    public typealias Named<Network> = (name: String, network: Network)

    private static let caption =
        "one square per filter, rows are input channels, columns output channels; gray is 0, black and white are −3"
        + " and +3 standard deviations of the kernel and beyond"

    /// The second kernel of the MNIST networks, 16 × 16 filters of 7 × 7 (Figure 2).
    public static func figure2(_ networks: [Named<MNISTConvNet>]) -> ImageGrid {
        ImageGrid(
            title: "Figure 2: kernels of the second convolution, MNIST", caption: caption, scale: (3, 3),
            rows: [
                ImageGrid.Row(
                    name: "",
                    cells: networks.map { name, network in
                        let kernel = withoutGradient { network.secondKernel() }.value
                        return ImageGrid.Cell(name: name, image: raster(kernel))
                    })
            ])
    }

    /// The upper left 16 × 16 filters of every block kernel of Wide ResNets (Figures 12 and 13), a row a group.
    public static func figures12And13(_ networks: [Named<WideResNet>]) -> ImageGrid {
        var rows: [ImageGrid.Row] = []
        for (name, network) in networks {
            let kernels = withoutGradient { network.blockKernels() }
            let perGroup = kernels.count / 3
            for group in 0..<3 {
                let cells = (group * perGroup..<(group + 1) * perGroup).map { index in
                    ImageGrid.Cell(
                        name: layerName(index, perGroup: perGroup),
                        image: raster(kernels[index].value, inputs: 0..<16, outputs: 0..<16))
                }
                rows.append(ImageGrid.Row(name: group == 0 ? name : "", cells: cells))
            }
        }
        return ImageGrid(
            title: "Figures 12 and 13: the first 16 × 16 filters of every kernel, CIFAR-10", caption: caption,
            scale: (1.5, 1.5), rows: rows)
    }

    /// `conv2.1` … `conv4.12`, the paper's names of the groups with a number in the group.
    static func layerName(_ index: Int, perGroup: Int) -> String {
        "conv\(index / perGroup + 2).\(index % perGroup + 1)"
    }

    /// A kernel [f, f, in, out] as a picture, each filter f × f pixels.
    public static func raster(_ kernel: Tensor, inputs: Range<Int>? = nil, outputs: Range<Int>? = nil) -> Raster {
        let f = kernel.shape[0], (allInputs, allOutputs) = (kernel.shape[2], kernel.shape[3])
        let inputs = (inputs ?? 0..<allInputs).clamped(to: 0..<allInputs)
        let outputs = (outputs ?? 0..<allOutputs).clamped(to: 0..<allOutputs)
        let values = kernel.floats
        let meanSquare = values.reduce(0) { $0 + Double($1) * Double($1) } / Double(values.count)
        let limit = Float(3 * meanSquare.squareRoot())
        // With weights that are NaN or infinite there is no limit: all is gray.
        let range: ClosedRange<Float> = limit.isFinite ? -limit...limit : 0...0
        var raster = Raster(width: outputs.count * f, height: inputs.count * f)
        for (row, i) in inputs.enumerated() {
            for (column, o) in outputs.enumerated() {
                for y in 0..<f {
                    for x in 0..<f {
                        let value = values[((y * f + x) * allInputs + i) * allOutputs + o]
                        raster[column * f + x, row * f + y] = Raster.brightness(value, in: range)
                    }
                }
            }
        }
        return raster
    }
}
