import Foundation

/// A chart of validation bits per character against training steps: a gnuplot script that holds its data, and the SVG
/// drawn from it.
public struct CurveFigure {
    struct Curve {
        let title: String
        let points: [(step: Int, bits: Double)]
        /// The paper's curve is dashed and black, ours have colours.
        let isPaper: Bool
    }

    let budget: String
    /// Relative to the checkout.
    let folder: String
    let name: String
    let title: String
    let curves: [Curve]

    var scriptPath: String { "\(folder)/\(name).gnuplot" }
    var imagePath: String { "\(folder)/\(name).svg" }

    /// The script; it depends on the records alone, so it is what `results --check` compares.
    var script: String {
        let drawn = curves.filter { !$0.points.isEmpty }
        var lines = [
            "# Made by `char-hyperlstm results` from the records; draw with: gnuplot \(name).gnuplot",
            "set terminal svg size 800,500 font 'Helvetica,14' background rgb 'white'",
            "set output '\(name).svg'",
            "set title '\(Self.quoted(title))'",
            "set xlabel 'training steps'",
            "set ylabel 'bits per character'",
            "set grid",
            "set key top right",
        ]
        for (index, curve) in drawn.enumerated() {
            lines.append("$curve\(index) << END")
            lines += curve.points.map { "\($0.step) \(fixed($0.bits, 4))" }
            lines.append("END")
        }
        let plots = drawn.enumerated().map { index, curve in
            let style = curve.isPaper ? "dashtype 2 linecolor rgb 'black'" : "linecolor \(index + 1)"
            return "$curve\(index) using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 \(style)"
                + " title '\(Self.quoted(curve.title))'"
        }
        if !plots.isEmpty { lines.append("plot " + plots.joined(separator: ", \\\n     ")) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A text inside gnuplot's single quotes.
    private static func quoted(_ text: String) -> String { text.replacingOccurrences(of: "'", with: "''") }

    /// Draws the image beside its script.
    ///
    /// - Returns: false where there is no gnuplot; the image stays as it was.
    /// - Throws: `FigureError` if gnuplot fails.
    func draw(in project: URL) throws -> Bool {
        let process = Process()
        let errors = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gnuplot", "\(name).gnuplot"]
        process.currentDirectoryURL = project.appendingPathComponent(folder, isDirectory: true)
        process.standardError = errors
        guard (try? process.run()) != nil else { return false }
        let text = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        // `env` answers 127 where it finds no such program.
        if process.terminationStatus == 127 { return false }
        guard process.terminationStatus == 0 else {
            throw FigureError(path: scriptPath, reason: String(decoding: text, as: UTF8.self))
        }
        return true
    }
}

/// gnuplot refused a script.
public struct FigureError: Error, Equatable, CustomStringConvertible {
    public let path: String
    public let reason: String

    public var description: String { "\(path): gnuplot failed: \(reason)" }
}
