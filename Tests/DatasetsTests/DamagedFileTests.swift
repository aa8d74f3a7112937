import Foundation
import TestSupport
import Testing

@testable import Datasets

/// Damaged files of every kind that is read: an error or the content that was written; never a trap, a hang or memory
/// without bound. `make stress` tries 100,000 cases a kind.
@Suite(.serialized) struct DamagedFileTests {
    private static let text = Array("the same text again and again, and then another one\n".utf8)
    private static let content = (0..<400).flatMap { text.map { $0 &+ UInt8($0 % 7) } + [UInt8($0 & 255)] }
    /// What reading one of these small files may add to the memory in use.
    private static let mostBytes = 512 << 20

    /// Reads damaged copies.
    ///
    /// - Parameter mayDiffer: whether content that was read may be another than that of the undamaged file: where no
    ///   checksum covers it.
    private func check(
        _ original: [UInt8], name: String, few: Int = 400, mayDiffer: Bool,
        wrap: ([UInt8]) -> [UInt8] = { $0 }, read: (String) throws -> [UInt8]
    ) throws {
        let folder = try TemporaryFolder(), path = folder.path + "/" + name
        try Data(wrap(original)).write(to: URL(fileURLWithPath: path))
        let expected = try read(path)
        let before = peakMemory()
        var accepted = 0
        for number in Damage.cases(few) {
            var damage = Damage(case: number)
            let damaged = damage.damaged(original)
            if damaged == original { continue }
            try Data(wrap(damaged)).write(to: URL(fileURLWithPath: path))
            let label = "case \(number) of \(name)"
            do {
                let found = try expectEnd(of: label) { try read(path) }
                accepted += 1
                #expect(mayDiffer || found == expected, "\(label) was read as something else")
            } catch let error as DatasetError {
                #expect("\(error)".contains(name), "\(label): \(error)")
            }
        }
        #expect(peakMemory() - before < Self.mostBytes, "\(name)")
        // The counts that docs/reliability.md states.
        if Damage.isStress { print("\(name): \(Damage.cases(few).count) cases, \(accepted) read") }
    }

    @Test func gzip() throws {
        try check(gzipCompressed(Self.content), name: "damaged.gz", mayDiffer: false) {
            try readGzip(path: $0, maximumBytes: 1 << 20)
        }
    }

    @Test func zip() throws {
        try check(ZipFile(Self.content).bytes, name: "damaged.zip", mayDiffer: false) {
            try readZip(path: $0, maximumBytes: 1 << 20)
        }
    }

    /// Damaged before it is compressed: otherwise gzip's checksum would be all that is tried.
    @Test func tar() throws {
        let archive = tarArchive([("folder/one.bin", Self.content), ("folder/two.bin", Self.text)])
        try check(archive, name: "damaged.tar.gz", mayDiffer: true, wrap: { gzipCompressed($0, level: 1) }) { path in
            let reader = try TarReader(path: path, maximumBytes: 1 << 22)
            var found: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 1 << 12)
            while try reader.nextEntry() != nil {
                while true {
                    let count = try buffer.withUnsafeMutableBytes { try reader.read(into: $0) }
                    if count == 0 { break }
                    found += buffer[..<count]
                }
            }
            return found
        }
    }

    @Test func idx() throws {
        let header: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 28, 0, 0, 0, 28]
        try check(header + [UInt8](repeating: 7, count: 4 * 784), name: "damaged-idx3-ubyte", mayDiffer: true) {
            try readIDX($0, maximumBytes: 1 << 20, dimensions: 3).bytes
        }
    }

    /// Three of CIFAR-10's records; a label is all that tells damage.
    @Test func cifar10() throws {
        let folder = try TemporaryFolder()
        let sample = "\(repository)/data/sample/cifar-10-binary.tar.gz"
        let archive = try readGzip(path: sample, maximumBytes: 1 << 28)
        var seen = 0
        for number in Damage.cases(20).prefix(1000) {
            var damage = Damage(case: number, seed: 1)
            try folder.write(gzipCompressed(damage.damaged(archive), level: 1), to: "sample/cifar-10-binary.tar.gz")
            do {
                _ = try expectEnd(of: "case \(number)") {
                    try ImageDataset.open(.sampleCIFAR10, dataFolder: folder.dataFolder, seed: 1)
                }
                seen += 1
            } catch let error as DatasetError {
                #expect("\(error)".contains("cifar-10-binary.tar.gz"), "case \(number): \(error)")
            }
        }
        if Damage.isStress { print("CIFAR-10: \(min(1000, Damage.cases(20).count)) cases, \(seen) read") }
    }
}

/// What people have under a data file's name.
@Suite struct OtherFormatTests {
    private let idx: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9]

    @Test func aFileThatABrowserUnpackedIsReadAsItIs() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(idx, to: "labels.gz").path
        #expect(try readIDX(path, maximumBytes: 100, dimensions: 1).shape == [2])
    }

    @Test(arguments: [
        ("<!DOCTYPE html><title>404</title>", "a web page"), ("BZh91AY", "a bzip2 file"),
        ("PK\u{3}\u{4}", "a zip archive"),
    ])
    func anotherFormatIsNamed(content: String, name: String) throws {
        let folder = try TemporaryFolder()
        for file in ["labels.gz", "labels"] {
            let path = try folder.write(content, to: file).path
            let error = try datasetError { try readIDX(path, maximumBytes: 1000, dimensions: 1) }
            #expect("\(error)".contains(name) && "\(error)".hasPrefix(path), "\(error)")
            #expect("\(error)".contains("`data/download.sh --replace`"), "\(error)")
        }
    }

    @Test func thePythonEditionOfCIFAR10IsNamed() throws {
        let folder = try TemporaryFolder()
        try folder.write([0x80, 2], to: "cifar-10-batches-py/data_batch_1")
        let error = try datasetError { try ImageDataset.open(.cifar10, dataFolder: folder.dataFolder, seed: 1) }
        #expect("\(error)".contains("python edition"), "\(error)")
    }

    @Test func mnistIsFoundWhereTorchvisionPutsItAndWithDotsInItsNames() throws {
        let sample = DataFolder(path: "\(repository)/data", origin: .standard)
        let expected = try ImageDataset.open(.sampleMNIST, dataFolder: sample, seed: 1)
        for (place, dot) in [("MNIST/raw", "-"), ("mnist", ".")] {
            let folder = try TemporaryFolder()
            for file in MNISTFiles.File.allCases {
                let content = try readGzip(
                    path: "\(repository)/data/sample/mnist/\(file.rawValue).gz", maximumBytes: 1 << 26)
                try folder.write(content, to: "sample/\(place)/\(file.rawValue.replacing("-idx", with: "\(dot)idx"))")
            }
            let found = try ImageDataset.open(.sampleMNIST, dataFolder: folder.dataFolder, seed: 1)
            #expect(found.train == expected.train)
            // The same data in another packing is the same data.
            #expect(found.source.contentSHA256 == expected.source.contentSHA256)
        }
    }

    @Test(arguments: [2400, 60_000, .max, -1])
    func moreValidationImagesThanThereAreAreRefused(count: Int) throws {
        let sample = DataFolder(path: "\(repository)/data", origin: .standard)
        #expect(throws: DatasetError.validationCount(images: .sampleMNIST, most: 2399, found: count)) {
            try ImageDataset.open(.sampleMNIST, dataFolder: sample, validationCount: count, seed: 1)
        }
    }

    @Test func theReadmeStatesTheSamplesSizesAndSymbols() throws {
        let readme = try String(contentsOfFile: "\(repository)/data/README.md", encoding: .utf8)
        let corpus = try CharacterCorpus.open(
            .sample, dataFolder: DataFolder(path: "\(repository)/data", origin: .standard))
        let digits = readme.split(separator: "\n").first { $0.hasPrefix("| sample | ") && $0.contains(" / ") }
        let numbers = digits?.replacing(",", with: "").split { !$0.isNumber }.compactMap { Int($0) }
        #expect(numbers == [corpus.train.count, corpus.validation.count, corpus.test.count, corpus.vocabulary.count])
    }

    @Test func aTarSizeThatNoMachineCountsIsRefused() throws {
        let folder = try TemporaryFolder()
        let record = Array("28 size=9223372036854775807\n".utf8)
        var archive = tarHeader(name: "pax", byteCount: record.count, type: "x")
        archive += record + [UInt8](repeating: 0, count: 512 - record.count)
        archive += tarHeader(name: "file", byteCount: 0)
        let path = try folder.write(gzipCompressed(archive), to: "archive.tar.gz").path
        let reader = try TarReader(path: path, maximumBytes: 1 << 20)
        #expect(throws: DatasetError.tooLarge(path: path, maximumBytes: 1 << 20)) {
            while try reader.nextEntry() != nil {}
        }
    }
}
