import Figures
import Foundation
import Testing

@testable import CharacterExperiments
@testable import ExperimentCommands
@testable import ExperimentKit

/// What a person sees of a program at work.
@Suite struct MessageTests {
    private static let clear = "\r\u{1B}[K"

    @Test func whateverComesNextTakesThePlaceOfAnOpenLine() {
        let line = OpenLine()
        #expect(line.showing("a note\n") == "a note\n" && line.clearing().isEmpty)
        #expect(line.showing("step 1") == "step 1")
        #expect(line.showing("step 2") == Self.clear + "step 2")
        #expect(line.showing("a note\n") == Self.clear + "a note\n")
        #expect(line.showing("step 3") == "step 3")
        #expect(line.clearing() == Self.clear && line.clearing().isEmpty)
        // The terminal's own `^C`.
        line.wasWrittenTo()
        #expect(line.showing("stopped\n") == Self.clear + "stopped\n")
    }

    @Test func picturesAgreeUpToATenthOfAPoint() {
        func agree(_ left: String, _ right: String) -> Bool { FigureFolder.agree(Array(left.utf8), Array(right.utf8)) }
        #expect(agree("<rect y=\"227.4\"/>", "<rect y=\"227.41\"/>") && !agree("y=\"227.4\"", "y=\"227.6\""))
        #expect(!agree("gate i 1.0", "gate j 1.0") && !agree("1 2", "1") && !agree("", "1"))
        #expect(!FigureFolder.agree([0x89, 0xff], [0x89, 0xfe]))
    }

    @Test func picturesAreCalledByTheFolderOfTheirRun() {
        #expect(shortName("runs/table3-lstm/0") == "table3-lstm" && shortName("table3-lstm/1") == "table3-lstm")
        #expect(shortName("a/model.safetensors") == "a" && shortName("a/mine.safetensors") == "mine")
        #expect(shortName(".") == shortName(FileManager.default.currentDirectoryPath))
    }

    @Test func picturesOfPixelsAgreeUpToALevelOfGray() {
        func raster(_ value: UInt8) -> Raster { Raster(width: 3, height: 2, fill: value) }
        func page(_ raster: Raster) -> [UInt8] {
            Array("<image href=\"data:image/png;base64,\(Data(raster.png).base64EncodedString())\"/> 1.0".utf8)
        }
        for (other, agrees) in [
            (raster(101), true), (raster(102), false), (Raster(width: 2, height: 3, fill: 100), false),
        ] {
            #expect(FigureFolder.agree(raster(100).png, other.png) == agrees)
            #expect(FigureFolder.agree(page(raster(100)), page(other)) == agrees)
        }
        #expect(!FigureFolder.agree(page(raster(100)), page(raster(100)) + page(raster(100))))
    }

    @Test func progressOnATerminalIsAnOpenLineAndFiguresStay() {
        var texts: [String] = []
        let progress = TextProgress<CharacterExperiment>(
            label: "run", isTerminal: true, now: { 0 }, width: { 12 }
        ) { texts.append($0) }
        progress.report(.evaluating(split: "test", done: 1, total: 2, secondsLeft: 5))
        progress.report(.note("a note"))
        #expect(texts == ["run  readin…", "a note\n"])
    }
}
