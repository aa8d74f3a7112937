import ExperimentKit
import Figures
import Foundation

/// The folder that a `figures` command writes to.
public struct FigureFolder {
    private let url: URL

    /// - Parameter output: The folder that the user named; nil takes the experiment's own.
    /// - Throws: `UserError` outside a checkout; `RecordError.unwritable` if the folder cannot be made.
    public init(output: String?, experiment: String) throws {
        url =
            try output.map { URL(fileURLWithPath: $0, isDirectory: true) }
            ?? experimentFolder(experiment).appendingPathComponent("figures", isDirectory: true)
        try RunFolder(url: url).make()
    }

    /// Writes a picture as NAME.svg.
    public func write(_ name: String, _ svg: String) throws { try write(name + ".svg", [UInt8](svg.utf8)) }

    /// Writes a picture made of pixels as NAME.svg, with its words, and as NAME.png without, as large as on the screen.
    public func write(_ name: String, _ grid: ImageGrid) throws {
        try write(name, grid.svg)
        let (x, y) = (max(1, Int(grid.scale.x.rounded())), max(1, Int(grid.scale.y.rounded())))
        try write(name + ".png", grid.sheet.enlarged(x: x, y: y).png)
    }

    private func write(_ name: String, _ bytes: [UInt8]) throws {
        let file = url.appendingPathComponent(name)
        try RunFolder.write(to: file) { bytes }
        note("wrote \(file.path)")
    }
}

/// The last part of a path or name with words in it, for titles and file names: `table3-lstm` of `runs/table3-lstm/0`.
public func shortName(_ model: String) -> String {
    let parts = model.split(separator: "/").filter { Int($0) == nil && $0 != "checkpoints" && !$0.hasPrefix("step-") }
    return parts.last.map { $0.replacingOccurrences(of: ".safetensors", with: "") } ?? model
}
