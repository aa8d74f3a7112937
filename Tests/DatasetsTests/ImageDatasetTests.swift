import Foundation
import TestSupport
import Testing

@testable import Datasets

@Suite struct ImageDatasetTests {
    let folder: TemporaryFolder
    static let archive = "sample/cifar-10-binary.tar.gz"
    static let recordBytes = 3073
    /// The committed sample's archive, uncompressed.
    static let tar = SampleImages.files(.cifar10)[0].content
    /// The files of CIFAR-10's layout with their content, from the committed sample.
    static let batches: [(name: String, content: [UInt8])] = {
        (0..<6).map { file in
            let name = file < 5 ? "data_batch_\(file + 1).bin" : "test_batch.bin"
            let start = file * (512 + (480 * recordBytes + 511) / 512 * 512) + 512
            return (name, Array(tar[start..<(start + (file < 5 ? 480 : 500) * recordBytes)]))
        }
    }()
    /// The four files of MNIST's layout, uncompressed.
    static let idx = SampleImages.files(.mnist)

    init() throws { folder = try TemporaryFolder() }

    /// Writes an archive of `batches` and opens it.
    private func openArchive(_ batches: [(name: String, content: [UInt8])]) throws -> ImageDataset {
        let files = batches.map { ("cifar-10-batches-bin/\($0.name)", $0.content) }
        try folder.write(gzipCompressed(tarArchive(files), level: 1), to: Self.archive)
        return try ImageDataset.open(.sampleCIFAR10, dataFolder: folder.dataFolder, seed: 1)
    }

    /// Writes the IDX files, `changed` in place of one of them, and opens them.
    private func openIDX(_ file: Int, _ changed: [UInt8]) throws -> ImageDataset {
        for (index, (path, content)) in Self.idx.enumerated() {
            try folder.write(gzipCompressed(index == file ? changed : content, level: 1), to: path)
        }
        return try ImageDataset.open(.sampleMNIST, dataFolder: folder.dataFolder, seed: 1)
    }

    private var idxPaths: [String] { Self.idx.map { folder.path($0.path) } }

    // MARK: CIFAR-10's layout

    @Test func cifar10_planesBecomeChannelsAndSplitsKeepTheOrderOfTheFiles() throws {
        let dataset = try openArchive(Self.batches)
        #expect(dataset.splitCounts == [2000, 400, 500])
        for set in [dataset.train, dataset.validation, dataset.test] {
            #expect(set.imageShape == [32, 32, 3])
            #expect(set.imageSize == 3072)
            #expect(set.pixels.count == set.count * 3072)
            #expect(set.labels.count == set.count)
        }
        // Straight from the files, index by index.
        var (train, validation) = (0, 0)
        var mismatches = 0
        for (file, batch) in Self.batches.enumerated() {
            for record in 0..<(batch.content.count / Self.recordBytes) {
                let bytes = batch.content[(record * Self.recordBytes)..<((record + 1) * Self.recordBytes)]
                var pixels = [UInt8]()
                for pixel in 0..<1024 {
                    for channel in 0..<3 { pixels.append(bytes[bytes.startIndex + 1 + 1024 * channel + pixel]) }
                }
                func isNext(_ set: ImageSet, _ index: Int) -> Bool {
                    index < set.count && set.labels[index] == bytes.first!
                        && set.pixels[(index * 3072)..<((index + 1) * 3072)].elementsEqual(pixels)
                }
                if file == 5 {
                    if !isNext(dataset.test, record) { mismatches += 1 }
                } else if isNext(dataset.train, train) {
                    train += 1
                } else if isNext(dataset.validation, validation) {
                    validation += 1
                } else {
                    mismatches += 1
                }
            }
        }
        #expect(mismatches == 0)
        #expect(train == 2000)
        #expect(validation == 400)
    }

    @Test func cifar10_orderOfTheArchiveDoesNotMatter() throws {
        let ordered = try openArchive(Self.batches)
        let shuffled = try openArchive([4, 5, 1, 0, 3, 2].map { Self.batches[$0] } + [("readme.html", textLike(700))])
        #expect(shuffled.train == ordered.train)
        #expect(shuffled.validation == ordered.validation)
        #expect(shuffled.test == ordered.test)
        #expect(shuffled.channelMeans == ordered.channelMeans)
        #expect(shuffled.name == "sample-cifar10-unofficial")
    }

    @Test(arguments: [".gz", ""])
    func cifar10_looseFilesGiveTheSameImages(ending: String) throws {
        let archived = try openArchive(Self.batches)
        let loose = try TemporaryFolder()
        for (name, content) in Self.batches {
            try loose.write(
                ending.isEmpty ? content : gzipCompressed(content, level: 1),
                to: "sample/cifar-10-batches-bin/\(name)\(ending)")
        }
        let dataset = try ImageDataset.open(.sampleCIFAR10, dataFolder: loose.dataFolder, seed: 1)
        #expect(dataset.train == archived.train)
        #expect(dataset.validation == archived.validation)
        #expect(dataset.test == archived.test)
        #expect(
            dataset.source.files.map(\.path) == Self.batches.map { "sample/cifar-10-batches-bin/\($0.name)\(ending)" })
        #expect(dataset.source.files[5].contentBytes == 500 * Self.recordBytes)
        #expect(!dataset.source.isOfficial)
        #expect(dataset.source.notes.count == 1)
    }

    @Test func cifar10_missingFilesAreListedWithTheExactPathsTried() throws {
        try folder.write(Self.batches[0].content, to: "cifar-10-batches-bin/data_batch_1.bin")
        let error = try datasetError { try ImageDataset.open(.cifar10, dataFolder: folder.dataFolder, seed: 1) }
        let names = Self.batches.dropFirst().flatMap { ["\($0.name).gz", $0.name] }
        let tried = (["cifar-10-binary.tar.gz"] + names.map { "cifar-10-batches-bin/\($0)" }).map { folder.path($0) }
        guard case .missing("CIFAR-10", folder.dataFolder, _, tried) = error else {
            Issue.record("\(error)")
            return
        }
        #expect("\(error)".hasPrefix("CIFAR-10 is not in the data folder \(folder.path) (given by --data). Tried:"))
        #expect("\(error)".hasSuffix("`data/download.sh --data '\(folder.path)' cifar10` downloads it there."))
    }

    @Test func cifar10_labelThatIsNoClassIsRejectedWithItsPlace() throws {
        var batches = Self.batches
        batches[2].content[7 * Self.recordBytes] = 10
        let offset = 2 * (512 + (480 * Self.recordBytes + 511) / 512 * 512) + 512 + 7 * Self.recordBytes
        #expect(
            try datasetError { try openArchive(batches) }
                == .labelOutOfRange(
                    path: folder.path(Self.archive), contentOffset: offset, image: 7, label: 10, classes: 10))
    }

    @Test func cifar10_brokenRecordIsRejectedWithTheFileItIsIn() throws {
        var batches = Self.batches
        batches[0].content.removeLast()
        #expect(
            try datasetError { try openArchive(batches) }
                == .malformedContent(
                    path: folder.path(Self.archive), contentOffset: 512,
                    expected: "whole records of 3073 bytes in data_batch_1.bin", found: "1475039 bytes"))
    }

    @Test func cifar10_otherNumberOfImagesIsRejected() throws {
        var batches = Self.batches
        batches[0].content.removeLast(Self.recordBytes)
        #expect(
            try datasetError { try openArchive(batches) }
                == .imageCount(
                    path: folder.path(Self.archive), contentOffset: 512, what: "images in data_batch_1.bin",
                    expected: 480, found: 479))
        // The sample in the place of the real data is no CIFAR-10.
        try folder.write(try folder.read(Self.archive), to: "cifar-10-binary.tar.gz")
        guard
            case .imageCount(folder.path("cifar-10-binary.tar.gz"), 512, _, 10_000, 479) = try datasetError({
                try ImageDataset.open(.cifar10, dataFolder: folder.dataFolder, seed: 1)
            })
        else {
            Issue.record("479 images were taken for CIFAR-10")
            return
        }
    }

    @Test func cifar10_missingAndRepeatedFilesOfTheArchiveAreRejected() throws {
        #expect(
            try datasetError { try openArchive(Array(Self.batches.dropLast())) }
                == .missingEntry(
                    path: folder.path(Self.archive), entry: "cifar-10-batches-bin/test_batch.bin"))
        guard
            case .malformedContent(_, _, "one file data_batch_1.bin", "a second one") = try datasetError({
                try openArchive([Self.batches[0], Self.batches[0]])
            })
        else {
            Issue.record("a second data_batch_1.bin was read")
            return
        }
    }

    @Test func cifar10_damagedArchiveIsRejectedWithItsPath() throws {
        let whole = gzipCompressed(Self.tar, level: 1)
        let path = folder.path(Self.archive)
        func error(_ file: [UInt8]) throws -> DatasetError {
            try folder.write(file, to: Self.archive)
            return try datasetError { try ImageDataset.open(.sampleCIFAR10, dataFolder: folder.dataFolder, seed: 1) }
        }
        for length in [11, 5000, whole.count / 2, whole.count - 9, whole.count - 1] {
            guard case .truncated(path, length, _) = try error(Array(whole[..<length])) else {
                Issue.record("cut at \(length) of \(whole.count)")
                continue
            }
        }
        var damaged = whole
        damaged[whole.count - 8] ^= 1
        guard case .checksumMismatch(path, whole.count - 8, "CRC-32", _, _) = try error(damaged) else {
            Issue.record("a wrong checksum passed")
            return
        }
        var header = Self.tar
        header[0] ^= 1
        guard case .malformedContent(path, 0, _, _) = try error(gzipCompressed(header, level: 1)) else {
            Issue.record("a damaged tar header passed")
            return
        }
        #expect(try error([]) == .empty(path: path))
        guard case .otherFormat(path, _) = try error(Array("<html>404</html>".utf8)) else {
            Issue.record("a web page passed")
            return
        }
    }

    /// An archive that is not the official one keeps CIFAR-10's name by these numbers alone.
    @Test func cifar10_statisticsAreOfficialOnlyIfEveryNumberIs() {
        let training = CIFAR10Files.Statistics(
            counts: [Int](repeating: 5000, count: 10), means: [125.307, 122.950, 113.865],
            deviations: [62.993, 62.089, 66.705])
        let test = CIFAR10Files.Statistics(
            counts: [Int](repeating: 1000, count: 10), means: [126.025, 123.709, 114.854],
            deviations: [62.896, 61.938, 66.706])
        // Whether they are after a change of the training split alone, and after the same of the test split alone.
        func areOfficial(after change: (inout CIFAR10Files.Statistics) -> Void) -> [Bool] {
            var (changedTraining, changedTest) = (training, test)
            change(&changedTraining)
            change(&changedTest)
            return [
                CIFAR10Files.areOfficial(training: changedTraining, test: test),
                CIFAR10Files.areOfficial(training: training, test: changedTest),
            ]
        }
        #expect(areOfficial { _ in } == [true, true])
        #expect(!CIFAR10Files.areOfficial(training: test, test: training))
        for change in [-1, 1] {
            #expect(areOfficial { $0.counts[9] += change } == [false, false])
            for channel in 0..<3 {
                // Half of the last decimal is rounding; a whole one is another number.
                #expect(areOfficial { $0.means[channel] += 0.000_5 * Double(change) } == [true, true])
                #expect(areOfficial { $0.means[channel] += 0.001 * Double(change) } == [false, false])
                #expect(areOfficial { $0.deviations[channel] += 0.001 * Double(change) } == [false, false])
            }
        }
    }

    // MARK: MNIST's layout

    @Test func mnist_imagesAndLabelsStayTogether() throws {
        let dataset = try openIDX(0, Self.idx[0].content)
        #expect(dataset.splitCounts == [2000, 400, 500])
        #expect(dataset.test.imageShape == [28, 28, 1])
        #expect(dataset.test.pixels == Array(Self.idx[2].content[16...]))
        #expect(dataset.test.labels == Array(Self.idx[3].content[8...]))
        // Both splits together are the training file, each image with its label.
        func sorted(_ images: [[UInt8]]) -> [[UInt8]] { images.sorted { $0.lexicographicallyPrecedes($1) } }
        func labeled(_ set: ImageSet) -> [[UInt8]] {
            (0..<set.count).map { image -> [UInt8] in
                let start = image * 784
                return [set.labels[image]] + set.pixels[start..<(start + 784)]
            }
        }
        let (images, labels) = (Self.idx[0].content, Self.idx[1].content)
        let file = (0..<2400).map { image -> [UInt8] in
            let start = 16 + image * 784
            return [labels[8 + image]] + images[start..<(start + 784)]
        }
        #expect(sorted(labeled(dataset.train) + labeled(dataset.validation)) == sorted(file))
    }

    @Test func mnist_plainFilesAreReadWhereGzipIsMissing() throws {
        let zipped = try openIDX(0, Self.idx[0].content)
        let plain = try TemporaryFolder()
        for (path, content) in Self.idx { try plain.write(content, to: String(path.dropLast(3))) }
        let dataset = try ImageDataset.open(.sampleMNIST, dataFolder: plain.dataFolder, seed: 1)
        #expect(dataset.train == zipped.train)
        #expect(dataset.test == zipped.test)
        #expect(dataset.source.isOfficial, "the sums are of the content, however it is packed")
        #expect(dataset.source.files[1].path == "sample/mnist/train-labels-idx1-ubyte")
        #expect(dataset.source.files[1].sha256 == Checksum.sha256(Self.idx[1].content))
    }

    @Test func mnist_missingFilesAreListedWithTheExactPathsTried() throws {
        let standard = DataFolder.resolve(option: nil, environment: [:], workingDirectory: folder.path)
        let error = try datasetError { try ImageDataset.open(.mnist, dataFolder: standard, seed: 1) }
        guard case .missing("MNIST", standard, _, let tried) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(tried.count == 8)
        #expect(tried[0] == folder.path("data/mnist/train-images-idx3-ubyte.gz"))
        #expect("\(error)".contains("`make data`"))
        let sample = try datasetError { try ImageDataset.open(.sampleMNIST, dataFolder: standard, seed: 1) }
        #expect("\(sample)".contains("part of the repository"))
    }

    @Test(arguments: 0..<4)
    func mnist_otherIDXMagicNumberIsRejected(file: Int) throws {
        var content = Self.idx[file].content
        content[2] = 9  // signed bytes
        let last = file % 2 == 0 ? "03" : "01"
        #expect(
            try datasetError { try openIDX(file, content) }
                == .malformedContent(
                    path: idxPaths[file], contentOffset: 0, expected: "the IDX magic number 00 00 08 \(last)",
                    found: "00 00 09 \(last)"))
    }

    @Test func mnist_labelsInThePlaceOfImagesAreRejected() throws {
        #expect(
            try datasetError { try openIDX(0, Self.idx[1].content) }
                == .malformedContent(
                    path: idxPaths[0], contentOffset: 0, expected: "the IDX magic number 00 00 08 03",
                    found: "00 00 08 01"))
    }

    @Test(arguments: [4, 15, 16, 17, 1_881_615])
    func mnist_shortContentIsRejectedWithItsOffset(length: Int) throws {
        guard
            case .truncatedContent(idxPaths[0], length, _) = try datasetError({
                try openIDX(0, Array(Self.idx[0].content[..<length]))
            })
        else {
            Issue.record("cut at \(length)")
            return
        }
    }

    @Test func mnist_longContentIsRejectedWithItsOffset() throws {
        #expect(
            try datasetError { try openIDX(3, Self.idx[3].content + [1, 2]) }
                == .malformedContent(
                    path: idxPaths[3], contentOffset: 508, expected: "the end of the content", found: "2 more bytes"))
    }

    /// 2⁹⁶ pixels, and 2⁶³ − 1 of them, to which nothing can be added.
    @Test(arguments: [[UInt32.max, .max, .max], [153_092_023, 92_737, 649_657]])
    func mnist_absurdLengthsAreRejected(lengths: [UInt32]) throws {
        var content = Self.idx[0].content
        let bytes = lengths.flatMap { length in (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } }
        content.replaceSubrange(4..<16, with: bytes)
        guard case .truncatedContent(idxPaths[0], content.count, _) = try datasetError({ try openIDX(0, content) })
        else {
            Issue.record("\(lengths) pixels were read")
            return
        }
    }

    @Test func mnist_otherSizeAndOtherNumberOfImagesAreRejected() throws {
        let content = Self.idx[2].content
        let turned = Array(content[..<8]) + [0, 0, 0, 14, 0, 0, 0, 56] + content[16...]
        #expect(
            try datasetError { try openIDX(2, turned) }
                == .malformedContent(
                    path: idxPaths[2], contentOffset: 8, expected: "images of 28 × 28", found: "14 × 56"))
        let fewer = Array(content[..<4]) + [0, 0, 1, 0xf3] + content[8..<(content.count - 784)]
        #expect(
            try datasetError { try openIDX(2, fewer) }
                == .imageCount(
                    path: idxPaths[2], contentOffset: 4, what: "images of 28 × 28", expected: 500, found: 499))
        let labels = Array(Self.idx[3].content[..<4]) + [0, 0, 1, 0xf3] + Self.idx[3].content[8..<507]
        #expect(
            try datasetError { try openIDX(3, labels) }
                == .imageCount(path: idxPaths[3], contentOffset: 4, what: "labels", expected: 500, found: 499))
    }

    @Test func mnist_labelThatIsNoClassIsRejectedWithItsPlace() throws {
        var content = Self.idx[1].content
        content[8 + 2399] = 255
        #expect(
            try datasetError { try openIDX(1, content) }
                == .labelOutOfRange(path: idxPaths[1], contentOffset: 2407, image: 2399, label: 255, classes: 10))
    }

    // MARK: The split

    /// Committed weights have not seen the images that this draw sets aside.
    @Test func validation_isTheDrawThatRecordsWereMadeWith() {
        #expect(ImageSplit(count: 10, validationCount: 3, seed: 42).places == [0, 1, 2, -1, -2, 3, 4, 5, -3, 6])
    }

    @Test func validation_isDrawnBySeedAndDisjointFromTraining() throws {
        let data = DataFolder(path: "\(repository)/data", origin: .standard)
        func open(_ seed: UInt64, _ count: Int? = nil) throws -> ImageDataset {
            try ImageDataset.open(.sampleCIFAR10, dataFolder: data, validationCount: count, seed: seed)
        }
        func images(_ set: ImageSet) -> Set<[UInt8]> {
            Set((0..<set.count).map { Array(set.pixels[($0 * 3072)..<(($0 + 1) * 3072)]) })
        }
        let (one, again, other) = (try open(1), try open(1), try open(2))
        #expect(one.train == again.train)
        #expect(one.validation == again.validation)
        #expect(one.channelMeans == again.channelMeans)
        #expect(one.validation != other.validation)
        #expect(one.test == other.test)
        let (train, validation) = (images(one.train), images(one.validation))
        #expect(train.count == 2000, "no image is drawn twice")
        #expect(validation.count == 400)
        #expect(train.isDisjoint(with: validation))
        #expect(train.union(validation) == images(other.train).union(images(other.validation)))
        // 400 of 2,400 twice: 67 in common by chance, ± 7.
        #expect((40...94).contains(validation.intersection(images(other.validation)).count))
        let none = try open(1, 0)
        #expect(none.splitCounts == [2400, 0, 500])
        #expect(none.train.classCounts(classes: 10) == [Int](repeating: 240, count: 10))
        let one400 = try open(1, 400)
        #expect(one400.validation == one.validation)
    }

    @Test func statistics_areThoseOfTheTrainingSplitAlone() throws {
        let dataset = try ImageDataset.open(
            .sampleCIFAR10, dataFolder: DataFolder(path: "\(repository)/data", origin: .standard), seed: 5)
        for channel in 0..<3 {
            let values = stride(from: channel, to: dataset.train.pixels.count, by: 3).map {
                Double(dataset.train.pixels[$0])
            }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
            #expect(abs(dataset.channelMeans[channel] - mean) < 1e-9)
            #expect(abs(dataset.channelDeviations[channel] - variance.squareRoot()) < 1e-9)
        }
    }

    // MARK: The real files

    @Test(
        .enabled(
            if: realDataFolder(with: "cifar-10-binary.tar.gz") != nil,
            "HYPERNETWORKS_DATA names no folder with CIFAR-10"))
    func cifar10_realFilesHaveTheKnownCountsAndStatistics() throws {
        let folder = try #require(realDataFolder(with: "cifar-10-binary.tar.gz"))
        let whole = try ImageDataset.open(.cifar10, dataFolder: folder, validationCount: 0, seed: 1)
        #expect(whole.name == "cifar10")
        #expect(whole.displayName == "CIFAR-10")
        #expect(whole.splitCounts == [50_000, 0, 10_000])
        #expect(whole.train.classCounts(classes: 10) == [Int](repeating: 5000, count: 10))
        #expect(whole.test.classCounts(classes: 10) == [Int](repeating: 1000, count: 10))
        for (found, known) in zip(
            whole.channelMeans + whole.channelDeviations, [125.307, 122.950, 113.865, 62.993, 62.089, 66.705])
        {
            #expect(abs(found - known) < 0.000_6, "\(found)")
        }
        #expect(whole.source.files.count == 1)
        #expect(whole.source.isOfficial == whole.source.notes.isEmpty)
        #expect(
            whole.source.files[0].sha256 == (try Checksum.sha256(ofFile: "\(folder.path)/cifar-10-binary.tar.gz")))

        let split = try ImageDataset.open(.cifar10, dataFolder: folder, seed: 1)
        #expect(split.splitCounts == [45_000, 5000, 10_000])
        #expect(split.test == whole.test)
    }

    @Test(
        .enabled(
            if: realDataFolder(with: "mnist/train-images-idx3-ubyte.gz") != nil,
            "HYPERNETWORKS_DATA names no folder with MNIST"))
    func mnist_realFilesAreTheOfficialOnes() throws {
        let folder = try #require(realDataFolder(with: "mnist/train-images-idx3-ubyte.gz"))
        let dataset = try ImageDataset.open(.mnist, dataFolder: folder, seed: 1)
        #expect(dataset.name == "mnist")
        #expect(dataset.displayName == "MNIST")
        #expect(dataset.source.isOfficial)
        #expect(dataset.source.notes == [])
        #expect(dataset.splitCounts == [55_000, 5000, 10_000])
        #expect(Array(dataset.test.labels.prefix(10)) == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])
        #expect(dataset.test.classCounts(classes: 10) == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
        let whole = try ImageDataset.open(.mnist, dataFolder: folder, validationCount: 0, seed: 1)
        #expect(Array(whole.train.labels.prefix(10)) == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
        // 0.1307 and 0.3081 of 255, as everyone normalizes MNIST.
        #expect(abs(whole.channelMeans[0] / 255 - 0.1307) < 0.000_05)
        #expect(abs(whole.channelDeviations[0] / 255 - 0.3081) < 0.000_05)
    }
}

extension ImageSet {
    /// [height, width, channels].
    var imageShape: [Int] { [height, width, channels] }
}

extension ImageDataset {
    /// Images for training, validation and test.
    var splitCounts: [Int] { [train.count, validation.count, test.count] }
}
