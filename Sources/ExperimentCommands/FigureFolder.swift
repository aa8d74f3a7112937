import ArgumentParser
import ExperimentKit
import Figures
import Foundation

/// `--output` and `--check` of a `figures` command.
public struct FigureOptions: ParsableArguments {
    @Option(
        help: "The folder to write to. Default, where no MODEL is named: the experiment's figures/.",
        completion: .directory)
    var output: String?
    @Flag(help: "Write nothing; fail if a file is not what would be drawn, to a tenth of a point.")
    var check = false

    public init() {}
}

/// The folder that a `figures` command writes to, or compares with what would be drawn.
public final class FigureFolder {
    private let url: URL
    private let isCheck: Bool
    private let isWhole: Bool
    /// Whether somebody named the models, and waits for pictures of them.
    private let isNamed: Bool
    /// Names of files that were drawn, and of those that are not what was drawn.
    private var drawn: Set<String> = [], others: [String] = []

    /// - Parameter isWhole: Whether all pictures that belong into the experiment's own folder are drawn.
    /// - Throws: `UserError` outside a checkout, or where some pictures would be written without a folder of their own;
    ///   `RecordError.unwritable` if the folder cannot be made.
    public init(_ options: FigureOptions, experiment: String, isWhole: Bool) throws {
        guard isWhole || options.check || options.output != nil else {
            throw UserError(
                description:
                    "--output expects a folder for pictures of models that are named: the experiment's figures/"
                    + " has those of the committed weights")
        }
        self.isWhole = isWhole && options.output == nil
        isNamed = !isWhole
        url =
            try options.output.map { URL(fileURLWithPath: $0, isDirectory: true) }
            ?? experimentFolder(experiment).appendingPathComponent("figures", isDirectory: true)
        isCheck = options.check
        if !isCheck { try Files.makeFolder(url) }
    }

    /// To be called when all is drawn.
    ///
    /// - Throws: `UserError` naming the files that are not what was drawn, or that nothing draws any more; or if
    ///   nothing was drawn of models that were named.
    public func finish() throws {
        guard !isNamed || !drawn.isEmpty else {
            throw UserError(description: "nothing was drawn: the models that were named have nothing to show")
        }
        guard others.isEmpty else {
            throw UserError(
                description:
                    "\(url.path): not what the weights give: \(others.joined(separator: ", ")); run `make figures`")
        }
        guard isWhole else { return }
        let old = try FileManager.default.contentsOfDirectory(atPath: url.path)
            .filter { isPictureOfWeights($0) && !drawn.contains($0) }.sorted()
        guard old.isEmpty else {
            throw UserError(
                description: "\(url.path): no committed weights give these pictures any more:"
                    + " \(old.joined(separator: ", ")); delete them")
        }
    }

    /// Whether two pictures are the same: their bytes; pixels that differ by at most a level of gray; or texts whose
    /// numbers differ by at most 0.1. So much may another order of sums on other processors move.
    static func agree(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left != right else { return true }
        if let left = Raster(png: left), let right = Raster(png: right) { return left.agrees(with: right) }
        guard var left = String(bytes: left, encoding: .utf8), var right = String(bytes: right, encoding: .utf8) else {
            return false
        }
        // Pictures within the text.
        let embedded = /base64,([A-Za-z0-9+\/=]+)/
        func rasters(_ text: String) -> [Raster?] {
            text.matches(of: embedded).map { Data(base64Encoded: String($0.1)).flatMap { Raster(png: [UInt8]($0)) } }
        }
        let pairs = (rasters(left), rasters(right))
        guard pairs.0.count == pairs.1.count,
            zip(pairs.0, pairs.1).allSatisfy({ one, other in one.flatMap { one in other.map(one.agrees) } ?? false })
        else { return false }
        (left, right) = (left.replacing(embedded, with: ""), right.replacing(embedded, with: ""))
        func parts(_ text: String) -> (words: String, numbers: [Double]) {
            let number = /[0-9]+(\.[0-9]+)?/
            return (text.replacing(number, with: "0"), text.matches(of: number).compactMap { Double($0.0) })
        }
        let (one, other) = (parts(left), parts(right))
        return one.words == other.words && one.numbers.count == other.numbers.count
            && zip(one.numbers, other.numbers).allSatisfy { abs($0 - $1) <= 0.1 }
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
        drawn.insert(name)
        guard !isCheck else {
            if !Self.agree((try? Data(contentsOf: file)).map([UInt8].init) ?? [], bytes) { others.append(name) }
            return
        }
        try Files.write(bytes, to: file)
        note("wrote \(file.path)")
    }
}
