import Figures
import Foundation
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

/// Files for TensorBoard: their bytes by the formats' definitions, and what TensorBoard's own reader makes of them.
@Suite struct EventFileTests {
    /// The examples of RFC 3720, appendix B.4, and the check value of the catalogs of checksums.
    @Test func theChecksumIsThatOfRFC3720() {
        let cases: [([UInt8], UInt32)] = [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E), ((0..<32).reversed(), 0x113F_DB5C), (Array("123456789".utf8), 0xE306_9283),
        ]
        for (content, sum) in cases { #expect(EventFile.crc32C(content) == sum) }
    }

    @Test func aNumberIsTheBytesThatTheFormatsGive() {
        var file = EventFile(began: Date(timeIntervalSince1970: 1))
        let header: [UInt8] = [0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x1A, 0x0D] + Array("brain.Event:2".utf8)
        // The length 24 with the sum that every such file begins with.
        #expect(file.bytes.prefix(12) == [24, 0, 0, 0, 0, 0, 0, 0, 0xA3, 0x7F, 0x4B, 0x22])
        #expect(file.bytes[12..<36] == header[...])
        file.add(step: 300, seconds: 0.5, numbers: [("a", 2)])
        let event: [UInt8] = [
            0x09, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F,  // wall_time 1.5
            0x10, 0xAC, 0x02,  // step 300 = 2 · 128 + 44
            0x2A, 0x0A, 0x0A, 0x08, 0x0A, 0x01, 0x61, 0x15, 0, 0, 0, 0x40,  // summary: value: tag "a", 2.0
        ]
        let record = Array(file.bytes[40...])
        #expect(record[0..<8] == [UInt8(event.count), 0, 0, 0, 0, 0, 0, 0])
        #expect(record[12..<12 + event.count] == event[...])
        #expect(record.count == 16 + event.count)
        #expect(Self.sum(record[8..<12]) == EventFile.maskedCRC32C(Array(record[0..<8])))
        #expect(Self.sum(record[(12 + event.count)...]) == EventFile.maskedCRC32C(event))
    }

    @Test func aNegativeStepIsTenBytes() {
        var file = EventFile(began: Date(timeIntervalSince1970: 0))
        file.add(step: -2, seconds: 0, numbers: [])
        // Behind the file's first record, of 40 bytes: length and sum of this one, the time, the step.
        let step = file.bytes.dropFirst(40 + 12 + 9).prefix(11)
        #expect(Array(step) == [0x10, 0xFE] + [UInt8](repeating: 0xFF, count: 8) + [0x01])
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    @Test func aFileThatGrewIsAddedToAndAnotherIsReplaced() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appendingPathComponent("run/events")
        func file(steps: Int, value: Double = 1) -> EventFile {
            var file = EventFile(began: Date(timeIntervalSince1970: 0))
            for step in 0..<steps { file.add(step: step, seconds: 0, numbers: [("a", value)]) }
            return file
        }
        func number() throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: url.path)[.systemFileNumber] as? Int
        }
        func content() throws -> [UInt8] { try [UInt8](Data(contentsOf: url)) }
        try file(steps: 2).write(to: url)
        let first = try number()
        for steps in [5, 5] {
            try file(steps: steps).write(to: url)
            #expect(try content() == file(steps: steps).bytes && number() == first)
        }
        // A writer that was killed in the middle of a record.
        try Data(file(steps: 5).bytes.dropLast(7)).write(to: url)
        try file(steps: 6).write(to: url)
        #expect(try content() == file(steps: 6).bytes)
        // A run that went back to an earlier checkpoint.
        for shorter in [file(steps: 3), file(steps: 6, value: 2)] {
            try shorter.write(to: url)
            #expect(try content() == shorter.bytes)
        }
    }

    @Test func whatIsInTheWayIsNamedAndStays() throws {
        let folder = try TemporaryFolder(), file = EventFile(began: Date(timeIntervalSince1970: 0))
        let output = try folder.write("a report", to: "output")
        let refused = #expect(throws: RecordError.self) {
            try file.write(to: output.appendingPathComponent("run/events"))
        }
        #expect(refused?.description.contains("\(output.path): cannot be written: expected a folder") == true)
        // A link to itself: there, and not to be read by anybody.
        let link = folder.path("events")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: link)
        for url in [URL(fileURLWithPath: link), folder.url] {
            let error = #expect(throws: RecordError.self) { try file.write(to: url) }
            #expect(error?.description.hasPrefix("\(url.path): cannot be read") == true)
        }
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == link)
    }

    /// Numbers, steps and pictures of a run as TensorBoard's reader has them, before and after the run went on.
    @Test(.enabled("needs python3 with tensorboard") { python(["-c", "import tensorboard"]) != nil })
    func tensorBoardReadsARunUnderWayAndFinished() throws {
        let run = try TestRun(), folder = try run.stopped(at: 20).folder
        let reader = """
            import subprocess, sys
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

            program, run, data, output = sys.argv[1:]
            name = "/".join(run.split("/")[-2:])
            def convert():
                subprocess.run([program, "tensorboard", run, "--output", output], check=True)
            def show(events):
                events.Reload()
                for tag in events.Tags()["scalars"]:
                    for event in events.Scalars(tag):
                        print("number", tag.replace(" ", "_"), event.step, event.value)
                for tag in events.Tags()["images"]:
                    for event in events.Images(tag):
                        png = event.encoded_image_string
                        print("picture", tag, event.step, event.width, event.height, png[1:4].decode())
            convert()
            log = EventAccumulator(output + "/" + name, size_guidance={"scalars": 0})
            show(log)
            subprocess.run([program, "resume", run, "--data", data], check=True, stdout=subprocess.DEVNULL)
            print("resumed")
            convert()
            show(log)
            show(EventAccumulator(output + "/" + name + "/pictures", size_guidance={"images": 0}))
            """
        let program = try BuiltProgram(name: "char-hyperlstm").url.path
        let text = try #require(
            python(["-c", reader, program, folder.path, run.dataFolder.path, run.folder.path("events")]))
        let parts = text.components(separatedBy: "resumed\n")
        try #require(parts.count == 2, "\(text)")
        let lines = parts.map { $0.split(separator: "\n").map { $0.split(separator: " ").map(String.init) } }
        let recorded = try RecordedRun<CharacterExperiment>(folder, path: folder.path)
        for (lines, lastStep) in zip(lines, [20, 40]) {
            let log = recorded.log.filter { $0.step <= lastStep }
            func numbers(_ tag: String) -> [[Double]] {
                lines.filter { $0[0] == "number" && $0[1] == tag }.map { $0.dropFirst(2).compactMap { Double($0) } }
            }
            func logged(_ value: (StepRecord) -> Double?) -> [[Double]] {
                log.compactMap { line in value(line).map { [Double(line.step), Double(Float($0))] } }
            }
            #expect(numbers("training/lossNats") == logged(\.lossNats) && log.count > lastStep)
            #expect(numbers("training/gradientNorm") == logged(\.gradientNorm))
            #expect(numbers("validation/bits_per_character") == logged { $0.validation?.bits })
        }
        let test = try #require(recorded.record.test?.bits),
            selected = try #require(recorded.record.training.selectedStep)
        #expect(
            lines[1].contains {
                $0[1] == "reported_test/bits_per_character" && $0[2] == "\(selected)"
                    && Double($0[3]) == Double(Float(test))
            })
        #expect(!lines[0].contains { $0[1].hasPrefix("reported") })
        let pictures = lines[1].filter { $0[0] == "picture" }
        #expect(pictures.map { $0[1] } == Array(repeating: "weightScaling", count: pictures.count))
        // The best checkpoint of either call; a picture has a pixel column for each of 96 characters
        // that was read on: all but the last.
        #expect(
            pictures.last?[2] == "\(selected)" && pictures.allSatisfy { $0[3] == "95" && $0[5] == "PNG" }, "\(text)")
    }
}
