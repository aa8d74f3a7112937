import Datasets
import Foundation
import Testing

@Suite struct ImageAugmentationTests {
    /// Images of noise, so that no two places are alike.
    private func images(_ count: Int, height: Int, width: Int, channels: Int) -> ImageSet {
        ImageSet(
            height: height, width: width, channels: channels, pixels: noise(count * height * width * channels),
            labels: (0..<count).map { UInt8($0 % 10) })
    }

    /// The batch that `write` fills, in a buffer whose every number was wrong before.
    private func batch(_ images: ImageSet, _ count: Int, _ write: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
        var numbers = [Float](repeating: .nan, count: count * images.imageSize)
        numbers.withUnsafeMutableBufferPointer { write($0.baseAddress!) }
        return numbers
    }

    /// Normalize, pad with zeros, crop, mirror: one after another, index by index.
    private func reference(
        _ images: ImageSet, _ index: Int, _ normalization: PixelNormalization, padding: Int,
        _ draw: ImageAugmentation.Draw
    ) -> [Float] {
        let (height, width, channels) = (images.height, images.width, images.channels)
        var paddedImage = [[[Float]]](
            repeating: [[Float]](repeating: [Float](repeating: 0, count: channels), count: width + 2 * padding),
            count: height + 2 * padding)
        for y in 0..<height {
            for x in 0..<width {
                for channel in 0..<channels {
                    let pixel = images.pixels[((index * height + y) * width + x) * channels + channel]
                    paddedImage[y + padding][x + padding][channel] = normalization(pixel, channel: channel)
                }
            }
        }
        let crop = paddedImage[draw.row..<(draw.row + height)].map { Array($0[draw.column..<(draw.column + width)]) }
        let mirrored = draw.isFlipped ? crop.map { Array($0.reversed()) } : crop
        return mirrored.flatMap { $0.flatMap { $0 } }
    }

    @Test(arguments: [
        (32, 32, 3, ImageAugmentation.cifar10), (28, 28, 1, .mnist), (28, 28, 1, .init(padding: 0, flips: true)),
        (5, 9, 2, .init(padding: 3, flips: true)), (4, 3, 3, .init(padding: 7, flips: true)),
    ])
    func augmentation_isPadThenCropThenMirror(
        height: Int, width: Int, channels: Int, augmentation: ImageAugmentation
    ) {
        let images = images(60, height: height, width: width, channels: channels)
        let normalization = PixelNormalization(
            means: Array([125.0, 122, 113][..<channels]), deviations: Array([63.0, 62, 66][..<channels]))
        let indices = Array((0..<60).reversed()) + [7, 7]
        let found = batch(images, indices.count) {
            images.write(indices, normalization: normalization, augmentation: augmentation, seed: 5, epoch: 3, to: $0)
        }
        var kinds = Set<Int>()
        for (place, index) in indices.enumerated() {
            let draw = augmentation.draw(seed: 5, epoch: 3, image: index)
            let range = (place * images.imageSize)..<((place + 1) * images.imageSize)
            #expect(
                Array(found[range]) == reference(images, index, normalization, padding: augmentation.padding, draw),
                "image \(index), \(draw)")
            kinds.insert(draw.row * 1000 + draw.column * 10 + (draw.isFlipped ? 1 : 0))
        }
        #expect(kinds.count >= min(9, 2 * (2 * augmentation.padding + 1)), "the draws hardly vary: \(kinds)")
    }

    @Test func augmentation_ofBothDataSetsIsThePapers() {
        // A.3.1: padded to 30 × 30. A.3.2: padded to 36 × 36, mirrored.
        #expect(ImageAugmentation.mnist.padding == 1 && !ImageAugmentation.mnist.flips)
        #expect(ImageAugmentation.cifar10.padding == 2 && ImageAugmentation.cifar10.flips)
    }

    @Test(arguments: [1, 2, 3])
    func evaluation_isTheImageItself(channels: Int) {
        let images = images(9, height: 6, width: 5, channels: channels)
        let normalization = PixelNormalization(
            means: (0..<channels).map { 100 + Double($0) }, deviations: (0..<channels).map { 60 + Double($0) })
        let found = batch(images, 3) { images.write([4, 0, 8], normalization: normalization, to: $0) }
        let expected = [4, 0, 8].flatMap {
            reference(images, $0, normalization, padding: 0, .init(row: 0, column: 0, isFlipped: false))
        }
        #expect(found == expected)
        #expect(images.labels(at: [4, 0, 8]) == [4, 0, 8])
    }

    @Test func augmentation_ofAnImageDoesNotDependOnItsBatch() {
        let images = images(40, height: 8, width: 8, channels: 3)
        let normalization = PixelNormalization.unitInterval(channels: 3)
        func write(_ indices: some Collection<Int>) -> [Float] {
            batch(images, indices.count) {
                images.write(indices, normalization: normalization, augmentation: .cifar10, seed: 1, epoch: 2, to: $0)
            }
        }
        let together = write(0..<40)
        #expect(together == write(0..<13) + write(13..<14) + write(14..<40))
        #expect(Array(together[(11 * 192)..<(12 * 192)]) == write([11]))
    }

    @Test func augmentation_drawsEveryCropEquallyOftenInEveryEpoch() {
        var counts: [Int: Int] = [:]
        for image in 0..<50_000 {
            let draw = ImageAugmentation.cifar10.draw(seed: 9, epoch: 4, image: image)
            counts[(draw.row * 5 + draw.column) * 2 + (draw.isFlipped ? 1 : 0), default: 0] += 1
        }
        #expect(counts.count == 50)
        // χ² of 49 degrees of freedom: above 99 once in 30,000 seeds.
        let chiSquare = counts.values.reduce(0.0) { $0 + (Double($1) - 1000) * (Double($1) - 1000) / 1000 }
        #expect(chiSquare < 99, "χ² = \(chiSquare)")
        #expect(!(0..<1000).contains { ImageAugmentation.mnist.draw(seed: 9, epoch: 4, image: $0).isFlipped })
    }

    @Test func augmentation_differsBetweenEpochsSeedsAndImages() {
        func draws(seed: UInt64, epoch: Int, from first: Int = 0) -> [ImageAugmentation.Draw] {
            (first..<(first + 1000)).map { ImageAugmentation.cifar10.draw(seed: seed, epoch: epoch, image: $0) }
        }
        let base = draws(seed: 1, epoch: 0)
        #expect(base == draws(seed: 1, epoch: 0))
        // Neighbors in epoch, seed or image agree as often as strangers do: once in 50, here 20 ± 4.4.
        for other in [
            draws(seed: 1, epoch: 1), draws(seed: 2, epoch: 0), draws(seed: 0, epoch: 1),
            draws(seed: 1, epoch: 0, from: 1),
            draws(seed: 1, epoch: 1, from: 1),
        ] {
            let agreements = zip(base, other).count { $0 == $1 }
            #expect(agreements < 45, "\(agreements) of 1000")
        }
    }

    @Test func normalization_takesMeanOffAndDividesByDeviation() {
        let normalization = PixelNormalization(means: [125, 0], deviations: [50, 255])
        #expect(normalization(125, channel: 0) == 0)
        #expect(normalization(255, channel: 0) == 2.6)
        #expect(normalization(0, channel: 0) == -2.5)
        #expect(normalization(255, channel: 1) == 1)
        #expect(PixelNormalization.unitInterval(channels: 2)(51, channel: 1) == 0.2)
    }

    @Test func normalization_ofTheTrainingSplitGivesZeroMeanAndUnitVariance() throws {
        let folder = DataFolder(path: "\(repository)/data", origin: .standard)
        let dataset = try ImageDataset.open(.sampleCIFAR10, dataFolder: folder, seed: 1)
        let normalization = PixelNormalization(means: dataset.channelMeans, deviations: dataset.channelDeviations)
        let numbers = batch(dataset.train, dataset.train.count) {
            dataset.train.write(0..<dataset.train.count, normalization: normalization, to: $0)
        }
        for channel in 0..<3 {
            let values = stride(from: channel, to: numbers.count, by: 3).map { Double(numbers[$0]) }
            let mean = values.reduce(0, +) / Double(values.count)
            let square = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
            #expect(abs(mean) < 1e-6)
            #expect(abs(square - 1) < 1e-6)
        }
    }

    @Test(arguments: [0, 1, 2, 1000])
    func order_isAPermutationAndTheSameAtEveryCall(count: Int) {
        let order = shuffledIndices(count: count, seed: 3, epoch: 8)
        #expect(order.sorted() == Array(0..<count))
        #expect(order == shuffledIndices(count: count, seed: 3, epoch: 8))
    }

    @Test func order_isAnotherInEveryEpochAndUnderEverySeed() {
        let base = shuffledIndices(count: 1000, seed: 3, epoch: 0)
        for other in [
            shuffledIndices(count: 1000, seed: 3, epoch: 1), shuffledIndices(count: 1000, seed: 4, epoch: 0),
            Array(0..<1000),
        ] {
            #expect(zip(base, other).count { $0 == $1 } < 9)  // one place agrees on average
        }
    }

    @Test func order_putsEveryImageEverywhereEquallyOften() {
        var counts = [Int](repeating: 0, count: 25)
        for epoch in 0..<25_000 {
            for (place, image) in shuffledIndices(count: 5, seed: 1, epoch: epoch).enumerated() {
                counts[5 * place + image] += 1
            }
        }
        for count in counts { #expect(abs(count - 5000) < 320) }  // 5 standard deviations are 316
    }

    /// The numbers that records of runs rely on: whoever changes them makes every record irreproducible.
    @Test func draws_areTheOnesThatRecordsWereMadeWith() {
        #expect(shuffledIndices(count: 10, seed: 42, epoch: 1) == [3, 0, 7, 9, 1, 2, 8, 4, 6, 5])
        let draws = (0..<4).map { ImageAugmentation.cifar10.draw(seed: 42, epoch: 1, image: $0) }
        #expect(
            draws == [
                .init(row: 2, column: 4, isFlipped: true), .init(row: 2, column: 3, isFlipped: false),
                .init(row: 1, column: 2, isFlipped: true), .init(row: 0, column: 2, isFlipped: true),
            ])
    }
}
