import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct SampleImagesTests {
    static let data = DataFolder(path: "\(repository)/data", origin: .standard)

    private func open(_ layout: SampleImages.Layout) throws -> ImageDataset {
        try ImageDataset.open(layout == .cifar10 ? .sampleCIFAR10 : .sampleMNIST, dataFolder: Self.data, seed: 1)
    }

    @Test(arguments: SampleImages.Layout.allCases)
    func sampleImages_committedFilesAreWhatTheProgramWrites(layout: SampleImages.Layout) throws {
        for (path, content) in SampleImages.files(layout) {
            let committed = try readGzip(path: "\(Self.data.path)/\(path)", maximumBytes: 1 << 24)
            #expect(committed.count == content.count, "\(path)")
            #expect(committed == content, "\(path)")
        }
    }

    @Test func sampleImages_wholeSampleFolderIsSmall() throws {
        let root = "\(Self.data.path)/sample"
        var bytes = 0
        for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(root)/\(name)")
            if attributes[.type] as? FileAttributeType == .typeRegular {
                bytes += try #require(attributes[.size] as? Int)
            }
        }
        #expect(bytes > 1_000_000, "all of the samples are there")
        #expect(bytes <= 2_000_000)
    }

    @Test(arguments: SampleImages.Layout.allCases)
    func sampleImages_openFromTheRepositoryWithEveryClassAlikeOften(layout: SampleImages.Layout) throws {
        let dataset = try open(layout)
        #expect(dataset.source.isOfficial)
        #expect(dataset.source.notes == [])
        #expect(dataset.name == "sample-\(layout.rawValue)")
        #expect(dataset.displayName.hasPrefix("Generated sample, "))
        #expect(dataset.splitCounts == [2000, 400, 500])
        #expect(dataset.test.classCounts(classes: 10) == [Int](repeating: 50, count: 10))
        let counts = [dataset.train, dataset.validation].map { $0.classCounts(classes: 10) }
        #expect(zip(counts[0], counts[1]).map { $0 + $1 } == [Int](repeating: 240, count: 10))
    }

    @Test func sampleImages_writeMakesFilesThatOpenAsTheSample() throws {
        let folder = try TemporaryFolder()
        let paths = try SampleImages.write(to: folder.dataFolder)
        #expect(paths == SampleImages.Layout.allCases.flatMap(SampleImages.files).map { folder.path($0.path) })
        for layout in SampleImages.Layout.allCases {
            let name: ImageDatasetName = layout == .cifar10 ? .sampleCIFAR10 : .sampleMNIST
            let written = try ImageDataset.open(name, dataFolder: folder.dataFolder, seed: 1)
            #expect(written.source.isOfficial)
            #expect(written.test == (try open(layout)).test)
        }
        // No time stamp: bytes 4 to 7 of a gzip header.
        #expect(try folder.read("sample/cifar-10-binary.tar.gz")[4..<8].allSatisfy { $0 == 0 })
    }

    @Test func sampleImages_writeIntoAFileIsUnwritable() throws {
        let folder = try TemporaryFolder()
        try folder.write("a file", to: "sample")
        guard
            case .unwritable(folder.path("sample/mnist"), _) = try datasetError({
                try SampleImages.write(to: folder.dataFolder)
            })
        else {
            Issue.record("not .unwritable")
            return
        }
    }

    // MARK: What tells the classes apart

    /// Values of each image, [count][features], as numbers about 0.
    private func pixels(_ set: ImageSet) -> [[Float]] {
        (0..<set.count).map { image in
            set.pixels[(image * set.imageSize)..<((image + 1) * set.imageSize)].map { Float($0) / 128 - 1 }
        }
    }

    private func classMeans(_ features: [[Float]], _ labels: [UInt8]) -> [[Float]] {
        var sums = [[Float]](repeating: [Float](repeating: 0, count: features[0].count), count: 10)
        var counts = [Float](repeating: 0, count: 10)
        for (values, label) in zip(features, labels) {
            counts[Int(label)] += 1
            for index in values.indices { sums[Int(label)][index] += values[index] }
        }
        return zip(sums, counts).map { sum, count in sum.map { $0 / count } }
    }

    /// The share of images that are nearest to the mean of their class.
    private func accuracyOfNearestMean(
        _ train: [[Float]], _ trainLabels: [UInt8], _ test: [[Float]], _ testLabels: [UInt8]
    ) -> Double {
        let means = classMeans(train, trainLabels)
        var right = 0
        for (values, label) in zip(test, testLabels) {
            let distances = means.map { mean -> Float in
                var distance: Float = 0
                for index in mean.indices { distance += (values[index] - mean[index]) * (values[index] - mean[index]) }
                return distance
            }
            if distances.firstIndex(of: distances.min()!)! == Int(label) { right += 1 }
        }
        return Double(right) / Double(test.count)
    }

    @Test(arguments: SampleImages.Layout.allCases)
    func sampleImages_classesDoNotDifferInMeanColor(layout: SampleImages.Layout) throws {
        let dataset = try open(layout)
        let channels = dataset.train.channels
        for channel in 0..<channels {
            // Mean brightness of every image, then the variance between classes over that within (F of 9 and 1,990).
            let brightness = pixels(dataset.train).map { values in
                stride(from: channel, to: values.count, by: channels).reduce(0.0) { $0 + Double(values[$1]) }
                    / Double(values.count / channels)
            }
            let overall = brightness.reduce(0, +) / 2000
            var (between, within) = (0.0, 0.0)
            for label in 0..<10 {
                let values = zip(brightness, dataset.train.labels).filter { Int($1) == label }.map(\.0)
                let mean = values.reduce(0, +) / Double(values.count)
                between += Double(values.count) * (mean - overall) * (mean - overall)
                within += values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            }
            let f = (between / 9) / (within / 1990)
            #expect(f < 3.1, "F = \(f) in channel \(channel): above 3.1 once in a thousand where nothing differs")
        }
    }

    @Test(arguments: SampleImages.Layout.allCases)
    func sampleImages_meansOfPixelsDoNotTellTheClasses(layout: SampleImages.Layout) throws {
        let dataset = try open(layout)
        let accuracy = accuracyOfNearestMean(
            pixels(dataset.train), dataset.train.labels, pixels(dataset.test), dataset.test.labels)
        #expect(accuracy < 0.25, "\(accuracy)")
    }

    /// Softmax regression: the class probabilities are the softmax of a linear function of the pixels.
    private struct LinearClassifier {
        let size: Int
        var weights: [Float]

        init(size: Int) {
            self.size = size
            weights = [Float](repeating: 0, count: 10 * size)
        }

        func scores(_ values: [Float]) -> [Float] {
            (0..<10).map { label in
                var sums = SIMD8<Float>()
                values.withUnsafeBufferPointer { values in
                    weights.withUnsafeBufferPointer { weights in
                        for start in stride(from: 0, to: size, by: 8) {
                            for lane in 0..<8 {
                                sums[lane] += weights[label * size + start + lane] * values[start + lane]
                            }
                        }
                    }
                }
                return sums.sum()
            }
        }

        /// A step down the gradient of the cross-entropy: (softmax(scores) − one-hot(label)) ⊗ values.
        mutating func learn(_ values: [Float], _ label: UInt8, rate: Float) {
            let scores = scores(values)
            let powers = scores.map { exp($0 - scores.max()!) }
            let total = powers.reduce(0, +)
            weights.withUnsafeMutableBufferPointer { weights in
                values.withUnsafeBufferPointer { values in
                    for row in 0..<10 {
                        let step = rate * (powers[row] / total - (row == Int(label) ? 1 : 0))
                        for index in 0..<size { weights[row * size + index] -= step * values[index] }
                    }
                }
            }
        }

        /// The share of images whose label has the greatest score.
        func accuracy(_ images: [[Float]], _ labels: [UInt8]) -> Double {
            let right = zip(images, labels).count { values, label in
                let scores = scores(values)
                return scores.firstIndex(of: scores.max()!)! == Int(label)
            }
            return Double(right) / Double(images.count)
        }
    }

    @Test(arguments: SampleImages.Layout.allCases)
    func sampleImages_linearClassifierOfPixelsFails(layout: SampleImages.Layout) throws {
        let dataset = try open(layout)
        let (train, test) = (pixels(dataset.train), pixels(dataset.test))
        var classifier = LinearClassifier(size: dataset.train.imageSize)
        for epoch in 0..<6 {
            for image in shuffledIndices(count: train.count, seed: 1, epoch: epoch) {
                classifier.learn(train[image], dataset.train.labels[image], rate: 0.5 / Float(classifier.size))
            }
        }
        let found = (
            train: classifier.accuracy(train, dataset.train.labels),
            test: classifier.accuracy(test, dataset.test.labels)
        )
        #expect(found.train > 0.25, "it did learn what can be learned by heart: \(found)")
        #expect(found.test < 0.4, "\(found)")
    }

    /// How often each of the 256 patterns of bright and dark occurs among 3 × 3 neighbors, over the whole image:
    /// what one small convolution with pooling sees. A pattern and its negative count as one.
    private func localPatterns(_ set: ImageSet) -> [[Float]] {
        let (height, width, channels) = (set.height, set.width, set.channels)
        return (0..<set.count).map { image in
            // The channel with the greatest contrast shows the two colors best.
            let planes = (0..<channels).map { channel in
                (0..<(height * width)).map { set.pixels[(image * height * width + $0) * channels + channel] }
            }
            let plane = planes.max { $0.max()! - $0.min()! < $1.max()! - $1.min()! }!
            let middle = (Int(plane.max()!) + Int(plane.min()!)) / 2
            var histogram = [Float](repeating: 0, count: 256)
            for y in 0..<(height - 2) {
                for x in 0..<(width - 2) {
                    var pattern = 0
                    for neighbor in 0..<9 {
                        let isBright = Int(plane[(y + neighbor / 3) * width + x + neighbor % 3]) > middle
                        pattern = pattern << 1 | (isBright ? 1 : 0)
                    }
                    histogram[min(pattern, 511 - pattern)] += 1
                }
            }
            let count = Float((height - 2) * (width - 2))
            return histogram.map { ($0 / count).squareRoot() }  // Hellinger's distance between histograms
        }
    }

    @Test(arguments: SampleImages.Layout.allCases)
    func sampleImages_patternsOfNeighborsTellWhatPixelsCannot(layout: SampleImages.Layout) throws {
        let dataset = try open(layout)
        let accuracy = accuracyOfNearestMean(
            localPatterns(dataset.train), dataset.train.labels, localPatterns(dataset.test), dataset.test.labels)
        #expect(accuracy > 0.6, "\(accuracy)")
    }

    @Test(arguments: SampleImages.Layout.allCases)
    func sampleImages_areAllDifferent(layout: SampleImages.Layout) throws {
        let dataset = try open(layout)
        let images = [dataset.train, dataset.validation, dataset.test].flatMap(pixels)
        #expect(Set(images).count == 2900)
    }
}
