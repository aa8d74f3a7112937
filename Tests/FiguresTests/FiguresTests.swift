import Foundation
import TestSupport
import Testing

@testable import Figures

@Suite struct FiguresTests {
    /// A parser of another's takes the picture: it is well-formed XML.
    private static func isWellFormed(_ text: String) -> Bool {
        let program = "import sys, xml.dom.minidom as m; m.parseString(sys.stdin.buffer.read())"
        return python(["-c", program], input: Array(text.utf8)) != nil
    }

    private static let chart = LineChart(
        title: "a < b & \"c\"", xLabel: "steps", yLabel: "bits",
        series: [
            LineChart.Series(name: "ours", points: [(100, 2.5), (1000, 1.65), (2000, .nan)]),
            LineChart.Series(name: "paper", kind: .reference, points: [(500, 1.79), (1000, 1.63)]),
            LineChart.Series(name: "empty", points: []),
        ])

    @Test(.enabled("needs python3") { isWellFormed("<a/>") }) func everyPictureIsWellFormedXML() {
        let raster = Raster(width: 3, height: 2, fill: 7)
        let text = ColoredText(
            title: "t", caption: "<c>", characters: ["a", "<", "\n", "\u{1}"], rowNames: ["i"], rows: [[0, 1, 2, .nan]])
        let pictures = [
            Self.chart.svg, text.svg,
            Histograms(
                title: "h", xLabel: "x", range: -1...1, bins: 4,
                panels: [Histograms.Panel(name: "a & b", values: [-1, 0, 1])]
            ).svg,
            LabeledMap(
                title: "m", caption: "c", xLabel: "x", yLabel: "y",
                groups: [LabeledMap.Group(name: "g", points: [(0, 1), (2, 3)], labels: [("1", 0, 1)])]
            ).svg,
            ImageGrid(
                title: "g", caption: "c", scale: (2, 2),
                rows: [ImageGrid.Row(name: "r", cells: [ImageGrid.Cell(name: "c", image: raster)])], columnNames: ["&"]
            ).svg,
        ]
        for picture in pictures { #expect(Self.isWellFormed(picture), "\(picture.prefix(200))") }
    }

    /// One curve that ends at the top among many at the bottom, and more of them than a chart usually has room for.
    @Test(arguments: [9, 60]) func namesOfCurvesStayWithinThePictureAndApart(count: Int) throws {
        let series = (0..<count).map { index in
            LineChart.Series(name: "run \(index)", points: [(0, 2), (1, index == 0 ? 2 : 0.001 * Double(index))])
        }
        let svg = LineChart(title: "t", xLabel: "x", yLabel: "y", series: series).svg
        let height = try #require(svg.firstMatch(of: /viewBox="0 0 [0-9.]+ ([0-9.]+)"/).flatMap { Double($0.1) })
        let places = svg.matches(of: /<text[^>]* y="(-?[0-9.]+)"[^>]*>run [0-9]+</).compactMap { Double($0.1) }.sorted()
        #expect(places.count == count && places[0] > 0 && (places.last ?? .infinity) < height)
        #expect(zip(places, places.dropFirst()).allSatisfy { $1 - $0 > 14.8 }, "\(places)")
        #expect(places[0] < 60, "the name of the curve that ends at the top stands there")
    }

    @Test func aChartNamesItsCurvesAndDrawsNothingForAnEmptyOne() {
        let svg = Self.chart.svg
        #expect(svg.contains(">ours</text>") && svg.contains(">paper</text>") && !svg.contains(">empty</text>"))
        #expect(svg.contains("a &lt; b &amp; &quot;c&quot;"))
        // A NaN has no place: two points are left.
        #expect(svg.contains("nan") == false)
    }

    @Test func curvesThatBelongTogetherShareAColorOrAKindOfLine() throws {
        func series(_ color: Int, _ dash: Int) -> LineChart.Series {
            LineChart.Series(name: "", look: LineChart.Series.Look(color: color, dash: dash), points: [(1, 1), (2, 2)])
        }
        let svg = LineChart(
            title: "", xLabel: "x", yLabel: "y", xScale: .logarithmic,
            series: [series(0, 0), series(0, 1), series(1, 0), series(1, 1)]
        ).svg
        // Each curve, and then each of the lines beside their names.
        let lines = svg.matches(of: /<polyline class="(s\d)" .*?stroke-width="2"( stroke-dasharray)?/).prefix(4)
        #expect(lines.map { String($0.1) } == ["s0", "s0", "s1", "s1"])
        #expect(lines.map { $0.2 != nil } == [false, true, false, true])
        #expect(svg.contains(">x (logarithmic)</text>") && svg.contains(">y</text>"))
    }

    @Test(arguments: [
        (values: [0.0, 1000], scale: Axis.Scale.linear, ticks: "0 200 400 600 800 1000"),
        (values: [0.12, 0.31], scale: .linear, ticks: "0.10 0.15 0.20 0.25 0.30 0.35"),
        (values: [6.7, 191], scale: .logarithmic, ticks: "5 10 20 50 100 200"),
        (values: [0.0012, 0.09], scale: .logarithmic, ticks: "0.001 0.002 0.005 0.01 0.02 0.05 0.1"),
        (values: [1.32, 3.6], scale: .logarithmic, ticks: "1.2 1.5 2 2.5 3 4"),
        (values: [12, 85], scale: .logarithmic, ticks: "12 15 20 25 30 40 50 60 80 100"),
        (values: [1.25, 1.6], scale: .logarithmic, ticks: "1.25 1.30 1.35 1.40 1.45 1.50 1.55 1.60"),
        (values: [5, 5], scale: .linear, ticks: "4.4 4.6 4.8 5.0 5.2 5.4 5.6"),
        (values: [0, 40000], scale: .linear, ticks: "0 10,000 20,000 30,000 40,000"),
    ]) func anAxisBeginsAndEndsAtTicksAroundItsNumbers(values: [Double], scale: Axis.Scale, ticks: String) {
        let axis = Axis(values, scale: scale)
        #expect(axis.ticks.map(axis.label).joined(separator: " ") == ticks)
        #expect(axis.place(axis.ticks[0]) == 0)
        #expect(axis.place(axis.ticks[axis.ticks.count - 1]) == 1)
    }

    @Test(arguments: [1e17, -1e38]) func anAxisOfOneNumberHasTicksAroundItHoweverLargeItIs(number: Double) throws {
        let axis = Axis([number, number], scale: .linear), place = try #require(axis.place(number))
        #expect(axis.ticks.count > 2 && abs(place - 0.5) < 0.2)
    }

    @Test func wordsOfPointsOnEachOtherShareALineAndWholeNumbersInARowAreARange() {
        func words(_ texts: [String]) -> [String] {
            let group = LabeledMap.Group(name: "", points: [(0, 0), (1, 1)], labels: texts.map { ($0, 0.5, 0.5) })
            return LabeledMap(title: "", caption: "", xLabel: "", yLabel: "", groups: [group]).svg
                .matches(of: /font-size="11"[^>]*>([^<]+)</).map { String($0.1) }
        }
        #expect(words(["7", "8", "9", "10"]) == ["7–10"])
        #expect(words(["7", "9", "10"]) == ["7, 9, 10"])
        #expect(words(["7", "8"]) == ["7, 8"])
        #expect(words(["a", "b", "c"]) == ["a, b, c"])
    }

    /// A word that hides something everywhere stands where it hides least.
    @Test func aWordInACrowdStandsWhereItHidesLeast() throws {
        let around = [(0.45, 0.5), (0.55, 0.5), (0.5, 0.45), (0.5, 0.55), (0.45, 0.45), (0.55, 0.45), (0.45, 0.55)]
        let group = LabeledMap.Group(
            name: "", points: [(0, 0), (1, 1)], labels: around.map { ("", $0.0, $0.1) } + [("a long word", 0.5, 0.5)])
        let svg = LabeledMap(title: "", caption: "", xLabel: "", yLabel: "", groups: [group]).svg
        let word = try #require(svg.firstMatch(of: /x="([0-9.]+)"[^>]*>a long word</))
        let alone = LabeledMap(
            title: "", caption: "", xLabel: "", yLabel: "",
            groups: [LabeledMap.Group(name: "", points: [(0, 0), (1, 1)], labels: [("a long word", 0.5, 0.5)])])
        let free = try #require(alone.svg.firstMatch(of: /x="([0-9.]+)"[^>]*>a long word</))
        #expect(word.1 != free.1)
    }

    @Test func ticksOfAnAxisAreWrittenAlike() {
        let axis = Axis([0, 12_000], scale: .linear)
        #expect(axis.ticks.contains(4000) && axis.label(4000) == "4,000" && axis.label(12_000) == "12,000")
        #expect(Axis([0, 4000], scale: .linear).label(4000) == "4000")
        #expect(Axis([-2, 2], scale: .linear).label(-2) == "−2")
    }

    @Test func aLogarithmicAxisHasNoPlaceForZero() {
        let axis = Axis([0, 1, 100], scale: .logarithmic)
        #expect(axis.place(0) == nil)
        #expect(abs((axis.place(10) ?? 0) - 0.5) < 1e-12)
    }

    @Test func aHistogramCountsBothEndsOfItsRange() {
        #expect(Histograms.shares(of: [-1, -0.6, 0.1, 1], range: -1...1, bins: 4) == [0.5, 0, 0.25, 0.25])
        // What lies outside is in no bin and in the whole.
        #expect(Histograms.shares(of: [0, 7], range: -1...1, bins: 2) == [0, 0.5])
    }

    @Test func aTerminalsLinesFitItAndShowMoreHigher() {
        let text = ColoredText(
            title: "t", caption: "c", characters: ["a", "b", "\n"], rowNames: ["i"], rows: [[0, 0.5, 1]])
        let lines = text.terminal(columns: 80, colored: false).split(separator: "\n")
        #expect(lines[2] == "  ab↵" && lines[3] == "i ▁▅█")
        #expect(text.terminal(columns: 80, colored: true).contains("\u{1B}[38;5;196m█\u{1B}[0m"))
        let long = ColoredText(
            title: "", caption: "", characters: Array(repeating: "x", count: 200), rowNames: ["i"],
            rows: [Array(repeating: 1, count: 200)])
        let wrapped = long.terminal(columns: 40, colored: false).split(separator: "\n").dropFirst(2)
        #expect(wrapped.allSatisfy { $0.count <= 40 })
    }

    @Test(.enabled("needs python3") { isWellFormed("<a/>") }) func aPNGHoldsItsPixels() throws {
        var raster = Raster(width: 3, height: 2, fill: 9)
        raster[2, 1] = 200
        let program = """
            import sys, zlib, struct
            data = sys.stdin.buffer.read(); assert data[:8] == b"\\x89PNG\\r\\n\\x1a\\n"
            at, chunks = 8, []
            while at < len(data):
                n, kind = struct.unpack(">I4s", data[at:at + 8]); body = data[at + 8:at + 8 + n]
                assert struct.unpack(">I", data[at + 8 + n:at + 12 + n])[0] == zlib.crc32(kind + body)
                chunks.append((kind, body)); at += 12 + n
            print([kind.decode() for kind, _ in chunks], struct.unpack(">II5B", chunks[0][1]), list(zlib.decompress(chunks[1][1])))
            """
        #expect(
            python(["-c", program], input: [UInt8](raster.png))
                == "['IHDR', 'IDAT', 'IEND'] (3, 2, 8, 0, 0, 0, 0) [0, 9, 9, 9, 0, 9, 9, 200]\n")
    }
}
